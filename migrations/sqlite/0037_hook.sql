-- Webhooks that come in: rules, and what was delivered. A delivery is known by its sender's id for it and by
-- what it says; each is acted on once.

CREATE TABLE hook (
    name TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
    account TEXT NOT NULL COLLATE NOCASE REFERENCES account (name),
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    rule TEXT NOT NULL
);

CREATE TABLE hook_delivery (
    hook TEXT NOT NULL COLLATE NOCASE,
    content TEXT NOT NULL,
    delivery TEXT NOT NULL,
    at BIGINT NOT NULL,
    begun_at BIGINT NOT NULL,
    outcome TEXT,
    PRIMARY KEY (hook, content)
);
CREATE UNIQUE INDEX hook_delivery_by_id ON hook_delivery (hook, delivery);
CREATE INDEX hook_delivery_by_time ON hook_delivery (at);

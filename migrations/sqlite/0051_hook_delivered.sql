-- What people are told of deliveries of webhooks: the latest of each, its signature checked, one row for each
-- body. Others could be sent by anybody, so of them nothing is kept but how many there were, and why.

CREATE TABLE hook_delivered (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hook TEXT NOT NULL COLLATE NOCASE REFERENCES hook (name) ON DELETE CASCADE,
    body TEXT NOT NULL,
    at BIGINT NOT NULL,
    delivery TEXT NOT NULL,
    event TEXT NOT NULL,
    outcome TEXT NOT NULL,
    message TEXT NOT NULL,
    deployment BIGINT,
    UNIQUE (hook, body)
);
CREATE INDEX hook_delivered_by_hook ON hook_delivered (hook, id);

CREATE TABLE hook_refused (
    hook TEXT NOT NULL COLLATE NOCASE REFERENCES hook (name) ON DELETE CASCADE,
    reason TEXT NOT NULL,
    count BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (hook, reason)
);

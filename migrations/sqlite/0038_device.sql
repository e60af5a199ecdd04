-- Sign-ins of commands that wait for somebody to confirm them on a page. Digests of both codes only.

CREATE TABLE device (
    device TEXT NOT NULL PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    is_denied BIGINT NOT NULL DEFAULT 0,
    account TEXT COLLATE NOCASE REFERENCES account (name)
);

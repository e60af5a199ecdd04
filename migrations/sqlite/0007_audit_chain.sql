-- Each line of the audit carries a hash over itself and the line before it, and the last one stands here
-- too: whoever edits, removes, reorders or cuts lines off breaks the chain. Lines from before this carry
-- none; the first one that does covers them all.

ALTER TABLE audit ADD COLUMN hash TEXT;

CREATE TABLE audit_head (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    id BIGINT NOT NULL,
    hash TEXT NOT NULL
);

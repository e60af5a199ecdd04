-- Secrets of an environment. The value is sealed under a key of its own, that key under the one in a file
-- outside of the database; both for this row and this version only. key_id says which file opens it and
-- tells nothing about the key.

CREATE TABLE secret (
    project TEXT NOT NULL COLLATE NOCASE,
    environment TEXT NOT NULL COLLATE NOCASE,
    name TEXT NOT NULL COLLATE NOCASE,
    version BIGINT NOT NULL,
    key_id TEXT NOT NULL,
    data_key TEXT NOT NULL,
    sealed TEXT NOT NULL,
    set_by TEXT NOT NULL,
    set_at BIGINT NOT NULL,
    PRIMARY KEY (project, environment, name)
);

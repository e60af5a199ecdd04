-- Locks, holds and freezes. Numbers are never given twice: a lock's number is its epoch. What has
-- ended stays, as a record.
CREATE TABLE restriction (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    project TEXT NOT NULL COLLATE NOCASE,
    environment TEXT NOT NULL COLLATE NOCASE,
    service TEXT COLLATE NOCASE,
    version TEXT,
    deployment BIGINT,
    owner TEXT COLLATE NOCASE,
    reason TEXT NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT,
    ended_at BIGINT
);
CREATE INDEX restriction_open ON restriction (project, environment) WHERE ended_at IS NULL;
-- Two rollbacks of the same version leave one hold; two people never own the same lock.
CREATE UNIQUE INDEX restriction_hold ON restriction (project, environment, service, version)
    WHERE kind = 'hold' AND ended_at IS NULL;
CREATE UNIQUE INDEX restriction_lock ON restriction (project, environment, coalesce(service, ''))
    WHERE kind = 'lock' AND ended_at IS NULL;

-- The first schema. Names compare ignoring ASCII case; times are milliseconds since the epoch;
-- JSON is text. The journal (event) is the truth; all other tables of a deployment follow from it
-- in the same transaction.

CREATE TABLE installation (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE manifest (
    project TEXT NOT NULL COLLATE NOCASE,
    digest TEXT NOT NULL,
    source TEXT NOT NULL,
    body TEXT NOT NULL,
    applied_by TEXT NOT NULL,
    applied_at BIGINT NOT NULL,
    PRIMARY KEY (project, digest)
);

CREATE TABLE project (
    name TEXT NOT NULL COLLATE NOCASE PRIMARY KEY,
    digest TEXT NOT NULL,
    applied_by TEXT NOT NULL,
    applied_at BIGINT NOT NULL
);

CREATE TABLE deployment (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL COLLATE NOCASE,
    environment TEXT NOT NULL COLLATE NOCASE,
    phase TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    owner TEXT NOT NULL,
    seq BIGINT NOT NULL,
    requested_at BIGINT NOT NULL,
    finished_at BIGINT,
    summary TEXT NOT NULL
);
CREATE INDEX deployment_by_environment ON deployment (project, environment, id);
CREATE INDEX deployment_unfinished ON deployment (id) WHERE finished_at IS NULL;
-- One live deployment per project and environment.
CREATE UNIQUE INDEX deployment_live ON deployment (project, environment)
    WHERE phase IN ('running', 'rolling_back', 'needs_operator');
-- A finished deployment never changes.
CREATE TRIGGER deployment_finished BEFORE UPDATE ON deployment WHEN old.finished_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a finished deployment never changes'); END;

CREATE TABLE event (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    deployment BIGINT NOT NULL REFERENCES deployment (id),
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (deployment, seq)
);
CREATE TRIGGER event_update BEFORE UPDATE ON event
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER event_delete BEFORE DELETE ON event
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TABLE effect (
    deployment BIGINT NOT NULL REFERENCES deployment (id),
    key TEXT NOT NULL,
    place INTEGER NOT NULL,
    body TEXT NOT NULL,
    done BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (deployment, key)
) WITHOUT ROWID;

CREATE TABLE step (
    deployment BIGINT NOT NULL REFERENCES deployment (id),
    step BIGINT NOT NULL,
    state TEXT NOT NULL,
    status TEXT NOT NULL,
    PRIMARY KEY (deployment, step)
) WITHOUT ROWID;

CREATE TABLE serving (
    project TEXT NOT NULL COLLATE NOCASE,
    environment TEXT NOT NULL COLLATE NOCASE,
    service TEXT NOT NULL COLLATE NOCASE,
    serving TEXT,
    since BIGINT NOT NULL,
    PRIMARY KEY (project, environment, service)
);

CREATE TABLE checkpoint (
    deployment BIGINT NOT NULL REFERENCES deployment (id),
    project TEXT NOT NULL COLLATE NOCASE,
    environment TEXT NOT NULL COLLATE NOCASE,
    service TEXT NOT NULL COLLATE NOCASE,
    checkpoint TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (deployment, service)
);
CREATE INDEX checkpoint_by_environment ON checkpoint (project, environment, deployment);

-- Revisions that lost their traffic and are to be ended after their time.
CREATE TABLE retirement (
    project TEXT NOT NULL COLLATE NOCASE,
    environment TEXT NOT NULL COLLATE NOCASE,
    service TEXT NOT NULL COLLATE NOCASE,
    revision TEXT NOT NULL,
    serving TEXT NOT NULL,
    since BIGINT NOT NULL,
    done_at BIGINT,
    PRIMARY KEY (project, environment, service, revision)
);

CREATE TABLE idempotency (
    principal TEXT NOT NULL,
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    deployment BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (principal, route, key)
);

CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    via TEXT NOT NULL,
    address TEXT,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    reason TEXT,
    allowed BIGINT NOT NULL
);
CREATE TRIGGER audit_update BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_delete BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;

CREATE TABLE account (
    name TEXT NOT NULL COLLATE NOCASE PRIMARY KEY,
    role TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    password TEXT,
    created_at BIGINT NOT NULL
);

CREATE TABLE session (
    id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL COLLATE NOCASE REFERENCES account (name),
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX session_by_account ON session (account, created_at);

CREATE TABLE token (
    id TEXT NOT NULL PRIMARY KEY,
    secret TEXT NOT NULL,
    account TEXT NOT NULL COLLATE NOCASE REFERENCES account (name),
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX token_by_account ON token (account, created_at);

CREATE TABLE link (
    code TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    account TEXT NOT NULL COLLATE NOCASE REFERENCES account (name),
    expires_at BIGINT NOT NULL
);

CREATE TABLE throttle (
    key TEXT NOT NULL PRIMARY KEY,
    failures BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL
);

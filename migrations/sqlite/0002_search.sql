-- What lists of deployments are found by: narrow rows that follow from the journal in the same
-- transaction, so that a search over many deployments reads little.

CREATE TABLE search (
    deployment INTEGER NOT NULL PRIMARY KEY REFERENCES deployment (id),
    project TEXT NOT NULL COLLATE NOCASE,
    environment TEXT NOT NULL COLLATE NOCASE,
    phase TEXT NOT NULL,
    account TEXT NOT NULL COLLATE NOCASE,
    requested_at BIGINT NOT NULL,
    duration_ms BIGINT,
    stable_ms BIGINT,
    words TEXT NOT NULL
);
CREATE INDEX search_by_time ON search (requested_at);
-- As lists are sorted by it: what runs still comes last both ways.
CREATE INDEX search_longest ON search (coalesce(duration_ms, -1), deployment);
CREATE INDEX search_shortest ON search (coalesce(duration_ms, 9223372036854775807), deployment);
CREATE INDEX search_facets ON search (environment, phase, account);

CREATE TABLE deployed_service (
    project TEXT NOT NULL COLLATE NOCASE,
    service TEXT NOT NULL COLLATE NOCASE,
    deployment BIGINT NOT NULL REFERENCES deployment (id),
    version TEXT,
    PRIMARY KEY (project, service, deployment)
) WITHOUT ROWID;

CREATE INDEX audit_by_target ON audit (target, id);

INSERT INTO search (deployment, project, environment, phase, account, requested_at, duration_ms, stable_ms, words)
SELECT id, project, environment, phase, json_extract(summary, '$.by.user'), requested_at,
    finished_at - coalesce(json_extract(summary, '$.clocks.started_at'), requested_at),
    json_extract(summary, '$.clocks.stable_at') - json_extract(summary, '$.clocks.detected_at'),
    lower(project || ' ' || environment || ' ' || json_extract(summary, '$.by.user') || ' '
        || coalesce(json_extract(summary, '$.reason'), '') || ' '
        || coalesce(json_extract(summary, '$.source.commit'), '') || ' '
        || coalesce(json_extract(summary, '$.failure.reason'), '') || ' '
        || coalesce((SELECT group_concat(json_extract(value, '$.service') || '@'
            || coalesce(json_extract(value, '$.to'), '-'), ' ') FROM json_each(summary, '$.services')), '')
        || ' #' || id)
FROM deployment;

INSERT OR IGNORE INTO deployed_service (project, service, deployment, version)
SELECT deployment.project, json_extract(change.value, '$.service'), deployment.id, json_extract(change.value, '$.to')
FROM deployment, json_each(deployment.summary, '$.services') AS change;

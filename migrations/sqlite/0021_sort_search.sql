-- Lists of deployments are sorted by every column, and narrowed by a facet of services.

-- Which services a deployment changes: few different sets recur in a long history, so what a facet of
-- services shows is counted by set. Names with a blank between them, in order.
CREATE TABLE service_set (
    id INTEGER NOT NULL PRIMARY KEY,
    services TEXT NOT NULL UNIQUE
);
INSERT INTO service_set (services)
SELECT DISTINCT services FROM (
    SELECT group_concat(service, ' ' ORDER BY service) AS services FROM deployed_service GROUP BY deployment
);

ALTER TABLE search ADD COLUMN service_set BIGINT NOT NULL DEFAULT 0;
ALTER TABLE search ADD COLUMN services BIGINT NOT NULL DEFAULT 0;
UPDATE search SET service_set = made.id, services = made.many
FROM (
    SELECT one.deployment, service_set.id, one.many
    FROM (
        SELECT deployment, group_concat(service, ' ' ORDER BY service) AS services, count(*) AS many
        FROM deployed_service GROUP BY deployment
    ) AS one
    JOIN service_set ON service_set.services = one.services
) AS made
WHERE made.deployment = search.deployment;

-- With what facets are narrowed by, so that they are counted without a look at the rows.
CREATE INDEX search_by_set ON search (service_set, environment, phase, account, project);
CREATE INDEX search_by_services ON search (services, deployment);
-- Words are sorted both ways, and below each of them the newest deployment comes first.
CREATE INDEX search_by_environment ON search (environment, deployment DESC);
CREATE INDEX search_by_environment_down ON search (environment, deployment);
CREATE INDEX search_by_phase ON search (phase, deployment DESC);
CREATE INDEX search_by_phase_down ON search (phase, deployment);
CREATE INDEX search_by_account ON search (account, deployment DESC);
CREATE INDEX search_by_account_down ON search (account, deployment);

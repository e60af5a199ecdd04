-- Deployments are found by what began them and by version, too.

-- The first word of how somebody came: browser, token, local, system.
ALTER TABLE search ADD COLUMN via TEXT NOT NULL DEFAULT '';
UPDATE search SET via = made.via
FROM (
    SELECT id, lower(json_extract(summary, '$.by.via')) AS via FROM deployment
) AS made
WHERE made.id = search.deployment AND made.via IS NOT NULL;
UPDATE search SET via = substr(via, 1, instr(via, ' ') - 1) WHERE instr(via, ' ') > 0;

-- With what facets are narrowed by, as that of the sets of services.
CREATE INDEX search_by_via ON search (via, environment, phase, account, project);
CREATE INDEX deployed_by_version ON deployed_service (version, deployment, service);
CREATE INDEX deployed_by_deployment ON deployed_service (deployment, service, version);

-- Deployments that could not be read and that an admin gave up, so that their environment is free again.
CREATE TABLE abandoned (
    deployment BIGINT PRIMARY KEY REFERENCES deployment (id),
    at BIGINT NOT NULL,
    account TEXT NOT NULL,
    reason TEXT NOT NULL
);

-- What such a deployment may have changed: what serves there is not known until it is deployed again.
CREATE TABLE unsure (
    project TEXT NOT NULL COLLATE NOCASE,
    environment TEXT NOT NULL COLLATE NOCASE,
    service TEXT NOT NULL COLLATE NOCASE,
    deployment BIGINT NOT NULL REFERENCES deployment (id),
    PRIMARY KEY (project, environment, service)
);

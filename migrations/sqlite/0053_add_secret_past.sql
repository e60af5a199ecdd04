-- Versions never come twice for a name: a value is sealed for its name and version, so one from an old copy of
-- the database would open again in the place of a later one.
CREATE TABLE secret_past (
    project TEXT NOT NULL COLLATE NOCASE,
    environment TEXT NOT NULL COLLATE NOCASE,
    name TEXT NOT NULL COLLATE NOCASE,
    version BIGINT NOT NULL,
    PRIMARY KEY (project, environment, name)
);

CREATE TRIGGER secret_removed AFTER DELETE ON secret
BEGIN
    INSERT INTO secret_past (project, environment, name, version)
    VALUES (old.project, old.environment, old.name, old.version)
    ON CONFLICT (project, environment, name) DO UPDATE SET version = max(version, excluded.version);
END;

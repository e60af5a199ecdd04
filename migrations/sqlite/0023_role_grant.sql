-- Roles are given on a part of the installation: everything, a project, an environment, or all
-- environments of a name; '' stands for every one. What everybody had becomes a role on everything, so
-- nobody may more or less than before. Only everything has admins.

CREATE TABLE role_grant (
    account TEXT NOT NULL COLLATE NOCASE REFERENCES account (name),
    project TEXT NOT NULL COLLATE NOCASE,
    environment TEXT NOT NULL COLLATE NOCASE,
    role TEXT NOT NULL,
    PRIMARY KEY (account, project, environment),
    CHECK (role <> 'admin' OR (project = '' AND environment = ''))
);
INSERT INTO role_grant (account, project, environment, role) SELECT name, '', '', role FROM account;
ALTER TABLE account DROP COLUMN role;

-- A token may be bound to a part, too.
ALTER TABLE token ADD COLUMN project TEXT NOT NULL DEFAULT '' COLLATE NOCASE;
ALTER TABLE token ADD COLUMN environment TEXT NOT NULL DEFAULT '' COLLATE NOCASE;

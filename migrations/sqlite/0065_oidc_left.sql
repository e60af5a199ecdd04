-- Whose groups gave them nothing when they came last: they cannot sign in, so they do not count as an admin
-- who could.

ALTER TABLE oidc_identity ADD COLUMN left_at BIGINT;

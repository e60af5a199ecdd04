-- From which network a command asked that wants to sign in: whoever begins many makes room with their own.
ALTER TABLE device ADD COLUMN network TEXT NOT NULL DEFAULT '';

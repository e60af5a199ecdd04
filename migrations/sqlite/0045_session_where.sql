-- From where and by which program a session was begun, so that its owner knows which to end.
ALTER TABLE session ADD COLUMN address TEXT;
ALTER TABLE session ADD COLUMN device TEXT;

-- A session goes on under a new id every hour and when its owner may do more. The id before it is let in
-- until the new one has been seen, and a few seconds longer: answers get lost, and requests cross.
-- Sessions that are there already get a new one when they are used next.
ALTER TABLE session ADD COLUMN renewed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN earlier TEXT;
ALTER TABLE session ADD COLUMN earlier_until BIGINT;
CREATE INDEX session_by_earlier ON session (earlier);

-- Tries to give the password again are counted by session: they go on with it, and end with it.
CREATE TRIGGER session_ended AFTER DELETE ON session
BEGIN DELETE FROM throttle WHERE key = 'account ' || lower(old.account) || ' session ' || old.id; END;
CREATE TRIGGER session_renewed AFTER UPDATE OF id ON session
BEGIN
    UPDATE throttle SET key = 'account ' || lower(new.account) || ' session ' || new.id
    WHERE key = 'account ' || lower(old.account) || ' session ' || old.id;
END;

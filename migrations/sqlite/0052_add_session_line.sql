-- What a session is ended by: its id changes every hour, and one that was listed a moment ago has to be found.
ALTER TABLE session ADD COLUMN line TEXT NOT NULL DEFAULT '';
UPDATE session SET line = lower(hex(randomblob(8)));
CREATE INDEX session_by_line ON session (line);

-- The binary before this one knows nothing of it.
CREATE TRIGGER session_begun AFTER INSERT ON session WHEN new.line = ''
BEGIN UPDATE session SET line = lower(hex(randomblob(8))) WHERE id = new.id; END;

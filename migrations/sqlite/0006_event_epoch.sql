-- Under which epoch an event was written, so that a journal shows by itself that nobody wrote to it after
-- somebody else had taken over. 0 = written before this was kept.

ALTER TABLE event ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0;

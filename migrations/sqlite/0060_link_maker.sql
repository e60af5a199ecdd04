-- Who made a one-time link: told beside those that are open.
ALTER TABLE link ADD COLUMN made_by TEXT;

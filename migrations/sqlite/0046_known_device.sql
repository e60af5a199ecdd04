-- Browsers that somebody has signed in with: they have tries of their own, so that nobody who guesses
-- elsewhere locks them out. The digest of what their cookie holds.
CREATE TABLE known_device (
    id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL COLLATE NOCASE REFERENCES account (name),
    since BIGINT NOT NULL
);
CREATE INDEX known_device_by_account ON known_device (account, since);

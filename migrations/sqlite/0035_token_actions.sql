-- A token may be made for some of what its role allows to change: words with commas between, '' = all.

ALTER TABLE token ADD COLUMN actions TEXT NOT NULL DEFAULT '';

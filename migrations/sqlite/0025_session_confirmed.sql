-- When whoever is signed in gave their password last: what matters most asks for it again.
ALTER TABLE session ADD COLUMN confirmed_at BIGINT NOT NULL DEFAULT 0;

-- Whether a token was given to `lockstep login`: with one of those somebody may approve, when they give their
-- password beside it. Tokens of programs do not.

ALTER TABLE token ADD COLUMN by_login BIGINT NOT NULL DEFAULT 0;

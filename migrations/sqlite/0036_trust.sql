-- Rules by which a job elsewhere gets a token without a stored secret, and the identity tokens that were
-- used, until they could not be used again anyway.

CREATE TABLE trust (
    name TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
    account TEXT NOT NULL COLLATE NOCASE REFERENCES account (name),
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    view TEXT NOT NULL
);

CREATE TABLE seen_token (
    issuer TEXT NOT NULL,
    jti TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, jti)
);

-- By which rule a token was given; '' = a person made it.
ALTER TABLE token ADD COLUMN trust TEXT NOT NULL DEFAULT '' COLLATE NOCASE;

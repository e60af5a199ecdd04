-- People of an identity provider: who they are is issuer and subject, never a name or an address. Sign-ins
-- that went to the provider and have not come back yet, by the digest of their state.

CREATE TABLE oidc_identity (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    account TEXT NOT NULL COLLATE NOCASE UNIQUE REFERENCES account (name),
    PRIMARY KEY (issuer, subject)
);

CREATE TABLE oidc_sign_in (
    state TEXT NOT NULL PRIMARY KEY,
    nonce TEXT NOT NULL,
    verifier TEXT NOT NULL,
    next TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- Sign-ins that are on their way to the identity provider are kept by the browser, sealed: strangers who begin
-- many fill nothing.
DROP TABLE oidc_sign_in;

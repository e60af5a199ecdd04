-- What was answered to a request that carried a key, so that the same request sent again is not done
-- again. No status: it is under way, or the server ended in the middle of it. No text: the answer held a
-- secret and was shown once.

CREATE TABLE answer (
    principal TEXT NOT NULL,
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    at BIGINT NOT NULL,
    is_done BIGINT NOT NULL DEFAULT 0,
    text TEXT,
    PRIMARY KEY (principal, route, key)
);

-- Which coordinators are alive, as far as they said so in time: until then nobody takes a deployment
-- from them. An owner without a row owns nothing that may not be taken over.

CREATE TABLE lease (
    owner TEXT NOT NULL PRIMARY KEY,
    until BIGINT NOT NULL
);

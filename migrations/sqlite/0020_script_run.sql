-- Scripts that run elsewhere under `lockstep exec` and report here. `number` is the place of their
-- output; `report` and `body` make the same report count once.
CREATE TABLE script_run (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    run TEXT NOT NULL,
    script TEXT NOT NULL,
    key TEXT NOT NULL,
    account TEXT NOT NULL COLLATE NOCASE,
    report BIGINT NOT NULL,
    body TEXT NOT NULL,
    finished_at BIGINT,
    view TEXT NOT NULL,
    UNIQUE (run, script)
);

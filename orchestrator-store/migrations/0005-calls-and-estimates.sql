-- Answers of models that may be used again for the same requests. `bytes` is the length of the answer,
-- `crc` that of `key`, a line break and `body`: an answer that is damaged is as good as none.
CREATE TABLE responses (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    key     TEXT    NOT NULL UNIQUE,
    tenant  TEXT    NOT NULL,
    project TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    crc     INTEGER NOT NULL,
    body    TEXT    NOT NULL
) STRICT;
CREATE INDEX responses_by_age ON responses (at, number, bytes);
CREATE INDEX responses_by_expiry ON responses (expires);

-- What a settled call has used, by kind of token, as JSON; NULL when its settlement did not say.
ALTER TABLE ledger_calls ADD COLUMN usage TEXT;

-- Calls that are of no task: reports add them to what runs have spent.
CREATE INDEX ledger_calls_outside ON ledger_calls (at) WHERE payer ->> 'task' IS NULL;

-- When the windows of hours of a scope begin anew.
CREATE TABLE ledger_restarts (
    scope TEXT    NOT NULL,
    at    INTEGER NOT NULL,
    PRIMARY KEY (scope, at)
) STRICT, WITHOUT ROWID;

-- What was expected of a run before it began, as JSON. By the run's number, and so by its age.
CREATE TABLE estimates (
    run     INTEGER PRIMARY KEY REFERENCES runs (n) ON DELETE CASCADE,
    tenant  TEXT    NOT NULL,
    project TEXT    NOT NULL,
    body    TEXT    NOT NULL
) STRICT;

-- The newest runs of a workflow are found without the others: estimates are made from them. `n` is
-- part of every index.
ALTER TABLE runs ADD COLUMN workflow TEXT;
UPDATE runs SET workflow = body ->> 'workflow' WHERE body IS NOT NULL;
CREATE INDEX runs_by_workflow ON runs (workflow) WHERE workflow IS NOT NULL;

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

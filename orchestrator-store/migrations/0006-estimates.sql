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

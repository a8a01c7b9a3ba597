-- The log in the order in which it is written, whatever run an event is of: a commit of many runs
-- fills new pages and leaves those with earlier events alone. `place` is the run's number * 2^32 +
-- the number of the row's last event; `body` is a list of `[at, event]`, or one event of schema 1.
CREATE TABLE log (
    number  INTEGER PRIMARY KEY,
    place   INTEGER NOT NULL,
    tenant  TEXT    NOT NULL,
    project TEXT    NOT NULL,
    version INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    crc     INTEGER NOT NULL,
    body    TEXT    NOT NULL
) STRICT;
INSERT INTO log (place, tenant, project, version, at, crc, body)
    SELECT place, tenant, project, version, at, crc, body FROM events ORDER BY place;
DROP TABLE events;
ALTER TABLE log RENAME TO events;
CREATE UNIQUE INDEX events_by_place ON events (place);

-- Runs are listed by status and by parent, and open ones are found among many that have ended.
ALTER TABLE runs ADD COLUMN parent TEXT;
UPDATE runs SET parent = body ->> 'parent' WHERE body IS NOT NULL;
CREATE INDEX runs_by_status ON runs (status, created_at, id);
CREATE INDEX runs_by_parent ON runs (parent, created_at, id) WHERE parent IS NOT NULL;

-- The event that holds the task's output, where that is too large to be written twice; the row's
-- JSON has none then.
ALTER TABLE tasks ADD COLUMN output_seq INTEGER;

-- Signals have a number among the signals of all runs, which only grows: what is new in any inbox
-- is one range. `place` as before: the run's number * 2^32 + the signal's among those of the run.
CREATE TABLE inbox (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    place   INTEGER NOT NULL UNIQUE,
    tenant  TEXT    NOT NULL,
    project TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    body    TEXT    NOT NULL
) STRICT;
INSERT INTO inbox (place, tenant, project, at, body)
    SELECT place, tenant, project, at, body FROM signals ORDER BY at, place;
DROP TABLE signals;
ALTER TABLE inbox RENAME TO signals;

-- Who has which concurrency group. It counts as long as the run is driven under `epoch`.
CREATE TABLE groups (
    project TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    tenant  TEXT    NOT NULL,
    run     INTEGER NOT NULL REFERENCES runs (n) ON DELETE CASCADE,
    task    TEXT    NOT NULL,
    epoch   INTEGER NOT NULL,
    PRIMARY KEY (project, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX groups_by_run ON groups (run);

-- Results that may be used again; they outlive the run that made them. `expires` is NULL for ever.
CREATE TABLE cache (
    key      TEXT    PRIMARY KEY,
    tenant   TEXT    NOT NULL,
    project  TEXT    NOT NULL,
    workflow TEXT    NOT NULL,
    task     TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    expires  INTEGER,
    body     TEXT    NOT NULL
) STRICT;
CREATE INDEX cache_by_task ON cache (workflow, task, at);
CREATE INDEX cache_by_expiry ON cache (expires) WHERE expires IS NOT NULL;

CREATE TABLE cache_blobs (
    key     TEXT NOT NULL REFERENCES cache (key) ON DELETE CASCADE,
    blob    TEXT NOT NULL,
    tenant  TEXT NOT NULL,
    project TEXT NOT NULL,
    PRIMARY KEY (key, blob)
) STRICT, WITHOUT ROWID;

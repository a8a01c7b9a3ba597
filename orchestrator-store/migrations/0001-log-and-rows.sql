-- The number that tells this program's files from other SQLite files: "orch".
PRAGMA application_id = 0x6f726368;

-- One row a run: where its log ends, who drives it, and its row for lists. `n` stands for the run
-- in every other table. `body` is the run's row as JSON; NULL until the first one is written.
CREATE TABLE runs (
    n          INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    tenant     TEXT    NOT NULL,
    project    TEXT    NOT NULL,
    head       INTEGER NOT NULL,
    epoch      INTEGER NOT NULL,
    owner      TEXT,
    expires    INTEGER,
    status     TEXT,
    created_at INTEGER NOT NULL,
    body       TEXT
) STRICT;

CREATE INDEX runs_by_age ON runs (created_at, id);

-- The log. `place` is the run's number * 2^32 + the event's: one B-tree, no second index, and a
-- run's events lie side by side.
CREATE TABLE events (
    place   INTEGER PRIMARY KEY,
    tenant  TEXT    NOT NULL,
    project TEXT    NOT NULL,
    version INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    crc     INTEGER NOT NULL,
    body    TEXT    NOT NULL
) STRICT;

CREATE TABLE tasks (
    run      INTEGER NOT NULL REFERENCES runs (n) ON DELETE CASCADE,
    name     TEXT    NOT NULL,
    tenant   TEXT    NOT NULL,
    project  TEXT    NOT NULL,
    position INTEGER NOT NULL,
    status   TEXT    NOT NULL,
    agent    TEXT,
    body     TEXT    NOT NULL,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

-- `first_seq` is the event with which the row first came: it orders attempts that started within
-- one millisecond.
CREATE TABLE attempts (
    run        INTEGER NOT NULL REFERENCES runs (n) ON DELETE CASCADE,
    task       TEXT    NOT NULL,
    number     INTEGER NOT NULL,
    tenant     TEXT    NOT NULL,
    project    TEXT    NOT NULL,
    agent      TEXT    NOT NULL,
    started_at INTEGER NOT NULL,
    first_seq  INTEGER NOT NULL,
    body       TEXT    NOT NULL,
    PRIMARY KEY (run, task, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX attempts_by_agent ON attempts (agent, started_at);

-- `place` as in `events`, counted by line.
CREATE TABLE spend (
    place       INTEGER PRIMARY KEY,
    tenant      TEXT    NOT NULL,
    project     TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    task        TEXT    NOT NULL,
    attempt     INTEGER NOT NULL,
    agent       TEXT    NOT NULL,
    provider    TEXT    NOT NULL,
    model       TEXT    NOT NULL,
    requests    INTEGER NOT NULL,
    input       INTEGER NOT NULL,
    cache_read  INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    output      INTEGER NOT NULL,
    reasoning   INTEGER NOT NULL,
    cost        INTEGER
) STRICT;

-- `place` as in `events`, counted by signal.
CREATE TABLE signals (
    place   INTEGER PRIMARY KEY,
    tenant  TEXT    NOT NULL,
    project TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    body    TEXT    NOT NULL
) STRICT;

CREATE TABLE blob_refs (
    run     INTEGER NOT NULL REFERENCES runs (n) ON DELETE CASCADE,
    blob    TEXT    NOT NULL,
    tenant  TEXT    NOT NULL,
    project TEXT    NOT NULL,
    PRIMARY KEY (run, blob)
) STRICT, WITHOUT ROWID;

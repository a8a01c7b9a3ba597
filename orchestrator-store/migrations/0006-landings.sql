-- Work that waits for a branch, and what came of it. `urgency` is the smaller the more urgent and
-- never changes while it waits; `settled` is its place among what has ended, NULL while it is open;
-- `evidence` is the blob that `body`, its row as JSON, names.
CREATE TABLE landings (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT    NOT NULL UNIQUE,
    tenant     TEXT    NOT NULL,
    project    TEXT    NOT NULL,
    branch     TEXT    NOT NULL,
    run        TEXT    NOT NULL,
    task       TEXT    NOT NULL,
    attempt    INTEGER NOT NULL,
    work       TEXT    NOT NULL,
    urgency    INTEGER NOT NULL,
    settled    INTEGER,
    settled_at INTEGER,
    evidence   TEXT,
    body       TEXT    NOT NULL,
    UNIQUE (tenant, project, branch, run, task, attempt, work)
) STRICT;
CREATE INDEX landings_open ON landings (tenant, project, branch, urgency, number)
    WHERE settled IS NULL;
CREATE INDEX landings_settled ON landings (settled) WHERE settled IS NOT NULL;
CREATE INDEX landings_by_run ON landings (run);
CREATE INDEX landings_by_age ON landings (settled_at) WHERE settled_at IS NOT NULL;

-- Who may work on the queue of a branch: whoever took it last.
CREATE TABLE landing_targets (
    tenant  TEXT    NOT NULL,
    project TEXT    NOT NULL,
    branch  TEXT    NOT NULL,
    epoch   INTEGER NOT NULL,
    PRIMARY KEY (tenant, project, branch)
) STRICT, WITHOUT ROWID;

-- What calls of models have reserved and spent. A call is here from its reservation on and outlives
-- its run: money that was spent stays spent. `usd` and `worst_usd` are NULL when no price is known;
-- the amounts without `worst_` are zero until it ends. `payer` is JSON.
CREATE TABLE ledger_calls (
    owner          TEXT    NOT NULL,
    number         INTEGER NOT NULL,
    tenant         TEXT    NOT NULL,
    project        TEXT    NOT NULL,
    run            TEXT,
    at             INTEGER NOT NULL,
    state          TEXT    NOT NULL,
    worst_usd      INTEGER,
    worst_tokens   INTEGER NOT NULL,
    worst_requests INTEGER NOT NULL,
    usd            INTEGER,
    tokens         INTEGER NOT NULL,
    requests       INTEGER NOT NULL,
    payer          TEXT    NOT NULL,
    PRIMARY KEY (owner, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_calls_held ON ledger_calls (owner) WHERE state = 'held';
CREATE INDEX ledger_calls_by_run ON ledger_calls (run) WHERE run IS NOT NULL;

-- The sums of a scope: one row an hour, or one in all (period 0) for runs and their tasks.
CREATE TABLE ledger_sums (
    scope         TEXT    NOT NULL,
    period        INTEGER NOT NULL,
    tenant        TEXT    NOT NULL,
    project       TEXT    NOT NULL,
    used_usd      INTEGER NOT NULL,
    used_tokens   INTEGER NOT NULL,
    used_requests INTEGER NOT NULL,
    held_usd      INTEGER NOT NULL,
    held_tokens   INTEGER NOT NULL,
    held_requests INTEGER NOT NULL,
    PRIMARY KEY (scope, period)
) STRICT, WITHOUT ROWID;

-- The processes that have reservations: one that does not renew its lease is taken to be dead.
CREATE TABLE ledger_owners (
    owner   TEXT    PRIMARY KEY,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What was spent before there was a ledger counts too. Sums in floating point cannot overflow, and
-- are exact up to nine billion dollars.
WITH RECURSIVE
above (n, run) AS (
    SELECT n, id FROM runs
    UNION
    SELECT above.n, runs.parent FROM above JOIN runs ON runs.id = above.run
    WHERE runs.parent IS NOT NULL
),
spent AS (
    SELECT s.place >> 32 AS n, r.id AS run, s.task, s.tenant, s.project, s.agent, s.provider,
        s.at - s.at % 3600000 AS hour, s.cost, s.requests,
        s.input + s.cache_read + s.cache_write + s.output AS tokens
    FROM spend s JOIN runs r ON r.n = s.place >> 32
),
shares (scope, period, tenant, project, cost, tokens, requests) AS (
    SELECT 'tenant/' || tenant, hour, tenant, project, cost, tokens, requests FROM spent
    UNION ALL
    SELECT 'project/' || tenant || '/' || project, hour, tenant, project, cost, tokens, requests
    FROM spent
    UNION ALL
    SELECT 'agent/' || tenant || '/' || project || '/' || agent, hour, tenant, project, cost,
        tokens, requests FROM spent
    UNION ALL
    SELECT 'account/' || tenant || '/' || project || '/' || provider, hour, tenant, project, cost,
        tokens, requests FROM spent
    UNION ALL
    SELECT 'task/' || run || '/' || task, 0, tenant, project, cost, tokens, requests FROM spent
    UNION ALL
    SELECT 'run/' || above.run, 0, tenant, project, cost, tokens, requests
    FROM spent JOIN above ON above.n = spent.n
)
INSERT INTO ledger_sums
    SELECT scope, period, min(tenant), min(project),
        CAST(min(total(cost), 9e15) AS INTEGER),
        CAST(min(total(tokens), 9e15) AS INTEGER),
        CAST(min(total(requests), 9e15) AS INTEGER), 0, 0, 0
    FROM shares GROUP BY scope, period;

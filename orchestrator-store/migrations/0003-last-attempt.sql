-- A task's row has its last attempt beside it: what changes together is one row, and a commit
-- writes one page for it. `attempts` keeps the earlier ones, and those of tasks without a row.
ALTER TABLE tasks ADD COLUMN attempt INTEGER;
ALTER TABLE tasks ADD COLUMN attempt_agent TEXT;
ALTER TABLE tasks ADD COLUMN attempt_at INTEGER;
ALTER TABLE tasks ADD COLUMN attempt_seq INTEGER;
ALTER TABLE tasks ADD COLUMN attempt_body TEXT;
UPDATE tasks SET (attempt, attempt_agent, attempt_at, attempt_seq, attempt_body) =
    (SELECT a.number, a.agent, a.started_at, a.first_seq, a.body FROM attempts a
     WHERE a.run = tasks.run AND a.task = tasks.name ORDER BY a.number DESC LIMIT 1);
DELETE FROM attempts WHERE number =
    (SELECT t.attempt FROM tasks t WHERE t.run = attempts.run AND t.name = attempts.task);
CREATE INDEX tasks_by_agent ON tasks (attempt_agent, attempt_at) WHERE attempt IS NOT NULL;

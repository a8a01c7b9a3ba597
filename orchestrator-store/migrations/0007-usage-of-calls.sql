-- What a settled call has used, by kind of token, as JSON; NULL when its settlement did not say.
ALTER TABLE ledger_calls ADD COLUMN usage TEXT;

-- Calls that are of no task: reports add them to what runs have spent.
CREATE INDEX ledger_calls_outside ON ledger_calls (at) WHERE payer ->> 'task' IS NULL;

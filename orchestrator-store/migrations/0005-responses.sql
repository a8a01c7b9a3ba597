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

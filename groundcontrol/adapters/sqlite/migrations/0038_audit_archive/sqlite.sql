-- Old rows of the audit log, packed. A pack has the rows first_n to last_n of a chain without a gap; the first and the last row of each chain
-- stay in `audit`. Rows of all organisations, as their chain has them.
CREATE TABLE audit_pack (
    chain TEXT NOT NULL,
    first_n INTEGER NOT NULL,
    last_n INTEGER NOT NULL,
    prev BLOB NOT NULL,                 -- the hash of the row before first_n
    body BLOB NOT NULL,                 -- zlib of MessagePack
    PRIMARY KEY (chain, first_n)
) STRICT;

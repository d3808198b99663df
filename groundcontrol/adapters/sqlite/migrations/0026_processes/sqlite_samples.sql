-- The busiest and the largest processes of each past minute, a quarter of an hour in a row.
CREATE TABLE process_span (
    node INTEGER NOT NULL,
    span INTEGER NOT NULL,              -- 900 s each, by the node's clock
    readings BLOB NOT NULL,             -- zlib of JSON, oldest first
    PRIMARY KEY (node, span)
) STRICT;
CREATE INDEX process_span_by_age ON process_span (span);

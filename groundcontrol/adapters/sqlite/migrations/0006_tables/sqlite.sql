-- What nodes say of themselves that is no number over time: the newest of each subject, and what is installed.
CREATE TABLE node_table (
    org INTEGER NOT NULL,
    node INTEGER NOT NULL REFERENCES node (no) ON DELETE CASCADE,
    subject TEXT NOT NULL,
    taken_at REAL NOT NULL,
    total INTEGER NOT NULL,
    columns TEXT NOT NULL,              -- JSON
    cells BLOB NOT NULL,                -- zlib of JSON, row by row
    PRIMARY KEY (org, node, subject)
) STRICT;
CREATE INDEX node_table_by_node ON node_table (node);

-- One state of a node's packages, named by its digest.
CREATE TABLE node_packages (
    org INTEGER NOT NULL,
    node INTEGER NOT NULL REFERENCES node (no) ON DELETE CASCADE,
    digest TEXT NOT NULL,
    taken_at REAL NOT NULL,
    count INTEGER NOT NULL,
    packages BLOB NOT NULL,             -- zlib of a JSON object: version by name, sorted
    PRIMARY KEY (org, node)
) STRICT;
CREATE INDEX node_packages_by_node ON node_packages (node);

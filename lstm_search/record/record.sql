-- One study. Columns of trials have the names of the values of a trial (`Trial.plain`). Times are ISO 8601, UTC; nested values are JSON; keys and digests are SHA-256 in hex.

CREATE TABLE environments ( -- versions of everything, processor, commit
    id INTEGER PRIMARY KEY,
    description TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE study (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    name TEXT NOT NULL,
    seed TEXT NOT NULL, -- decimal: a seed may exceed 63 bits
    schema_version INTEGER NOT NULL,
    numerics_version INTEGER NOT NULL,
    title TEXT NOT NULL,
    config TEXT NOT NULL, -- the exact configurations it was made and grown with, YAML documents
    created TEXT NOT NULL,
    environment INTEGER NOT NULL REFERENCES environments (id)
) STRICT;

CREATE TABLE cells (
    digest TEXT PRIMARY KEY,
    description TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rows (
    name TEXT PRIMARY KEY,
    ordinal INTEGER NOT NULL,
    cell TEXT NOT NULL REFERENCES cells (digest),
    replicates INTEGER NOT NULL, -- the most that was ever asked for
    cap INTEGER NOT NULL, -- what was asked for last
    "table" TEXT NOT NULL,
    published TEXT NOT NULL,
    readings TEXT NOT NULL,
    altered TEXT NOT NULL,
    first INTEGER NOT NULL DEFAULT 0, -- number of its first replicate
    purpose TEXT NOT NULL DEFAULT 'report' CHECK (purpose IN ('report', 'tune', 'race'))
) STRICT;

CREATE TABLE candidates ( -- the points of a search's space that were met, in that order
    ordinal INTEGER PRIMARY KEY,
    point TEXT NOT NULL, -- settings by key
    rows TEXT NOT NULL, -- names of the rows that have them: one, several in a joint search
    proposer TEXT NOT NULL,
    reason TEXT NOT NULL, -- for which it got no further trials; empty while it may get some
    UNIQUE (point, rows)
) STRICT;

CREATE TABLE trials (
    key TEXT PRIMARY KEY,
    cell TEXT NOT NULL REFERENCES cells (digest),
    replicate INTEGER NOT NULL,
    cap INTEGER NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('SOLVED', 'CAPPED', 'DIVERGED', 'FAILED', 'TIMEOUT', 'OOM', 'LOST')),
    sequences INTEGER NOT NULL,
    steps INTEGER NOT NULL,
    seconds REAL NOT NULL,
    curve BLOB NOT NULL, -- 24 bytes a point, little endian: sequences (int64), error, fraction wrong (float64)
    weights_sha256 TEXT NOT NULL,
    error TEXT NOT NULL,
    host TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    environment INTEGER NOT NULL REFERENCES environments (id),
    finished_at TEXT NOT NULL,
    digest TEXT NOT NULL DEFAULT '', -- `Trial.digest`; earlier releases wrote none
    weights BLOB NOT NULL, -- npz; last, so that reading the other columns skips it
    UNIQUE (cell, replicate)
) STRICT;

CREATE TABLE milestones (
    key TEXT NOT NULL REFERENCES trials (key) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    name TEXT NOT NULL,
    sequences INTEGER NOT NULL,
    test_sequences INTEGER NOT NULL,
    test_wrong INTEGER NOT NULL,
    test_error ANY NOT NULL, -- a number; 'nan' and '-0.0', which SQLite would change, as text
    PRIMARY KEY (key, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts ( -- those that were lost: worker dead, out of memory, out of time
    key TEXT NOT NULL,
    number INTEGER NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    settled INTEGER NOT NULL, -- 1: the trial has got a terminal state since, so this no longer counts against it
    PRIMARY KEY (key, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE archive ( -- superseded trials, without their weights
    id INTEGER PRIMARY KEY,
    reason TEXT NOT NULL,
    archived_at TEXT NOT NULL,
    milestones TEXT NOT NULL,
    key TEXT NOT NULL,
    cell TEXT NOT NULL,
    replicate INTEGER NOT NULL,
    cap INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    sequences INTEGER NOT NULL,
    steps INTEGER NOT NULL,
    seconds REAL NOT NULL,
    curve BLOB NOT NULL,
    weights_sha256 TEXT NOT NULL,
    error TEXT NOT NULL,
    host TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    environment INTEGER NOT NULL,
    finished_at TEXT NOT NULL
) STRICT;

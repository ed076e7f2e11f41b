"""The tables. A place is one integer: the number of a queue or partition above the order within it."""

from __future__ import annotations

APPLICATION = 0x666E6672
"""The application id in the file's header: `fnfr`."""
VERSION = 1

SPAN = 1 << 40
"""Places of one queue or partition: its number times this, plus a count from 1."""

TABLES = """
CREATE TABLE queue (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    held INTEGER NOT NULL DEFAULT 0,    -- messages that are not settled
    last INTEGER NOT NULL               -- the last place or turn that was given
) STRICT;

CREATE TABLE message (
    place INTEGER PRIMARY KEY,          -- in the order of acceptance
    id TEXT NOT NULL,
    body BLOB,                          -- NULL: in the file
    file TEXT,
    grp TEXT,
    accepted REAL NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 1,
    lost INTEGER NOT NULL DEFAULT 0,
    turn INTEGER,                       -- it can be had, in this order; of a group only the first has one
    due REAL,                           -- it is delayed until then
    until REAL,                         -- it is lent until then on the monotonic scale, under this number
    lease INTEGER
) STRICT;
CREATE INDEX ready ON message (turn) WHERE turn IS NOT NULL;
CREATE INDEX delayed ON message (due) WHERE due IS NOT NULL;
CREATE INDEX lent ON message (until) WHERE until IS NOT NULL;
CREATE INDEX grouped ON message (grp, place) WHERE grp IS NOT NULL;
CREATE INDEX lent_of_group ON message (grp, place) WHERE grp IS NOT NULL AND until IS NOT NULL;

CREATE TABLE dead (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    queue INTEGER NOT NULL,
    id TEXT NOT NULL,
    body BLOB,
    file TEXT,
    grp TEXT,
    accepted REAL NOT NULL,
    attempt INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    died REAL NOT NULL,
    reason TEXT NOT NULL,
    error BLOB NOT NULL,
    UNIQUE (queue, id)
) STRICT;

CREATE TABLE seen (                     -- ids that were accepted
    number INTEGER PRIMARY KEY,         -- in the order of acceptance
    owner INTEGER NOT NULL,             -- a queue, or minus a stream
    id TEXT NOT NULL,
    moment REAL NOT NULL,
    place INTEGER,                      -- of the message
    UNIQUE (owner, id)
) STRICT;

CREATE TABLE stream (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    partitions INTEGER NOT NULL
) STRICT;

CREATE TABLE partition (
    number INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    part INTEGER NOT NULL,
    first INTEGER NOT NULL,             -- the first position that is kept
    last INTEGER NOT NULL,
    UNIQUE (stream, part)
) STRICT;

CREATE TABLE record (
    place INTEGER PRIMARY KEY,          -- the partition's number and the position
    key TEXT NOT NULL,
    id TEXT NOT NULL,
    body BLOB,
    file TEXT,
    accepted REAL NOT NULL
) STRICT;

CREATE INDEX file_of_message ON message (file) WHERE file IS NOT NULL;
CREATE INDEX file_of_dead ON dead (file) WHERE file IS NOT NULL;
CREATE INDEX file_of_record ON record (file) WHERE file IS NOT NULL;

CREATE TABLE claim (
    partition INTEGER NOT NULL,
    consumers TEXT NOT NULL,            -- the group that reads
    checkpoint BLOB NOT NULL DEFAULT x'',
    until REAL,                         -- claimed until then on the monotonic scale, under this number
    claim INTEGER,
    PRIMARY KEY (partition, consumers)
) STRICT, WITHOUT ROWID;

CREATE TABLE consumer (
    stream INTEGER NOT NULL,
    consumers TEXT NOT NULL,
    name TEXT NOT NULL,
    until REAL NOT NULL,
    PRIMARY KEY (stream, consumers, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE state (
    name TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (name, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE waiting (                  -- engines with somebody who waits, in the order of their waiting
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    channel INTEGER NOT NULL,           -- a queue, or minus a partition
    engine TEXT NOT NULL,
    wanted INTEGER NOT NULL,            -- so many messages
    UNIQUE (channel, engine)
) STRICT;
"""

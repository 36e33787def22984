-- The index: what the streams say, findable, plus the work in hand. `yellowbus rebuild` makes it again.

-- schema
CREATE TABLE IF NOT EXISTS record (         -- the newest change of each record, as CHANGES has it
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    entity TEXT NOT NULL,
    rev INTEGER NOT NULL,
    seq INTEGER NOT NULL UNIQUE,            -- its sequence on CHANGES
    body BLOB NOT NULL,
    seen BLOB                               -- what systems said since, where that made no change
);
CREATE TABLE IF NOT EXISTS link (           -- the crosswalk: a system's own id -> key
    system TEXT NOT NULL,
    entity TEXT NOT NULL,
    local_id TEXT NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (system, entity, local_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger (         -- what each destination holds
    destination TEXT NOT NULL,
    record INTEGER NOT NULL,                -- by record.id: keys are random, and random pages are slow to write
    rev INTEGER NOT NULL,                   -- settled up to this rev
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,                   -- the version it holds
    hash TEXT NOT NULL,                     -- of the content it holds; '' when it holds nothing
    local_id TEXT NOT NULL,
    PRIMARY KEY (destination, record)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS work (           -- records to bring up to date, first marked first
    destination TEXT NOT NULL,
    turn INTEGER NOT NULL,                  -- the sequence on CHANGES that put it there
    record INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    since_ms INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    not_before_ms INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (destination, turn),
    UNIQUE (destination, record)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS work_later ON work (destination, not_before_ms) WHERE not_before_ms > 0;
CREATE TABLE IF NOT EXISTS outbox (         -- decided and committed, not yet known to be on the bus
    id INTEGER PRIMARY KEY,
    subject TEXT NOT NULL,
    msg_id TEXT NOT NULL,
    body BLOB NOT NULL,
    traceparent TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS position (       -- 'events', 'changes', 'epoch', 'schema'
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS setback (        -- starts in which handling this event raised
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,
    starts INTEGER NOT NULL,
    PRIMARY KEY (stream, seq)
) WITHOUT ROWID;

-- save_records: a record's newest change; what was seen since starts anew
INSERT INTO record (key, entity, rev, seq, body) VALUES {rows}
ON CONFLICT (key) DO UPDATE SET rev = excluded.rev, seq = excluded.seq, body = excluded.body, seen = NULL
WHERE excluded.seq > seq;

-- save_seen: what systems said of a record, where it made no change
WITH said (key, seen) AS (VALUES {rows})
UPDATE record SET seen = said.seen FROM said WHERE record.key = said.key;

-- save_links
INSERT INTO link (system, entity, local_id, key) VALUES {rows}
ON CONFLICT DO UPDATE SET key = excluded.key;

-- save_positions
INSERT INTO position (name, value) VALUES {rows}
ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value);

-- mark: put the records whose newest change stands in a part of CHANGES on a work list. A record whose newest
-- change comes later is marked with that one; one that is settled already is not marked.
INSERT INTO work (destination, turn, record, rev, since_ms)
SELECT ?1, r.seq, r.id, r.rev, ?2 FROM record r
LEFT JOIN ledger l ON l.destination = ?1 AND l.record = r.id
WHERE r.seq BETWEEN ?3 AND ?4 AND r.entity IN (SELECT value FROM json_each(?5))
  AND (l.rev IS NULL OR l.rev < r.rev)
ORDER BY r.seq
ON CONFLICT DO UPDATE SET rev = max(rev, excluded.rev), attempt = 0, not_before_ms = 0;

-- save_ledger
INSERT INTO ledger (destination, record, rev, epoch, seq, hash, local_id) VALUES {rows}
ON CONFLICT (destination, record) DO UPDATE SET rev = excluded.rev, epoch = excluded.epoch, seq = excluded.seq,
    hash = excluded.hash, local_id = excluded.local_id;

-- settle_work: take records off the list, unless they were marked again with a newer rev meanwhile
WITH done (destination, turn, rev) AS (VALUES {rows})
DELETE FROM work WHERE (destination, turn) IN (
    SELECT w.destination, w.turn FROM done d
    JOIN work w ON w.destination = d.destination AND w.turn = d.turn WHERE w.rev <= d.rev);

-- postpone_work
WITH later (destination, turn, attempt, not_before_ms, reason) AS (VALUES {rows})
UPDATE work SET attempt = later.attempt, not_before_ms = later.not_before_ms, reason = later.reason
FROM later WHERE work.destination = later.destination AND work.turn = later.turn;

-- save_outbox
INSERT INTO outbox (id, subject, msg_id, body, traceparent) VALUES {rows};

-- clear_outbox
DELETE FROM outbox WHERE id IN (VALUES {rows});

-- save_setback
INSERT INTO setback (stream, seq, starts) VALUES {rows}
ON CONFLICT DO UPDATE SET starts = starts + 1;

-- load_records
WITH wanted (key) AS (VALUES {rows})
SELECT r.key, r.seq, r.body, r.seen FROM wanted w JOIN record r ON r.key = w.key;

-- load_links
WITH wanted (system, entity, local_id) AS (VALUES {rows})
SELECT l.system, l.entity, l.local_id, l.key FROM wanted w
JOIN link l ON l.system = w.system AND l.entity = w.entity AND l.local_id = w.local_id;

-- claim_work: what a worker may take now. One JSON value: fetched row by row, each row would let go of the
-- interpreter and wait to get it back.
SELECT json_group_array(
    json_array(turn, record, key, rev, attempt, since_ms, held_rev, epoch, seq, hash, local_id))
FROM (SELECT w.turn, w.record, r.key, w.rev, w.attempt, w.since_ms,
             l.rev AS held_rev, l.epoch, l.seq, l.hash, l.local_id
      FROM work w JOIN record r ON r.id = w.record
      LEFT JOIN ledger l ON l.destination = w.destination AND l.record = w.record
      WHERE w.destination = ? AND w.not_before_ms <= ? ORDER BY w.turn LIMIT ?);

-- next_due: when the first postponed record of a work list is due; it may have come due a moment ago
SELECT min(not_before_ms) FROM work WHERE destination = ? AND not_before_ms > 0;

-- own_ids: the ids that a destination has of its own for records
WITH wanted (key) AS (VALUES {rows})
SELECT r.key, l.local_id FROM wanted w JOIN record r ON r.key = w.key JOIN ledger l ON l.record = r.id
WHERE l.destination = ? AND l.local_id <> '';

-- work_count: all of a destination, of these postponed, since when the one first marked
SELECT (SELECT count(*) FROM work WHERE destination = ?1),
       (SELECT count(*) FROM work WHERE destination = ?1 AND not_before_ms > 0),
       (SELECT since_ms FROM work WHERE destination = ?1 ORDER BY turn LIMIT 1);

-- setbacks: starts in which handling this message raised
SELECT starts FROM setback WHERE stream = ? AND seq = ?;

-- any_own_id
SELECT 1 FROM ledger WHERE destination = ? AND local_id <> '' LIMIT 1;

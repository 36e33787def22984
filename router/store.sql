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
    since_ms INTEGER NOT NULL DEFAULT 0,    -- since when it holds that content
    given BLOB,                             -- what it was given and may not have taken up; only if it tells us too
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
    put TEXT NOT NULL DEFAULT '',           -- why it is there without a change: an id, as in restore.117
    force INTEGER NOT NULL DEFAULT 0,       -- 1: sent though the ledger says that it is there
    awaits TEXT NOT NULL DEFAULT '',        -- it waits until this destination
    awaited INTEGER NOT NULL DEFAULT 0,     -- has settled this record
    waits_ms INTEGER NOT NULL DEFAULT 0,    -- since when it waits
    PRIMARY KEY (destination, turn),
    UNIQUE (destination, record)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS work_later ON work (destination, not_before_ms) WHERE not_before_ms > 0;
CREATE INDEX IF NOT EXISTS work_awaits ON work (awaits, awaited) WHERE awaits <> '';
CREATE INDEX IF NOT EXISTS work_waits ON work (destination, awaits, waits_ms) WHERE awaits <> '';
CREATE INDEX IF NOT EXISTS work_put ON work (put) WHERE put <> '';
CREATE TABLE IF NOT EXISTS switched_off (   -- records that stay at a destination deactivated, and are to be deleted
    destination TEXT NOT NULL,
    record INTEGER NOT NULL,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (destination, record)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS switched_off_since ON switched_off (destination, since_ms);
CREATE TABLE IF NOT EXISTS changed (        -- every change, by its sequence: what a window of time holds
    seq INTEGER PRIMARY KEY,
    entity TEXT NOT NULL,
    record INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS ended (          -- deliveries that ended: a row for all of a commit
    id INTEGER PRIMARY KEY,
    destination TEXT NOT NULL,
    entity TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    told TEXT NOT NULL,                     -- JSON: the records that it took
    others TEXT NOT NULL                    -- JSON: those that it did not need, want, or take
);
CREATE INDEX IF NOT EXISTS ended_by_time ON ended (destination, at_ms);
CREATE TABLE IF NOT EXISTS job (            -- replays and their like, and how far each is
    id TEXT PRIMARY KEY,                    -- as in replay.12: what its puts are called
    number INTEGER NOT NULL,
    destination TEXT NOT NULL,
    body TEXT NOT NULL,                     -- JSON: what was asked, by whom, why; STATE has it too
    state TEXT NOT NULL,
    after INTEGER NOT NULL,                 -- a record.id: those up to it are put
    put INTEGER NOT NULL,                   -- how many
    total INTEGER NOT NULL,                 -- of how many; -1: not counted yet
    changed_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS job_report (     -- what a job has found that looks before it puts
    job TEXT PRIMARY KEY,
    body TEXT NOT NULL                      -- JSON: counts, and the names of fields; no values
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pause (          -- destinations to which a person lets nothing go; STATE has it too
    destination TEXT PRIMARY KEY,
    since_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,              -- 0: until a person resumes it
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    told_ms INTEGER NOT NULL                -- when people were last told that it has no end
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rules (          -- by which rules destinations are told
    destination TEXT PRIMARY KEY,           -- '': which references the table referrer has
    written TEXT NOT NULL                   -- a hash of what its file says of records
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS job_outcome (    -- how its puts ended
    job TEXT NOT NULL,
    outcome TEXT NOT NULL,
    records INTEGER NOT NULL,
    PRIMARY KEY (job, outcome)
) WITHOUT ROWID;
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
CREATE TABLE IF NOT EXISTS failure (        -- records that a destination lacks: their delivery failed
    destination TEXT NOT NULL,
    record INTEGER NOT NULL,
    rev INTEGER NOT NULL,                   -- that failed; its dead letter has the same
    seq INTEGER NOT NULL,                   -- of that change on CHANGES: its dead letter's id has it
    at_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (destination, record)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS matching (       -- by which tokens live records are recognised
    token TEXT NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (token, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unmatched (      -- events of records that nobody could tell
    system TEXT NOT NULL,
    entity TEXT NOT NULL,
    local_id TEXT NOT NULL,
    event_seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    candidates TEXT NOT NULL,               -- JSON: the keys that it may be
    body BLOB NOT NULL,
    PRIMARY KEY (system, entity, local_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dismissed (      -- what a person has said is no record, with the newest event of it
    system TEXT NOT NULL,
    entity TEXT NOT NULL,
    local_id TEXT NOT NULL,
    event_seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (system, entity, local_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS waiting (        -- what would match them
    token TEXT NOT NULL,
    system TEXT NOT NULL,
    entity TEXT NOT NULL,
    local_id TEXT NOT NULL,
    PRIMARY KEY (token, system, entity, local_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS conflict (
    id TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    state TEXT NOT NULL,                    -- asked: a person's turn; settled: by a rule; picked: by a person
    body BLOB NOT NULL                      -- holds values
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS conflict_by_key ON conflict (key, at_ms);
CREATE INDEX IF NOT EXISTS conflict_by_time ON conflict (at_ms);
CREATE TABLE IF NOT EXISTS timetable (      -- when an owner of a record's fields may be another one
    key TEXT PRIMARY KEY,
    at_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS timetable_by_time ON timetable (at_ms);
CREATE TABLE IF NOT EXISTS loose (          -- references to what is not there yet, by the id that a system has of it
    system TEXT NOT NULL,
    local_id TEXT NOT NULL,
    key TEXT NOT NULL,                      -- of the record that refers to it
    PRIMARY KEY (system, local_id, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS referrer (       -- which records others refer to by a required reference
    target INTEGER NOT NULL,
    record INTEGER NOT NULL,                -- that refers to it
    past INTEGER NOT NULL,                  -- 1: it did; a destination may still have it so
    PRIMARY KEY (target, record)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS moved (          -- records on whose dates others depend, and how far these were looked at
    key TEXT PRIMARY KEY,
    after INTEGER NOT NULL DEFAULT 0        -- a record.id
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS takeup (         -- what a system that takes up late was given: when to look whether it has
    destination TEXT NOT NULL,
    record INTEGER NOT NULL,                -- by record.id
    due_ms INTEGER NOT NULL,
    late INTEGER NOT NULL DEFAULT 0,        -- 1: its time has passed, and a person was told of that system
    PRIMARY KEY (destination, record)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hourly (         -- causes of which an alert was told within the hour
    cause TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    system TEXT NOT NULL,
    begun_ms INTEGER NOT NULL,
    more INTEGER NOT NULL,                  -- how many followed, and were not told
    text TEXT NOT NULL
) WITHOUT ROWID;

-- save_records: a record's newest change; what was seen since starts anew
INSERT INTO record (key, entity, rev, seq, body) VALUES {rows}
ON CONFLICT (key) DO UPDATE SET rev = excluded.rev, seq = excluded.seq, body = excluded.body, seen = NULL
WHERE excluded.seq > seq;

-- save_changed
WITH said (seq, key) AS (VALUES {rows})
INSERT INTO changed (seq, entity, record) SELECT s.seq, r.entity, r.id FROM said s JOIN record r ON r.key = s.key
WHERE true ON CONFLICT DO NOTHING;

-- changed_before: is there one?
SELECT 1 FROM changed WHERE seq < ? LIMIT 1;

-- forget_changed: the oldest, some at a time
DELETE FROM changed WHERE seq IN (SELECT seq FROM changed WHERE seq < ? ORDER BY seq LIMIT ?);

-- save_seen: what systems said of a record, where it made no change
WITH said (key, seen) AS (VALUES {rows})
UPDATE record SET seen = said.seen FROM said WHERE record.key = said.key;

-- save_links
INSERT INTO link (system, entity, local_id, key) VALUES {rows}
ON CONFLICT DO UPDATE SET key = excluded.key;

-- names_of: all ids of one record; reads the whole table, so for people's decisions only
SELECT system, entity, local_id FROM link WHERE key = ?;

-- naming: records of these entities (JSON) whose newest change has this key in it somewhere; reads all of them,
-- so for people's decisions only
SELECT key FROM record WHERE entity IN (SELECT value FROM json_each(?1)) AND instr(body, CAST(?2 AS BLOB)) > 0
ORDER BY key;

-- forget_links
WITH gone (system, entity, local_id) AS (VALUES {rows})
DELETE FROM link WHERE (system, entity, local_id) IN (SELECT system, entity, local_id FROM gone);

-- save_matching
INSERT INTO matching (token, key) VALUES {rows} ON CONFLICT DO NOTHING;

-- forget_matching
DELETE FROM matching WHERE (token, key) IN (VALUES {rows});

-- matching: the records that a token stands for
SELECT key FROM matching WHERE token = ?;

-- save_unmatched
INSERT INTO unmatched (system, entity, local_id, event_seq, at_ms, candidates, body) VALUES {rows}
ON CONFLICT DO UPDATE SET event_seq = excluded.event_seq, at_ms = excluded.at_ms,
    candidates = excluded.candidates, body = excluded.body;

-- save_dismissed
INSERT INTO dismissed (system, entity, local_id, event_seq, at_ms, body) VALUES {rows}
ON CONFLICT DO UPDATE SET event_seq = excluded.event_seq, body = excluded.body;

-- forget_dismissed
DELETE FROM dismissed WHERE (system, entity, local_id) IN (VALUES {rows});

-- dismissed_body
SELECT body FROM dismissed WHERE system = ? AND entity = ? AND local_id = ?;

-- dismissed: the newest first
SELECT system, entity, local_id, event_seq, at_ms, '[]', body FROM dismissed
WHERE ?1 = '' OR system = ?1 ORDER BY at_ms DESC, system, entity, local_id LIMIT ?2 OFFSET ?3;

-- forget_unmatched
DELETE FROM unmatched WHERE (system, entity, local_id) IN (VALUES {rows});

-- forget_waiting
DELETE FROM waiting WHERE (system, entity, local_id) IN (VALUES {rows});

-- save_waiting
INSERT INTO waiting (token, system, entity, local_id) VALUES {rows} ON CONFLICT DO NOTHING;

-- waiting_for: what would be matched by a record with this token
SELECT u.system, u.entity, u.local_id, u.body FROM waiting w
JOIN unmatched u ON u.system = w.system AND u.entity = w.entity AND u.local_id = w.local_id
WHERE w.token = ?;

-- unmatched_body
SELECT body FROM unmatched WHERE system = ? AND entity = ? AND local_id = ?;

-- unmatched: the newest first
SELECT system, entity, local_id, event_seq, at_ms, candidates, body FROM unmatched
WHERE ?1 = '' OR system = ?1 ORDER BY at_ms DESC, system, entity, local_id LIMIT ?2 OFFSET ?3;

-- still_unmatched
WITH wanted (system, entity, local_id) AS (VALUES {rows})
SELECT DISTINCT u.system, u.entity, u.local_id FROM wanted w
JOIN unmatched u ON u.system = w.system AND u.entity = w.entity AND u.local_id = w.local_id;

-- stopped: of those, and of what is dismissed, the ones that the crosswalk knows
SELECT u.system, u.entity, u.local_id
FROM (SELECT system, entity, local_id FROM unmatched UNION SELECT system, entity, local_id FROM dismissed) u
JOIN link l ON l.system = u.system AND l.entity = u.entity AND l.local_id = u.local_id;

-- unmatched_count
SELECT count(*) FROM unmatched;

-- save_conflicts: told once, whoever tells it again
INSERT INTO conflict (id, key, at_ms, state, body) VALUES {rows} ON CONFLICT DO NOTHING;

-- picked: of these (key, field) a person has decided
WITH picked (key) AS (VALUES {rows})
UPDATE conflict SET state = 'picked' WHERE state = 'asked' AND key IN (SELECT key FROM picked);

-- conflicts: the newest first
SELECT id, key, at_ms, state, body FROM conflict
WHERE (?1 = '' OR state = ?1) AND (?2 = '' OR key = ?2) ORDER BY at_ms DESC, id LIMIT ?3 OFFSET ?4;

-- conflict
SELECT id, key, at_ms, state, body FROM conflict WHERE id = ?;

-- save_instants
INSERT INTO timetable (key, at_ms) VALUES {rows} ON CONFLICT DO UPDATE SET at_ms = excluded.at_ms;

-- forget_instants
DELETE FROM timetable WHERE key IN (VALUES {rows});

-- due: records whose instant has come, in order
SELECT key, at_ms FROM timetable WHERE at_ms <= ? ORDER BY at_ms, key LIMIT ?;

-- next_instant
SELECT min(at_ms) FROM timetable;

-- save_loose
INSERT INTO loose (system, local_id, key) VALUES {rows} ON CONFLICT DO NOTHING;

-- forget_loose
DELETE FROM loose WHERE (system, local_id, key) IN (VALUES {rows});

-- loose
SELECT key FROM loose WHERE system = ? AND local_id = ?;

-- loose_names
SELECT DISTINCT system, local_id FROM loose;

-- save_referrers
WITH said (target, key, past) AS (VALUES {rows})
INSERT INTO referrer (target, record, past)
SELECT t.id, r.id, s.past FROM said s JOIN record t ON t.key = s.target JOIN record r ON r.key = s.key WHERE true
ON CONFLICT DO UPDATE SET past = excluded.past;

-- past_referrers: those that refer still are said anew
UPDATE referrer SET past = 1;

-- standing_on: of these records those on which others stand at a destination that have to go first (their
-- entities as JSON), with the one of these whose turn is last. One that is not on the work list will be: it
-- follows, or has changed (its rev) and is not marked yet.
WITH wanted (destination, target, entities) AS (VALUES {rows})
SELECT w.target, r.id, r.key, l.rev, l.hash, k.turn IS NOT NULL OR (x.reason IS NULL AND NOT f.past), ifnull(x.reason, ''),
       max(ifnull(k.turn, iif(x.reason IS NULL, r.seq, 0)))
FROM wanted w JOIN referrer f ON f.target = w.target JOIN record r ON r.id = f.record
JOIN ledger l ON l.destination = w.destination AND l.record = f.record AND l.hash <> ''
LEFT JOIN work k ON k.destination = w.destination AND k.record = f.record
LEFT JOIN failure x ON x.destination = w.destination AND x.record = f.record
WHERE r.entity IN (SELECT value FROM json_each(w.entities))
  AND (NOT f.past OR k.turn IS NOT NULL OR x.reason IS NOT NULL OR r.rev > l.rev)
GROUP BY w.target;

-- put_followers: what refers to these records on a work list without a change of it: what a destination has
-- (there = 1), because these go, or what it has not, because these have come. What failed is a person's turn.
WITH wanted (destination, target, entities, there, put, since_ms) AS (VALUES {rows})
INSERT INTO work (destination, turn, record, rev, since_ms, put)
SELECT w.destination, r.seq, r.id, r.rev, w.since_ms, w.put
FROM wanted w JOIN referrer f ON f.target = w.target AND NOT f.past JOIN record r ON r.id = f.record
JOIN ledger l ON l.destination = w.destination AND l.record = f.record AND (l.hash <> '') = w.there
WHERE r.entity IN (SELECT value FROM json_each(w.entities)) AND NOT EXISTS (
    SELECT 1 FROM failure x WHERE x.destination = w.destination AND x.record = f.record)
ON CONFLICT DO UPDATE SET reason = iif(awaits = '', reason, ''), awaits = '';

-- save_moved: it moves again: from the start
INSERT INTO moved (key) VALUES {rows} ON CONFLICT DO UPDATE SET after = 0;

-- moved
SELECT key, after FROM moved ORDER BY key LIMIT 1;

-- move_on: as far as was looked at, unless it has moved again meanwhile
WITH on_ (key, before, after) AS (VALUES {rows})
UPDATE moved SET after = on_.after FROM on_ WHERE moved.key = on_.key AND moved.after = on_.before;

-- forget_moved
DELETE FROM moved WHERE (key, after) IN (VALUES {rows});

-- keys_of: records of these entities (JSON), some hundreds at a time
SELECT id, key FROM record WHERE id > ? AND entity IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?;

-- save_takeup
INSERT INTO takeup (destination, record, due_ms) VALUES {rows} ON CONFLICT DO NOTHING;

-- takeup_due
SELECT t.record, r.key, t.late FROM takeup t JOIN record r ON r.id = t.record
WHERE t.destination = ? AND t.due_ms <= ? ORDER BY t.due_ms LIMIT ?;

-- any_late
SELECT 1 FROM takeup WHERE destination = ? AND late = 1 LIMIT 1;

-- forget_takeup
DELETE FROM takeup WHERE (destination, record) IN (VALUES {rows});

-- move_takeup
WITH moved (destination, record, due_ms, late) AS (VALUES {rows})
UPDATE takeup SET due_ms = moved.due_ms, late = moved.late FROM moved
WHERE takeup.destination = moved.destination AND takeup.record = moved.record;

-- hourly
SELECT cause, kind, system, begun_ms, more, text FROM hourly WHERE cause = ?;

-- save_hourly
INSERT INTO hourly (cause, kind, system, begun_ms, more, text) VALUES {rows}
ON CONFLICT DO UPDATE SET begun_ms = excluded.begun_ms, more = excluded.more, text = excluded.text;

-- hourly_ended
SELECT cause, kind, system, begun_ms, more, text FROM hourly WHERE begun_ms <= ? ORDER BY begun_ms, cause LIMIT ?;

-- forget_hourly: unless one more has come meanwhile
DELETE FROM hourly WHERE (cause, more) IN (VALUES {rows});

-- put: records on a work list without a change of them. One that is there already is brought up to date anyway.
WITH wanted (destination, key, put, since_ms) AS (VALUES {rows})
INSERT INTO work (destination, turn, record, rev, since_ms, put)
SELECT w.destination, r.seq, r.id, r.rev, w.since_ms, w.put FROM wanted w JOIN record r ON r.key = w.key WHERE true
ON CONFLICT DO UPDATE SET put = excluded.put, attempt = 0, not_before_ms = 0, awaits = '';

-- given: what a destination was given of records and may not have taken up
WITH wanted (key) AS (VALUES {rows})
SELECT r.key, l.given FROM wanted w JOIN record r ON r.key = w.key JOIN ledger l ON l.record = r.id
WHERE l.destination = ? AND l.given IS NOT NULL;

-- save_given
WITH said (destination, record, given) AS (VALUES {rows})
UPDATE ledger SET given = said.given FROM said
WHERE ledger.destination = said.destination AND ledger.record = said.record;

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
ON CONFLICT DO UPDATE SET rev = max(rev, excluded.rev), attempt = 0, not_before_ms = 0, awaits = '';

-- save_ledger
INSERT INTO ledger (destination, record, rev, epoch, seq, hash, local_id, since_ms) VALUES {rows}
ON CONFLICT (destination, record) DO UPDATE SET rev = excluded.rev, epoch = excluded.epoch, seq = excluded.seq,
    hash = excluded.hash, local_id = excluded.local_id, since_ms = iif(hash = excluded.hash, since_ms, excluded.since_ms);

-- save_ended
INSERT INTO ended (destination, entity, at_ms, told, others) VALUES {rows};

-- ended_before: is there one?
SELECT 1 FROM ended WHERE id = (SELECT min(id) FROM ended) AND at_ms < ?;

-- forget_ended: the oldest, some at a time
DELETE FROM ended WHERE id IN (SELECT id FROM ended ORDER BY id LIMIT ?2) AND at_ms < ?1;

-- save_failures
INSERT INTO failure (destination, record, rev, seq, at_ms, attempts, reason) VALUES {rows}
ON CONFLICT DO UPDATE SET rev = excluded.rev, seq = excluded.seq, at_ms = excluded.at_ms,
    attempts = excluded.attempts, reason = excluded.reason;

-- failures: what destinations lack, the newest first; by destination, entity, key, a part of the reason, time
SELECT f.destination, f.record, r.key, f.rev, f.seq, f.at_ms, f.attempts, f.reason, r.rev
FROM failure f JOIN record r ON r.id = f.record
WHERE ?1 IN ('', f.destination) AND ?2 IN ('', r.entity) AND ?3 IN ('', r.key)
  AND (?4 = '' OR instr(f.reason, ?4) > 0) AND f.at_ms BETWEEN ?5 AND ?6
ORDER BY f.at_ms DESC, r.key, f.destination LIMIT ?7 OFFSET ?8;

-- failed_at: the record that a destination lacks since the change of that sequence on CHANGES
SELECT r.key FROM failure f JOIN record r ON r.id = f.record WHERE f.destination = ? AND f.seq = ?;

-- failures_count
SELECT count(*) FROM failure f JOIN record r ON r.id = f.record
WHERE ?1 IN ('', f.destination) AND ?2 IN ('', r.entity) AND ?3 IN ('', r.key)
  AND (?4 = '' OR instr(f.reason, ?4) > 0) AND f.at_ms BETWEEN ?5 AND ?6;

-- forget_failures
DELETE FROM failure WHERE (destination, record) IN (VALUES {rows});

-- failed_records
SELECT record FROM failure WHERE destination = ?;

-- failure_count
SELECT count(*) FROM failure WHERE destination = ?;

-- failure_of: why a destination lacks a record in its newest rev
SELECT f.rev, f.at_ms, f.attempts, f.reason FROM record r JOIN failure f ON f.record = r.id
WHERE f.destination = ? AND r.key = ?;

-- settle_work: take records off the list, unless they were marked again with a newer rev meanwhile, or put there
WITH done (destination, turn, rev, put) AS (VALUES {rows})
DELETE FROM work WHERE (destination, turn) IN (
    SELECT w.destination, w.turn FROM done d
    JOIN work w ON w.destination = d.destination AND w.turn = d.turn WHERE w.rev <= d.rev AND w.put = d.put);

-- settle_puts: what a put was for is done; its record stays on the list, if it was marked again with a newer rev
UPDATE work SET put = '', force = 0 WHERE (destination, turn, put) IN (VALUES {rows});

-- postpone_work
WITH later (destination, turn, attempt, not_before_ms, reason) AS (VALUES {rows})
UPDATE work SET attempt = later.attempt, not_before_ms = later.not_before_ms, reason = later.reason
FROM later WHERE work.destination = later.destination AND work.turn = later.turn;

-- there: what destinations have of records
WITH wanted (destination, record) AS (VALUES {rows})
SELECT w.destination, w.record, ifnull(l.rev, 0), ifnull(l.hash, ''),
       EXISTS (SELECT 1 FROM work k WHERE k.destination = w.destination AND k.record = w.record),
       ifnull((SELECT f.reason FROM failure f WHERE f.destination = w.destination AND f.record = w.record), '')
FROM wanted w LEFT JOIN ledger l ON l.destination = w.destination AND l.record = w.record;

-- there_by_key: the same, with the records' names here and their newest revs
WITH wanted (destination, key) AS (VALUES {rows})
SELECT r.key, r.id, r.rev, ifnull(l.rev, 0), ifnull(l.hash, ''),
       EXISTS (SELECT 1 FROM work k WHERE k.destination = w.destination AND k.record = r.id),
       ifnull((SELECT f.reason FROM failure f WHERE f.destination = w.destination AND f.record = r.id), ''),
       ifnull(l.local_id, '') <> ''
FROM wanted w JOIN record r ON r.key = w.key LEFT JOIN ledger l ON l.destination = w.destination AND l.record = r.id;

-- wait_work: unless it was marked anew, or what it waits for was settled, since that was looked at
WITH said (destination, turn, rev, put, awaits, awaited, waits_ms, reason, there_rev, there_hash, listed, failed) AS (VALUES {rows})
UPDATE work SET awaits = said.awaits, awaited = said.awaited, reason = said.reason, not_before_ms = 0,
    waits_ms = iif(work.waits_ms > 0, work.waits_ms, said.waits_ms)
FROM said LEFT JOIN ledger l ON l.destination = said.awaits AND l.record = said.awaited
WHERE work.destination = said.destination AND work.turn = said.turn AND work.rev = said.rev AND work.put = said.put
  AND ifnull(l.rev, 0) = said.there_rev AND ifnull(l.hash, '') = said.there_hash AND said.listed = EXISTS (
      SELECT 1 FROM work k WHERE k.destination = said.awaits AND k.record = said.awaited)
  AND said.failed = EXISTS (
      SELECT 1 FROM failure f WHERE f.destination = said.awaits AND f.record = said.awaited);

-- wake_work: what waits for these is looked at again
WITH done (awaits, awaited) AS (VALUES {rows})
UPDATE work SET awaits = '', reason = '' FROM done
WHERE work.awaits = done.awaits AND work.awaited = done.awaited AND work.awaits <> '';

-- release_work: nothing waits
UPDATE work SET awaits = '', reason = '' WHERE awaits <> '';

-- any_wait
SELECT 1 FROM work WHERE awaits <> '' LIMIT 1;

-- waits: for what records of a work list wait, how many, since when the first
SELECT awaits, count(*), min(waits_ms) FROM work WHERE destination = ? AND awaits <> '' GROUP BY awaits;

-- save_switched_off
INSERT INTO switched_off (destination, record, since_ms) VALUES {rows} ON CONFLICT DO NOTHING;

-- forget_switched_off
DELETE FROM switched_off WHERE (destination, record) IN (VALUES {rows});

-- switched_off: which of these are, and since when
WITH wanted (destination, record) AS (VALUES {rows})
SELECT s.record, s.since_ms FROM wanted w
JOIN switched_off s ON s.destination = w.destination AND s.record = w.record;

-- leavers: records of an entity that were switched off by then, and are not on the work list or failed
SELECT s.destination, r.key, 'delete-after.' || r.seq, ?4 FROM switched_off s JOIN record r ON r.id = s.record
WHERE s.destination = ?1 AND s.since_ms <= ?2 AND r.entity = ?3
  AND NOT EXISTS (SELECT 1 FROM failure f WHERE f.destination = s.destination AND f.record = s.record)
  AND NOT EXISTS (SELECT 1 FROM work w WHERE w.destination = s.destination AND w.record = s.record)
ORDER BY s.since_ms LIMIT ?5;

-- waited: how many of a work list wait since before then, and the first of them
SELECT count(*), min(waits_ms), reason FROM work WHERE destination = ? AND awaits <> '' AND waits_ms < ?;

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
    json_array(turn, record, key, rev, attempt, since_ms,
               json_array(held_rev, json_array(epoch, seq), hash, local_id), put, force))
FROM (SELECT w.turn, w.record, r.key, w.rev, w.attempt, w.since_ms, w.put, w.force,
             ifnull(l.rev, 0) AS held_rev, ifnull(l.epoch, 0) AS epoch, ifnull(l.seq, 0) AS seq,
             ifnull(l.hash, '') AS hash, ifnull(l.local_id, '') AS local_id
      FROM work w JOIN record r ON r.id = w.record
      LEFT JOIN ledger l ON l.destination = w.destination AND l.record = w.record
      WHERE w.destination = ? AND w.not_before_ms <= ? AND w.awaits = '' AND w.since_ms <= ? ORDER BY w.turn LIMIT ?);

-- next_due: when the first postponed record of a work list is due, of those on it since then or longer; it may
-- have come due a moment ago
SELECT min(not_before_ms) FROM work WHERE destination = ? AND not_before_ms > 0 AND since_ms <= ?;

-- own_ids: the ids that a destination has of its own for records
WITH wanted (key) AS (VALUES {rows})
SELECT r.key, l.local_id FROM wanted w JOIN record r ON r.key = w.key JOIN ledger l ON l.record = r.id
WHERE l.destination = ? AND l.local_id <> '';

-- ledger_of: what a destination holds of one record
SELECT l.rev, l.hash, l.local_id, l.since_ms FROM record r JOIN ledger l ON l.record = r.id
WHERE l.destination = ? AND r.key = ?;

-- work_of: what a destination waits with of one record
SELECT w.since_ms, w.attempt, w.not_before_ms, w.reason, w.awaits, w.waits_ms FROM record r JOIN work w ON w.record = r.id
WHERE w.destination = ? AND r.key = ?;

-- work_count: all of a destination, of these postponed, since when the one first marked
SELECT (SELECT count(*) FROM work WHERE destination = ?1),
       (SELECT count(*) FROM work WHERE destination = ?1 AND not_before_ms > 0),
       (SELECT since_ms FROM work WHERE destination = ?1 ORDER BY turn LIMIT 1);

-- postponed: of a work list, and since when the first of them is on it
SELECT count(*), min(since_ms) FROM work WHERE destination = ? AND not_before_ms > 0;

-- ready: what waits for nothing, on a work list by then, and since when the first
SELECT count(*), min(since_ms) FROM work
WHERE destination = ? AND not_before_ms = 0 AND awaits = '' AND since_ms <= ?;

-- later: the same of what came after that
SELECT count(*), min(since_ms) FROM work
WHERE destination = ? AND not_before_ms = 0 AND awaits = '' AND since_ms > ?;

-- contact: records of some entities, with what a destination holds of them and what it was given
SELECT r.id, r.seq, r.body, r.seen, l.hash, l.local_id, l.given FROM record r
LEFT JOIN ledger l ON l.destination = ?1 AND l.record = r.id
WHERE r.id > ?2 AND r.entity IN (SELECT value FROM json_each(?3)) ORDER BY r.id LIMIT ?4;

-- put_all: every record of some entities on a work list, without a change of them
INSERT INTO work (destination, turn, record, rev, since_ms, put)
SELECT ?1, r.seq, r.id, r.rev, ?2, ?3 FROM record r
WHERE r.entity IN (SELECT value FROM json_each(?4))
ON CONFLICT DO UPDATE SET put = excluded.put, attempt = 0, not_before_ms = 0, awaits = '';

-- setbacks: starts in which handling this message raised
SELECT starts FROM setback WHERE stream = ? AND seq = ?;

-- any_own_id
SELECT 1 FROM ledger WHERE destination = ? AND local_id <> '' LIMIT 1;

-- last_record
SELECT max(id) FROM record;

-- ids_of: records of some entities (JSON), in their order
SELECT id FROM record WHERE id > ? AND entity IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?;

-- backfilled: has a backfill of a destination begun since then?
SELECT 1 FROM job WHERE destination = ?1 AND id GLOB 'backfill.*' AND state <> 'cancelled' AND number > ?2 LIMIT 1;

-- record_of
SELECT id FROM record WHERE key = ?;

-- changed: records of some entities (JSON) of which a change is in a part of CHANGES
SELECT record FROM changed WHERE seq BETWEEN ?1 AND ?2 AND entity IN (SELECT value FROM json_each(?3));

-- ended: which deliveries of some entities (JSON) ended in a window, some commits at a time
SELECT id, told, others FROM ended WHERE destination = ?1 AND at_ms >= ?2 AND at_ms < ?3 AND id > ?4
  AND entity IN (SELECT value FROM json_each(?5)) ORDER BY id LIMIT ?6;

-- standing: of these records (JSON) how many a destination has as they are now, how many it has not and is not to
-- have, and how many are to be brought: so far as the ledger knows
SELECT ifnull(sum(NOT due AND hash <> ''), 0), ifnull(sum(NOT due AND hash = ''), 0), ifnull(sum(due), 0)
FROM (SELECT l.hash, l.hash IS NULL OR l.hash = '?' OR EXISTS (
                 SELECT 1 FROM work w WHERE w.destination = ?1 AND w.record = j.value)
               OR EXISTS (SELECT 1 FROM failure f WHERE f.destination = ?1 AND f.record = j.value) AS due
      FROM json_each(?2) j LEFT JOIN ledger l ON l.destination = ?1 AND l.record = j.value);

-- paces: when a destination took how many records lately, the newest first
SELECT at_ms, sum(json_array_length(told)) FROM (SELECT at_ms, told FROM ended WHERE destination = ?1
ORDER BY at_ms DESC LIMIT ?2) GROUP BY at_ms ORDER BY at_ms DESC;

-- save_job
INSERT INTO job (id, number, destination, body, state, after, put, total, changed_ms) VALUES {rows};

-- next_job
SELECT ifnull(max(number), 0) + 1 FROM job;

-- jobs: the newest first
SELECT body, after, put, total, changed_ms FROM job ORDER BY number DESC LIMIT ?;

-- running_jobs
SELECT body, after, put, total, changed_ms FROM job WHERE state = 'running' ORDER BY number;

-- job
SELECT body, after, put, total, changed_ms FROM job WHERE id = ?;

-- job_at_work: of a destination
SELECT body, after, put, total, changed_ms FROM job WHERE destination = ? AND state IN ('running', 'paused');

-- job_outcomes
SELECT outcome, records FROM job_outcome WHERE job = ? ORDER BY records DESC;

-- count_outcomes: of puts; those of jobs are counted
WITH said (job, outcome, records) AS (VALUES {rows})
INSERT INTO job_outcome (job, outcome, records)
SELECT s.job, s.outcome, s.records FROM said s JOIN job j ON j.id = s.job WHERE true
ON CONFLICT DO UPDATE SET records = records + excluded.records;

-- save_pause
INSERT INTO pause (destination, since_ms, until_ms, who, why, told_ms) VALUES {rows}
ON CONFLICT DO UPDATE SET since_ms = excluded.since_ms, until_ms = excluded.until_ms, who = excluded.who,
    why = excluded.why, told_ms = excluded.told_ms;

-- forget_pause
DELETE FROM pause WHERE destination IN (VALUES {rows});

-- pauses
SELECT destination, since_ms, until_ms, who, why, told_ms FROM pause ORDER BY destination;

-- save_report
INSERT INTO job_report (job, body) VALUES {rows} ON CONFLICT DO UPDATE SET body = excluded.body;

-- report
SELECT body FROM job_report WHERE job = ?;

-- save_rules
INSERT INTO rules (destination, written) VALUES {rows} ON CONFLICT DO UPDATE SET written = excluded.written;

-- rules
SELECT written FROM rules WHERE destination = ?;

-- surveyed: records of some entities (JSON), with what a destination holds of them
SELECT r.id, r.key, r.rev, l.rev, l.epoch, l.seq, l.hash, l.local_id FROM record r
LEFT JOIN ledger l ON l.destination = ?1 AND l.record = r.id
WHERE r.id > ?2 AND r.entity IN (SELECT value FROM json_each(?3)) ORDER BY r.id LIMIT ?4;

-- compared: these records (JSON), as `surveyed`, without those that wait to be delivered
SELECT r.id, r.key, r.rev, l.rev, l.epoch, l.seq, l.hash, l.local_id FROM json_each(?2) j
JOIN record r ON r.id = j.value LEFT JOIN ledger l ON l.destination = ?1 AND l.record = r.id
WHERE NOT EXISTS (SELECT 1 FROM work w WHERE w.destination = ?1 AND w.record = r.id);

-- puts: how many records are on a work list for one reason, and how many of them wait for others
SELECT count(*), count(*) FILTER (WHERE awaits <> '') FROM work WHERE put = ? AND put <> '';

-- turn_job
WITH said (id, body, state, changed_ms) AS (VALUES {rows})
UPDATE job SET body = said.body, state = said.state, changed_ms = said.changed_ms FROM said WHERE job.id = said.id;

-- move_job
UPDATE job SET after = ?1, put = ?2, total = ?3, changed_ms = ?4 WHERE id = ?5;

-- put_records: on a work list without a change of them. What the ledger says is there goes again if it is forced;
-- what it says is not there, only if the destination had it in the window: what was never ours is not touched.
WITH wanted (destination, record, put, force, told, since_ms) AS (VALUES {rows})
INSERT INTO work (destination, turn, record, rev, since_ms, put, force)
SELECT w.destination, r.seq, r.id, r.rev, w.since_ms, w.put, w.force AND (w.told OR ifnull(l.hash, '') <> '')
FROM wanted w JOIN record r ON r.id = w.record
LEFT JOIN ledger l ON l.destination = w.destination AND l.record = w.record WHERE true
ON CONFLICT DO UPDATE SET put = excluded.put, force = max(force, excluded.force), attempt = 0, not_before_ms = 0, awaits = '';

-- drop_puts: off the list what is there for that reason only
DELETE FROM work WHERE put = ?1 AND put <> '' AND EXISTS (
    SELECT 1 FROM ledger l WHERE l.destination = work.destination AND l.record = work.record AND l.rev >= work.rev);

-- unmark_puts: what has changed meanwhile goes as any other
UPDATE work SET put = '', force = 0 WHERE put = ?1 AND put <> '';

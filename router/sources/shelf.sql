-- One source's shelf: what it last said, and what is on its way to EVENTS.

-- schema
CREATE TABLE IF NOT EXISTS held (           -- the last good read: rows whose events are on the bus
    entity TEXT NOT NULL,
    local_id TEXT NOT NULL,
    hash BLOB NOT NULL,
    school TEXT NOT NULL,
    PRIMARY KEY (entity, local_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS staged (         -- the reading at hand; sound = 0: a row that was set aside
    entity TEXT NOT NULL,
    local_id TEXT NOT NULL,
    hash BLOB NOT NULL,
    school TEXT NOT NULL,
    line INTEGER NOT NULL,
    sound INTEGER NOT NULL,
    again INTEGER NOT NULL DEFAULT 0,       -- a later line with the same id
    differs INTEGER NOT NULL DEFAULT 0,     -- ... and other content
    PRIMARY KEY (entity, local_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS loose (          -- references that named nothing yet when their row was staged
    id INTEGER PRIMARY KEY,
    entity TEXT NOT NULL,
    local_id TEXT NOT NULL,
    field TEXT NOT NULL,
    target_entities TEXT NOT NULL,          -- with a blank between them
    target_id TEXT NOT NULL,
    required INTEGER NOT NULL,
    line INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS plan (           -- events of a good reading, not yet known to be on the bus
    id INTEGER PRIMARY KEY,
    entity TEXT NOT NULL,
    local_id TEXT NOT NULL,
    op TEXT NOT NULL,
    hash BLOB NOT NULL,
    school TEXT NOT NULL,
    msg_id TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS read (           -- every read, for `yellowbus reads`
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    observed_at_ms INTEGER NOT NULL,
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER NOT NULL DEFAULT 0,
    outcome TEXT NOT NULL,                  -- waiting, reading, publishing, accepted, unchanged, refused
    full INTEGER,                           -- 1: all records, 0: changes only, NULL: it was never opened
    rows INTEGER NOT NULL DEFAULT 0,
    creates INTEGER NOT NULL DEFAULT 0,
    updates INTEGER NOT NULL DEFAULT 0,
    deletes INTEGER NOT NULL DEFAULT 0,
    set_aside INTEGER NOT NULL DEFAULT 0,
    remarks TEXT NOT NULL DEFAULT '[]'      -- JSON list: warnings, or the reasons of a refusal
);

-- save_read
INSERT INTO read (number, name, sha256, size_bytes, observed_at_ms, started_ms, ended_ms, outcome, full,
                  rows, creates, updates, deletes, set_aside, remarks)
VALUES {rows}
ON CONFLICT (number) DO UPDATE SET ended_ms = excluded.ended_ms, outcome = excluded.outcome,
    full = excluded.full, rows = excluded.rows, creates = excluded.creates, updates = excluded.updates, deletes = excluded.deletes,
    set_aside = excluded.set_aside, remarks = excluded.remarks;

-- reads: the newest first
SELECT number, name, sha256, size_bytes, observed_at_ms, started_ms, ended_ms, outcome, full, rows,
       creates, updates, deletes, set_aside, remarks
FROM read ORDER BY number DESC LIMIT ?;

-- last_good
SELECT name, observed_at_ms FROM read WHERE outcome IN ('accepted', 'unchanged') ORDER BY number DESC LIMIT 1;

-- gap: changes before those of this reading (number, observed_at_ms, sha256, name) that were not taken, and
-- that nothing has brought since: neither a full reading nor the same content. Of a reading that could not
-- be opened only the name is known: a later one of that name is its whole copy.
SELECT r.name FROM read r
WHERE r.number < ?1 AND r.outcome IN ('refused', 'reading') AND r.full IS NOT 1
  AND r.observed_at_ms <= ?2 AND r.sha256 <> ?3 AND NOT (r.full IS NULL AND r.name = ?4)
  AND NOT EXISTS (SELECT 1 FROM read g WHERE g.outcome IN ('accepted', 'unchanged')
                  AND ((g.full = 1 AND g.observed_at_ms >= r.observed_at_ms) OR g.sha256 = r.sha256
                       OR (r.full IS NULL AND g.name = r.name AND g.number > r.number)))
ORDER BY r.number LIMIT 1;

-- forget_staged
DELETE FROM staged WHERE 1 OR ?;

-- forget_loose
DELETE FROM loose WHERE 1 OR ?;

-- forget_plan
DELETE FROM plan WHERE 1 OR ?;

-- stage
INSERT INTO staged (entity, local_id, hash, school, line, sound) VALUES {rows}
ON CONFLICT DO UPDATE SET again = excluded.line, differs = differs OR hash <> excluded.hash;

-- add_plan
INSERT INTO plan (entity, local_id, op, hash, school, msg_id, body) VALUES {rows};

-- add_loose
INSERT INTO loose (entity, local_id, field, target_entities, target_id, required, line) VALUES {rows};

-- held_hashes: of these ids of an entity (JSON), as one JSON value: fetched row by row, each row would let go
-- of the interpreter and wait to get it back
SELECT json_group_array(json_array(local_id, hex(hash))) FROM held
WHERE entity = ?1 AND local_id IN (SELECT value FROM json_each(?2));

-- any_held
SELECT 1 FROM held LIMIT 1;

-- twice: ids that stand in the reading more than once
SELECT entity, local_id, line, again, differs FROM staged WHERE again > 0 ORDER BY entity, line LIMIT ?;

-- unplan_twice: of identical rows with one id, one event is enough
DELETE FROM plan WHERE id IN (SELECT p.id FROM staged s
    JOIN plan p ON p.entity = s.entity AND p.local_id = s.local_id
    JOIN plan q ON q.msg_id = p.msg_id AND q.id < p.id WHERE s.again > 0) OR ? < 0;

-- targets: which of these (entity, id) a reference may name. A row that was set aside will do if the hub
-- knows it from an earlier read.
WITH wanted (entity, local_id) AS (VALUES {rows})
SELECT w.entity, w.local_id FROM wanted w
JOIN staged s ON s.entity = w.entity AND s.local_id = w.local_id
WHERE s.sound = 1
   OR EXISTS (SELECT 1 FROM held h WHERE h.entity = w.entity AND h.local_id = w.local_id);

-- held_targets: the same among what the last good read left, for a reading of changes only
WITH wanted (entity, local_id) AS (VALUES {rows})
SELECT w.entity, w.local_id FROM wanted w
JOIN held h ON h.entity = w.entity AND h.local_id = w.local_id;

-- loose_after: references that named nothing, some hundreds at a time
SELECT id, entity, local_id, field, target_entities, target_id, required, line FROM loose
WHERE id > ? ORDER BY id LIMIT 250;

-- set_aside: rows that are not to be published, and count neither as news nor as removed
WITH bad (entity, local_id) AS (VALUES {rows})
UPDATE staged SET sound = 0 FROM bad WHERE staged.entity = bad.entity AND staged.local_id = bad.local_id;

-- unplan
WITH bad (entity, local_id) AS (VALUES {rows})
DELETE FROM plan WHERE EXISTS
    (SELECT 1 FROM bad b WHERE plan.entity = b.entity AND plan.local_id = b.local_id);

-- counts_staged: rows by entity and school; of those that were set aside the ones that were taken before
SELECT entity, school, count(*) FROM staged s
WHERE sound = 1 OR EXISTS (SELECT 1 FROM held h WHERE h.entity = s.entity AND h.local_id = s.local_id)
GROUP BY entity, school;

-- counts_held
SELECT entity, school, count(*) FROM held GROUP BY entity, school;

-- plan_removals: rows of the last good read that this full reading does not have any more
INSERT INTO plan (entity, local_id, op, hash, school, msg_id, body)
SELECT h.entity, h.local_id, 'delete', x'', h.school, '', x'' FROM held h
LEFT JOIN staged s ON s.entity = h.entity AND s.local_id = h.local_id
WHERE h.entity = ? AND s.entity IS NULL ORDER BY h.local_id;

-- plan_moves: records that this reading of changes has under another entity of their table
INSERT INTO plan (entity, local_id, op, hash, school, msg_id, body)
SELECT h.entity, h.local_id, 'delete', x'', h.school, '', x'' FROM staged s
CROSS JOIN held h ON h.entity = ? AND h.local_id = s.local_id
LEFT JOIN staged t ON t.entity = h.entity AND t.local_id = h.local_id
WHERE s.entity = ? AND s.sound = 1 AND t.entity IS NULL ORDER BY h.local_id;

-- counts_gone: planned removals by entity and school
SELECT h.entity, h.school, count(DISTINCT h.local_id) FROM plan p
CROSS JOIN held h ON h.entity = p.entity AND h.local_id = p.local_id
WHERE p.op = 'delete' GROUP BY h.entity, h.school;

-- plan_counts
SELECT op, count(*) FROM plan GROUP BY op;

-- next_plan
SELECT id, entity, local_id, op, hash, school, msg_id, body FROM plan ORDER BY id LIMIT ?;

-- advance
INSERT INTO held (entity, local_id, hash, school) VALUES {rows}
ON CONFLICT DO UPDATE SET hash = excluded.hash, school = excluded.school;

-- retreat: rows whose removal is on the bus
WITH gone (entity, local_id) AS (VALUES {rows})
DELETE FROM held WHERE EXISTS
    (SELECT 1 FROM gone g WHERE g.entity = held.entity AND g.local_id = held.local_id);

-- published
DELETE FROM plan WHERE id <= ?;

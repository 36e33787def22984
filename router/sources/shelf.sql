-- One source's shelf: what it last said, and what is on its way to EVENTS.

-- schema
CREATE TABLE IF NOT EXISTS held (           -- the last good read: rows whose events are on the bus
    entity TEXT NOT NULL,
    local_id TEXT NOT NULL,
    hash BLOB NOT NULL,
    school TEXT NOT NULL,
    PRIMARY KEY (entity, local_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS staged (         -- the reading at hand; sound = 0: a row that was set aside,
                                            -- -1: one that a rule leaves out which was edited since
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
CREATE TABLE IF NOT EXISTS waiting (        -- rows of a plan that a guard holds until a person decides
    id INTEGER PRIMARY KEY,
    entity TEXT NOT NULL,
    local_id TEXT NOT NULL,
    op TEXT NOT NULL,
    hash BLOB NOT NULL,
    school TEXT NOT NULL,
    msg_id TEXT NOT NULL,
    body BLOB NOT NULL,
    approved INTEGER NOT NULL DEFAULT 0     -- 1: it is on its way to EVENTS
);
CREATE TABLE IF NOT EXISTS hold (           -- the newest holds; the rows above are those of the newest
    id TEXT PRIMARY KEY,
    since_ms INTEGER NOT NULL,
    told INTEGER NOT NULL,                  -- how many of its acts stand on AUDIT
    body TEXT NOT NULL                      -- JSON
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rule (           -- by entity, `when` of the last read that was taken whole
    entity TEXT PRIMARY KEY,
    text TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS concluded (      -- rows that are gone from the reading at hand, and had ended before
    entity TEXT NOT NULL,
    local_id TEXT NOT NULL,
    school TEXT NOT NULL,
    PRIMARY KEY (entity, local_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS read (           -- every read, for `yellowbus reads`
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    observed_at_ms INTEGER NOT NULL,
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER NOT NULL DEFAULT 0,
    outcome TEXT NOT NULL,                  -- as in Read
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

-- read_of
SELECT number, name, sha256, size_bytes, observed_at_ms, started_ms, ended_ms, outcome, full, rows,
       creates, updates, deletes, set_aside, remarks
FROM read WHERE number = ?;

-- last_good
SELECT name, observed_at_ms FROM read WHERE outcome IN ('accepted', 'unchanged', 'held', 'superseded') ORDER BY number DESC LIMIT 1;

-- gap: changes before those of this reading (number, observed_at_ms, sha256, name) that were not taken, and
-- that nothing has brought since: neither a full reading nor the same content. Of a reading that could not
-- be opened only the name is known: a later one of that name is its whole copy.
SELECT r.name FROM read r
WHERE r.number < ?1 AND r.outcome IN ('refused', 'reading') AND r.full IS NOT 1
  AND r.observed_at_ms <= ?2 AND r.sha256 <> ?3 AND NOT (r.full IS NULL AND r.name = ?4)
  AND NOT EXISTS (SELECT 1 FROM read g WHERE g.outcome IN ('accepted', 'unchanged', 'held', 'superseded')
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

-- rules
SELECT entity, text FROM rule;

-- save_rule
INSERT INTO rule (entity, text) VALUES {rows} ON CONFLICT DO UPDATE SET text = excluded.text;

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

-- waiting_targets: ... and among what waits to be there: who names it will wait with it
WITH wanted (entity, local_id) AS (VALUES {rows})
SELECT w.entity, w.local_id FROM wanted w
JOIN waiting h ON h.entity = w.entity AND h.local_id = w.local_id AND h.op = 'create';

-- any_waiting
SELECT 1 FROM waiting LIMIT 1;

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
WHERE h.entity = ? AND (s.entity IS NULL OR s.sound < 0) ORDER BY h.local_id;

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

-- plan_schools: of the removals of a reading of changes, as the last good read has them
UPDATE plan SET school = coalesce((SELECT h.school FROM held h WHERE h.entity = plan.entity
    AND h.local_id = plan.local_id), school) WHERE op = 'delete' AND ? < 1;

-- carry: what waits and this reading (full, its entities as JSON) does not speak of, or has an unsound row of,
-- before what it says
INSERT INTO plan (id, entity, local_id, op, hash, school, msg_id, body)
SELECT w.id - (SELECT max(id) FROM waiting) - 1, w.entity, w.local_id, w.op, w.hash, w.school, w.msg_id, w.body
FROM waiting w
WHERE w.approved = 0
  AND (?1 = 0 OR w.entity NOT IN (SELECT value FROM json_each(?2))
       OR EXISTS (SELECT 1 FROM staged s WHERE s.entity = w.entity AND s.local_id = w.local_id AND s.sound = 0))
  AND NOT EXISTS (SELECT 1 FROM staged s WHERE s.entity = w.entity AND s.local_id = w.local_id AND s.sound = 1)
  AND (w.entity, w.local_id) NOT IN (SELECT entity, local_id FROM plan);

-- unplan_unknown: removals of what was never taken
DELETE FROM plan WHERE op = 'delete' AND ? < 1 AND NOT EXISTS
    (SELECT 1 FROM held h WHERE h.entity = plan.entity AND h.local_id = plan.local_id);

-- relink: a record that has another id: what its event says, and what the plan does with it
UPDATE plan SET op = 'link', body = ? WHERE id = ?;

-- unplan_gone: its old id has not gone
WITH gone (entity, local_id) AS (VALUES {rows})
DELETE FROM plan WHERE op = 'delete' AND (entity, local_id) IN (SELECT entity, local_id FROM gone);

-- plan_cells
SELECT entity, school, op, count(*) FROM plan GROUP BY entity, school, op;

-- plan_after: some hundreds at a time
SELECT id, entity, local_id, op, school, body FROM plan WHERE id > ? ORDER BY id LIMIT 500;

-- waiting_after: the same of what waits for a decision
SELECT id, entity, local_id, op, school, body FROM waiting WHERE id > ? AND approved = 0 ORDER BY id LIMIT 500;

-- waiting_cells
SELECT entity, school, op, count(*) FROM waiting WHERE approved = 0 GROUP BY entity, school, op;

-- waiting_names: of a hold, for people
SELECT entity, school, op, local_id FROM waiting
WHERE approved = 0 AND ?1 IN ('', iif(school = '', '-', school)) AND ?2 IN ('', entity) AND ?3 IN ('', op)
ORDER BY id LIMIT ?4 OFFSET ?5;

-- supersede_reads: of which something is held that a newer one has taken up
UPDATE read SET outcome = 'superseded' WHERE outcome = 'held' AND number < ?;

-- decided_read: nothing of it waits any more
UPDATE read SET outcome = 'accepted' WHERE outcome = 'held' AND number = ?;

-- forget_waiting
DELETE FROM waiting WHERE 1 OR ?;

-- hold_cell
INSERT INTO waiting (id, entity, local_id, op, hash, school, msg_id, body)
SELECT id, entity, local_id, op, hash, school, msg_id, body FROM plan WHERE entity = ? AND school = ? AND op = ?;

-- hold_row
INSERT INTO waiting (id, entity, local_id, op, hash, school, msg_id, body)
SELECT id, entity, local_id, op, hash, school, msg_id, body FROM plan WHERE id = ?;

-- unplan_held
DELETE FROM plan WHERE ? < 1 AND id IN (SELECT id FROM waiting);

-- approve_row
UPDATE waiting SET approved = 1 WHERE id = ?;

-- discard_row
DELETE FROM waiting WHERE id = ?;

-- next_approved
SELECT id, entity, local_id, op, hash, school, msg_id, body FROM waiting WHERE approved = 1 ORDER BY id LIMIT ?;

-- released
DELETE FROM waiting WHERE approved = 1 AND id <= ?;

-- save_hold
INSERT INTO hold (id, since_ms, told, body) VALUES {rows}
ON CONFLICT (id) DO UPDATE SET body = excluded.body;

-- told_hold
UPDATE hold SET told = ? WHERE id = ?;

-- holds: the newest first
SELECT told, body FROM hold ORDER BY since_ms DESC, id DESC LIMIT ?;

-- forget_holds: but for the newest
DELETE FROM hold WHERE id NOT IN (SELECT id FROM hold ORDER BY since_ms DESC, id DESC LIMIT ?);

-- plan_removals_after
SELECT id, entity, local_id FROM plan WHERE op = 'delete' AND id > ? ORDER BY id LIMIT 500;

-- forget_concluded
DELETE FROM concluded WHERE 1 OR ?;

-- conclude_row
INSERT INTO concluded (entity, local_id, school) SELECT entity, local_id, school FROM plan WHERE id = ?;

-- keep_concluded: of what is to be removed still
DELETE FROM concluded WHERE ? < 1 AND (entity, local_id) NOT IN
    (SELECT entity, local_id FROM plan WHERE op = 'delete');

-- unplan_concluded
DELETE FROM plan WHERE op = 'delete' AND ? < 1 AND EXISTS
    (SELECT 1 FROM concluded c WHERE c.entity = plan.entity AND c.local_id = plan.local_id);

-- counts_concluded
SELECT entity, school, count(*) FROM concluded GROUP BY entity, school;

-- retreat_concluded: for the commit that takes the reading
DELETE FROM held WHERE ? < 1 AND EXISTS
    (SELECT 1 FROM concluded c WHERE c.entity = held.entity AND c.local_id = held.local_id);

-- plan_hashes: what makes the hash of what is held of a plan
SELECT id, entity, school, op, local_id, hash FROM plan WHERE id > ? ORDER BY id LIMIT 2000;

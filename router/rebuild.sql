-- The statements that only `yellowbus rebuild` needs; the others stand in store.sql.

-- save_settled: a ledger entry from the audit stream, where the newest rev counts
WITH settled (destination, key, rev, epoch, seq, hash, local_id, since_ms) AS (VALUES {rows})
INSERT INTO ledger (destination, record, rev, epoch, seq, hash, local_id, since_ms)
SELECT s.destination, r.id, s.rev, s.epoch, s.seq, s.hash, s.local_id, s.since_ms FROM settled s
JOIN record r ON r.key = s.key WHERE true
ON CONFLICT (destination, record) DO UPDATE SET rev = excluded.rev, epoch = excluded.epoch, seq = excluded.seq,
    hash = excluded.hash, local_id = excluded.local_id, since_ms = iif(hash = excluded.hash, since_ms, excluded.since_ms)
WHERE excluded.rev >= rev;

-- save_failed
WITH failed (destination, key, rev, seq, at_ms, attempts, reason) AS (VALUES {rows})
INSERT INTO failure (destination, record, rev, seq, at_ms, attempts, reason)
SELECT f.destination, r.id, f.rev, f.seq, f.at_ms, f.attempts, f.reason FROM failed f JOIN record r ON r.key = f.key
WHERE true ON CONFLICT DO NOTHING;

-- switched_off_again: since when records are switched off at destinations
WITH said (destination, key, since_ms) AS (VALUES {rows})
INSERT INTO switched_off (destination, record, since_ms)
SELECT s.destination, r.id, s.since_ms FROM said s JOIN record r ON r.key = s.key WHERE true ON CONFLICT DO NOTHING;

-- ended_again: deliveries that ended, from the audit stream
WITH said (destination, key, at_ms, told) AS (VALUES {rows})
INSERT INTO ended (destination, entity, at_ms, told, others)
SELECT s.destination, r.entity, s.at_ms, json_group_array(r.id) FILTER (WHERE s.told),
       json_group_array(r.id) FILTER (WHERE NOT s.told)
FROM said s JOIN record r ON r.key = s.key GROUP BY s.destination, r.entity, s.at_ms;

-- held: the ledger entry of one record
SELECT l.rev, l.epoch, l.seq, l.hash, l.local_id, l.since_ms FROM record r JOIN ledger l ON l.record = r.id
WHERE l.destination = ? AND r.key = ?;

-- save_own_ids: ids that destinations gave, where no delivery on the audit stream tells them any more
INSERT INTO ledger (destination, record, rev, epoch, seq, hash, local_id)
SELECT ?1, r.id, 0, 0, 0, '', ?3 FROM record r WHERE r.key = ?2
ON CONFLICT (destination, record) DO UPDATE SET local_id = excluded.local_id WHERE local_id = '';

-- add_links: ids that destinations gave, where the records themselves do not say whose they are
INSERT INTO link (system, entity, local_id, key) VALUES {rows} ON CONFLICT DO NOTHING;

-- mark_behind: put on the work list of a destination whatever is not settled up to its newest rev
INSERT INTO work (destination, turn, record, rev, since_ms)
SELECT ?1, r.seq, r.id, r.rev, ?2 FROM record r
LEFT JOIN ledger l ON l.destination = ?1 AND l.record = r.id
WHERE r.entity IN (SELECT value FROM json_each(?3)) AND (l.rev IS NULL OR l.rev < r.rev)
ORDER BY r.seq;

-- counts: what the new index has
SELECT (SELECT count(*) FROM record), (SELECT count(*) FROM record WHERE seen IS NOT NULL),
       (SELECT count(*) FROM link), (SELECT count(*) FROM ledger), (SELECT count(*) FROM work);

-- keys_after: the records, some hundreds at a time
SELECT id, key FROM record WHERE id > ? ORDER BY id LIMIT 500;

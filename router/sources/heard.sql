-- What a source that speaks by itself has said: the ids that its events have on EVENTS, so that the same news
-- again is no event.

-- schema
CREATE TABLE IF NOT EXISTS heard (
    id TEXT PRIMARY KEY,
    at_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS heard_at ON heard (at_ms);
CREATE TABLE IF NOT EXISTS counted (        -- number: of news without an id; seq: the newest event's on EVENTS
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

-- known: which of these are there
WITH wanted (id) AS (VALUES {rows})
SELECT h.id FROM wanted w JOIN heard h ON h.id = w.id;

-- keep
INSERT INTO heard (id, at_ms) VALUES {rows} ON CONFLICT DO NOTHING;

-- forget: those before a time
DELETE FROM heard WHERE at_ms < ?;

-- count
INSERT INTO counted (name, value) VALUES {rows}
ON CONFLICT DO UPDATE SET value = max(value, excluded.value);

-- counted
SELECT value FROM counted WHERE name = ?;

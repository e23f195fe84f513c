"""The tables that DuckDB holds of a log, as statements.

search    a request: one keystroke of a session, or all of it; `who` is the person, or the session of a nameless one
shown     a hit that was shown for a request
chosen    a hit that was chosen
session   all requests with one search_id, by the last of them; `automatic` where no person can have made it
look      a request whose answer somebody looked at: one that a hit was chosen from, or the last of its session

A request that further keystrokes followed was hardly looked at: its hits count neither as shown nor as skipped.
"""

from __future__ import annotations

# What no person does: sessions of one person a day, requests and chosen services of one session.
MOST_SESSIONS, MOST_REQUESTS, MOST_CHOICES = 200, 300, 10

_COLUMNS = """{
    type: 'VARCHAR', search_id: 'VARCHAR', at_ms: 'BIGINT', generation: 'BIGINT', variant: 'VARCHAR',
    surface: 'VARCHAR', person: 'VARCHAR', query: 'VARCHAR', count: 'BIGINT', refused_by: 'VARCHAR', k: 'BIGINT',
    id: 'BIGINT', rank: 'BIGINT', score: 'DOUBLE', team: 'VARCHAR',
    hits: 'STRUCT(id BIGINT, rank BIGINT, score DOUBLE, team VARCHAR)[]'
}"""

# A part of the lines of a log, from a file; what is no event is left out.
PART = f"""
CREATE OR REPLACE TEMP TABLE part AS
SELECT * FROM read_json($file, format = 'newline_delimited', ignore_errors = true, columns = {_COLUMNS})
WHERE type IS NOT NULL AND search_id IS NOT NULL AND at_ms IS NOT NULL AND k IS NOT NULL
"""
FIRST_PART = "CREATE TABLE event AS SELECT * FROM part LIMIT 0"
TAKE_PART = "INSERT INTO event SELECT * FROM part WHERE at_ms BETWEEN $first AND $last"

# An event that was sent twice, after an answer that got lost, counts once.
_SEARCH = """
CREATE TABLE search AS
SELECT DISTINCT ON (search_id, k)
    search_id, k, at_ms, generation, variant, surface, CASE WHEN person = '' THEN search_id ELSE person END AS who,
    query, fold(query) AS folded, count AS hits, coalesce(refused_by, '') AS refused_by
FROM event WHERE type = 'search'
ORDER BY search_id, k, at_ms
"""

_SHOWN = """
CREATE TABLE shown AS
SELECT search_id, k, hit.id AS id, hit.rank AS rank, hit.score AS score, coalesce(hit.team, '') AS team
FROM (
    SELECT search_id, k, unnest(hits) AS hit
    FROM (
        SELECT DISTINCT ON (search_id, k) search_id, k, hits FROM event WHERE type = 'shown'
        ORDER BY search_id, k, at_ms
    )
)
"""

_CHOSEN = """
CREATE TABLE chosen AS
SELECT DISTINCT ON (search_id, k, id) search_id, k, at_ms, id, rank, score, coalesce(team, '') AS team
FROM event WHERE type = 'chosen'
ORDER BY search_id, k, id, at_ms
"""

_SESSION = f"""
CREATE TABLE session AS
WITH last AS (
    SELECT search_id, min(at_ms) AS at_ms, count(*) AS requests, max(k) AS last_k,
        arg_max(generation, k) AS generation, arg_max(variant, k) AS variant, arg_max(surface, k) AS surface,
        arg_max(who, k) AS who, arg_max(hits, k) AS hits, arg_max(refused_by, k) AS refused_by
    FROM search GROUP BY search_id
),
picked AS (
    SELECT search_id, count(DISTINCT id) AS choices, arg_min(rank, at_ms) AS chosen_rank, arg_min(k, at_ms) AS chosen_k
    FROM chosen GROUP BY search_id
)
SELECT *, coalesce(choices, 0) > 0 AS answered,
    count(*) OVER (PARTITION BY who, at_ms // 86400000) > {MOST_SESSIONS}
        OR requests > {MOST_REQUESTS} OR coalesce(choices, 0) > {MOST_CHOICES} AS automatic
FROM last LEFT JOIN picked USING (search_id)
"""

_LOOK = """
CREATE TABLE look AS
SELECT search.*, answered, coalesce(picked, false) AS picked
FROM search
JOIN (SELECT search_id, last_k, answered FROM session WHERE NOT automatic) USING (search_id)
LEFT JOIN (SELECT DISTINCT search_id, k, true AS picked FROM chosen) USING (search_id, k)
WHERE coalesce(picked, false) OR k = last_k
"""

DERIVED = (_SEARCH, _SHOWN, _CHOSEN, _SESSION, _LOOK, "DROP TABLE event", "DROP TABLE part")

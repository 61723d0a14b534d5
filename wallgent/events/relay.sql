-- The relay: one pass assigns committed events their positions in their organization's feed.

-- The columns of an event that the chain protects, as text that is the same on every server and in
-- every time zone. A column added later is left out, or older chains would no longer verify.
CREATE OR REPLACE FUNCTION events_canonical(e wallgent_event) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_array(
        e.id, e.type, e.subject, e.organization_id, e.environment, e.actor_type, e.actor_id,
        e.request_id, e.data, e.is_public, (extract(epoch FROM e.created_at) * 1000000)::bigint,
        encode(e.origin_digest, 'hex'))::text
$$;

CREATE OR REPLACE FUNCTION events_chain_step(hash bytea, head bytea, canonical text) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN sha256(coalesce(hash, head) || convert_to(canonical, 'UTF8'));
END
$$;

-- As a window function: each event's hash covers the previous hash, the first one covers `head`.
CREATE OR REPLACE AGGREGATE events_chain(head bytea, canonical text) (
    SFUNC = events_chain_step, STYPE = bytea
);

-- Moves at most p_limit committed outbox rows, in order, to positions. Returns their number.
-- All or nothing: the rows of a pass that fails are left to the next one.
CREATE OR REPLACE FUNCTION events_relay(p_limit int) RETURNS int
LANGUAGE plpgsql
-- The statistics of a queue are always outdated, so every step is forced to be an index lookup.
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    placed int;
BEGIN
    -- One pass at a time, also when a leader has lost its session's lock without noticing.
    IF NOT pg_try_advisory_xact_lock(1702258030, 2) THEN
        RETURN 0;
    END IF;
    WITH taken AS (
        DELETE FROM wallgent_outboxentry
          WHERE id IN (SELECT id FROM wallgent_outboxentry ORDER BY id LIMIT p_limit)
          RETURNING id, event_id
    )
    INSERT INTO wallgent_eventposition (event_id, organization_id, position, hash)
      SELECT e.id, e.organization_id, coalesce(head.position, 0) + row_number() OVER feed,
             events_chain(coalesce(head.hash, ''), events_canonical(e)) OVER feed
        FROM taken
        JOIN wallgent_event e ON e.id = taken.event_id
        LEFT JOIN LATERAL (
            SELECT p.position, p.hash FROM wallgent_eventposition p
              WHERE p.organization_id = e.organization_id ORDER BY p.position DESC LIMIT 1
        ) head ON true
      WINDOW feed AS (PARTITION BY e.organization_id ORDER BY taken.id ROWS UNBOUNDED PRECEDING);
    GET DIAGNOSTICS placed = ROW_COUNT;
    RETURN placed;
END
$$;

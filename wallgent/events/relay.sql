-- The relay: one pass gives committed events their place in their organization's feed.

-- What of an event the chain protects, as text that is the same on every server and in every
-- time zone. A column added later stays out, or the chains made before would no longer verify.
CREATE OR REPLACE FUNCTION events_canonical(e events_event) RETURNS text
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

-- As a window: each event's hash over the one before it, the first one over `head`.
CREATE OR REPLACE AGGREGATE events_chain(head bytea, canonical text) (
    SFUNC = events_chain_step, STYPE = bytea
);

-- Takes at most p_limit committed outbox rows in order, places their events, returns how many.
-- All or nothing: a pass that dies leaves its rows to the next one.
CREATE OR REPLACE FUNCTION events_relay(p_limit int) RETURNS int
LANGUAGE plpgsql
-- A queue's statistics are never true: whatever they say, every step here is an index lookup.
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
        DELETE FROM events_outboxentry
          WHERE id IN (SELECT id FROM events_outboxentry ORDER BY id LIMIT p_limit)
          RETURNING id, event_id
    )
    INSERT INTO events_eventposition (event_id, organization_id, position, hash)
      SELECT e.id, e.organization_id, coalesce(head.position, 0) + row_number() OVER feed,
             events_chain(coalesce(head.hash, ''), events_canonical(e)) OVER feed
        FROM taken
        JOIN events_event e ON e.id = taken.event_id
        LEFT JOIN LATERAL (
            SELECT p.position, p.hash FROM events_eventposition p
              WHERE p.organization_id = e.organization_id ORDER BY p.position DESC LIMIT 1
        ) head ON true
      WINDOW feed AS (PARTITION BY e.organization_id ORDER BY taken.id ROWS UNBOUNDED PRECEDING);
    GET DIAGNOSTICS placed = ROW_COUNT;
    RETURN placed;
END
$$;

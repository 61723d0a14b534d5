"""Events stay as they were written, and the relay can number them."""

from pathlib import Path

from django.db import migrations

KEEP = """
CREATE FUNCTION events_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER event_is_append_only BEFORE UPDATE OR DELETE ON events_event
    FOR EACH STATEMENT EXECUTE FUNCTION events_refuse_change();
CREATE TRIGGER event_position_is_append_only BEFORE UPDATE OR DELETE ON events_eventposition
    FOR EACH STATEMENT EXECUTE FUNCTION events_refuse_change();
"""
UNKEEP = """
DROP TRIGGER event_is_append_only ON events_event;
DROP TRIGGER event_position_is_append_only ON events_eventposition;
DROP FUNCTION events_refuse_change();
"""

# Every row of the outbox dies within the second. Giving pages back would need a lock that makes
# payments wait, for space the next rows fill again.
QUEUE = """
ALTER TABLE events_outboxentry SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, vacuum_truncate = off
);
"""
UNQUEUE = """
ALTER TABLE events_outboxentry RESET (
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, vacuum_truncate
);
"""

RELAY = (Path(__file__).parent.parent / "relay.sql").read_text()
UNRELAY = """
DROP FUNCTION events_relay(int);
DROP AGGREGATE events_chain(bytea, text);
DROP FUNCTION events_chain_step(bytea, bytea, text);
DROP FUNCTION events_canonical(events_event);
"""


class Migration(migrations.Migration):
    dependencies = [("events", "0001_events")]

    operations = [
        migrations.RunSQL(KEEP, UNKEEP),
        migrations.RunSQL(QUEUE, UNQUEUE),
        migrations.RunSQL(RELAY, UNRELAY),
    ]

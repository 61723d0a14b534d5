"""Events and the log of staff actions are append-only, and the relay can number events."""

from pathlib import Path

from django.db import migrations

APPEND_ONLY = """
CREATE FUNCTION events_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER event_is_append_only BEFORE UPDATE OR DELETE ON wallgent_event
    FOR EACH STATEMENT EXECUTE FUNCTION events_refuse_change();
CREATE TRIGGER event_position_is_append_only BEFORE UPDATE OR DELETE ON wallgent_eventposition
    FOR EACH STATEMENT EXECUTE FUNCTION events_refuse_change();
CREATE TRIGGER staff_action_is_append_only BEFORE UPDATE OR DELETE ON wallgent_staffaction
    FOR EACH STATEMENT EXECUTE FUNCTION events_refuse_change();
"""
NOT_APPEND_ONLY = """
DROP TRIGGER staff_action_is_append_only ON wallgent_staffaction;
DROP TRIGGER event_position_is_append_only ON wallgent_eventposition;
DROP TRIGGER event_is_append_only ON wallgent_event;
DROP FUNCTION events_refuse_change();
"""

# Every row of the outbox is deleted within a second. Truncating its pages would need a lock that
# makes payments wait, for space that the next rows fill again.
OUTBOX = """
ALTER TABLE wallgent_outboxentry SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, vacuum_truncate = off
);
"""
NO_OUTBOX = """
ALTER TABLE wallgent_outboxentry RESET (
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, vacuum_truncate
);
"""

RELAY = (Path(__file__).parent.parent / "events" / "relay.sql").read_text()
NO_RELAY = """
DROP FUNCTION events_relay(int);
DROP AGGREGATE events_chain(bytea, text);
DROP FUNCTION events_chain_step(bytea, bytea, text);
DROP FUNCTION events_canonical(wallgent_event);
"""


class Migration(migrations.Migration):
    dependencies = [("wallgent", "0001_tables")]

    operations = [
        migrations.RunSQL(APPEND_ONLY, NOT_APPEND_ONLY),
        migrations.RunSQL(OUTBOX, NO_OUTBOX),
        migrations.RunSQL(RELAY, NO_RELAY),
    ]

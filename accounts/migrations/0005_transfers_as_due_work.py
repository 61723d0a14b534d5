"""Transfers wait in the queue of due work, which replaces their time and its indexes.

The database refuses an open transfer that nothing waits for.
"""

from django.db import migrations

SCHEDULE = """
INSERT INTO wallgent_duework (id, kind, subject, organization_id, environment, clock, due_at,
                              created_at, version, failures, error)
SELECT uuidv7(), 'process_transfer', id, organization_id, environment,
       CASE environment WHEN 'SANDBOX' THEN 'SANDBOX' ELSE 'REAL' END, next_attempt_at, now(),
       0, 0, ''
  FROM accounts_transfer WHERE next_attempt_at IS NOT NULL;
"""
RESTORE = """
UPDATE accounts_transfer t SET next_attempt_at = d.due_at
  FROM wallgent_duework d WHERE d.kind = 'process_transfer' AND d.subject = t.id;
DELETE FROM wallgent_duework WHERE kind = 'process_transfer';
"""

# Deferred, because a transfer and its due work are inserted one after the other.
GUARD = """
CREATE FUNCTION transfer_require_due_work(transfer uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM accounts_transfer
                WHERE id = transfer AND status IN ('PENDING', 'PROCESSING'))
       AND NOT EXISTS (SELECT 1 FROM wallgent_duework
                        WHERE kind = 'process_transfer' AND subject = transfer) THEN
        RAISE EXCEPTION 'transfer_open_has_due_work: nothing waits for transfer %', transfer
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
END $$;
CREATE FUNCTION transfer_check_transfer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM transfer_require_due_work(NEW.id);
    RETURN NULL;
END $$;
CREATE FUNCTION transfer_check_due_work() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM transfer_require_due_work(OLD.subject);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER transfer_open_has_due_work
    AFTER INSERT OR UPDATE OF status ON accounts_transfer DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.status IN ('PENDING', 'PROCESSING'))
    EXECUTE FUNCTION transfer_check_transfer();
CREATE CONSTRAINT TRIGGER due_work_of_open_transfer_stays
    AFTER DELETE OR UPDATE OF kind, subject ON wallgent_duework DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (OLD.kind = 'process_transfer')
    EXECUTE FUNCTION transfer_check_due_work();
"""
NO_GUARD = """
DROP TRIGGER due_work_of_open_transfer_stays ON wallgent_duework;
DROP TRIGGER transfer_open_has_due_work ON accounts_transfer;
DROP FUNCTION transfer_check_due_work();
DROP FUNCTION transfer_check_transfer();
DROP FUNCTION transfer_require_due_work(uuid);
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_approvals_as_due_work")]

    operations = [
        migrations.RemoveConstraint(model_name="transfer", name="transfer_open_has_next_attempt"),
        migrations.RemoveIndex(model_name="transfer", name="transfer_due"),
        migrations.RemoveIndex(model_name="transfer", name="transfer_due_ahead"),
        migrations.RunSQL(SCHEDULE, RESTORE),
        migrations.RemoveField(model_name="transfer", name="next_attempt_at"),
        migrations.RunSQL(GUARD, NO_GUARD),
    ]

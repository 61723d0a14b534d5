from django.db import migrations

# A function of its own: the ledger takes its functions away again without asking who else uses them.
FORWARD = """
    DROP TRIGGER simulator_entry_immutable ON accounts_simulatorentry;
    CREATE FUNCTION simulator_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only: correct it with a new row', TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END $$;
    CREATE TRIGGER simulator_entry_immutable BEFORE UPDATE OR DELETE ON accounts_simulatorentry
        FOR EACH STATEMENT EXECUTE FUNCTION simulator_refuse_change();
"""
BACKWARD = """
    DROP TRIGGER simulator_entry_immutable ON accounts_simulatorentry;
    DROP FUNCTION simulator_refuse_change;
    CREATE TRIGGER simulator_entry_immutable BEFORE UPDATE OR DELETE ON accounts_simulatorentry
        FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_rails"),
    ]

    operations = [
        migrations.RunSQL(FORWARD, BACKWARD),
    ]

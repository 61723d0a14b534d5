from django.db import migrations, models
from django.db.models import CheckConstraint, Q

# Only a claim in the sandbox debits a bank without a mandate.
TESTS_IN_THE_SANDBOX = """
CREATE FUNCTION links_mandate_check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.is_test AND NOT EXISTS (
        SELECT FROM links_claim c JOIN links_paymentlink l ON l.id = c.link_id
         WHERE c.id = NEW.claim_id AND l.environment = 'SANDBOX'
    ) THEN
        RAISE EXCEPTION 'a test authorization outside the sandbox'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'mandate_tests_in_the_sandbox';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER mandate_tests_in_the_sandbox BEFORE INSERT OR UPDATE ON links_mandate
    FOR EACH ROW EXECUTE FUNCTION links_mandate_check();
"""
GONE = "DROP TRIGGER mandate_tests_in_the_sandbox ON links_mandate; DROP FUNCTION links_mandate_check()"


class Migration(migrations.Migration):
    dependencies = [("links", "0008_conversion_per_environment")]

    operations = [
        migrations.AddField("mandate", "is_test", models.BooleanField(default=False)),
        migrations.AlterField("mandate", "version", models.CharField(max_length=16, blank=True)),
        migrations.AlterField("mandate", "wording", models.TextField(blank=True)),
        migrations.AddConstraint(
            "mandate",
            CheckConstraint(
                condition=Q(is_test=True, version="", wording="")
                | (Q(is_test=False) & ~Q(version="") & ~Q(wording="")),
                name="mandate_has_its_words_unless_a_test",
            ),
        ),
        migrations.RunSQL(TESTS_IN_THE_SANDBOX, GONE),
    ]

import re
from pathlib import Path

from django.db import migrations

import wallgent.money

_POSTING = Path(__file__).parent.parent.joinpath("posting.sql").read_text()
# Older databases get the functions as they are now; in new ones 0002 has made them so already.
_CHANGED = r"CREATE (FUNCTION (?:ledger_post|ledger_account_identity)\(.*?\nEND \$\$;)"
_FUNCTIONS = re.findall(_CHANGED, _POSTING, re.DOTALL)


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_room_for_every_total")]

    operations = [
        migrations.AlterField(
            model_name="ledgeraccount",
            name="debt",
            field=wallgent.money.TotalField(default=wallgent.money.ZERO),
        ),
        migrations.AlterField(
            model_name="entry",
            name="balance_after",
            field=wallgent.money.TotalField(blank=True, null=True),
        ),
        *(
            migrations.RunSQL(f"CREATE OR REPLACE {function}", migrations.RunSQL.noop)
            for function in _FUNCTIONS
        ),
    ]

import re
from pathlib import Path

from django.db import migrations

import wallgent.money

_POSTING = Path(__file__).parent.parent.joinpath("posting.sql").read_text()
# Older databases get the function as it is now; in new ones 0002 has made it so already.
_LEDGER_POST = re.search(
    r"CREATE FUNCTION ledger_post\(.*?\nEND \$\$;", _POSTING, re.DOTALL
).group()


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
        migrations.RunSQL(
            _LEDGER_POST.replace("CREATE", "CREATE OR REPLACE", 1), migrations.RunSQL.noop
        ),
    ]

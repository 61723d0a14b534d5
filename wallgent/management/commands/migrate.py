"""Django's `migrate`, which refuses a database of another history before it changes anything."""

from django.apps import apps
from django.conf import settings
from django.core.management import CommandError
from django.core.management.commands import migrate
from django.db import connections
from django.db.migrations.loader import MigrationLoader

_SHOWN = 3


class Command(migrate.Command):
    def handle(self, *args, **options):
        check_history(connections[options["database"]])
        return super().handle(*args, **options)


def check_history(connection) -> None:
    """Raises CommandError if the database has migrations of ours that this version has not."""
    ours = {config.label for config in apps.get_app_configs() if _is_ours(config)}
    loader = MigrationLoader(connection)
    unknown = sorted(
        f"{app}.{name}"
        for app, name in loader.applied_migrations
        if app in ours and (app, name) not in loader.disk_migrations
    )
    if unknown:
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        raise CommandError(
            "The database was created by another version of Wallgent, and this version cannot"
            f" upgrade it: it does not know {', '.join(unknown[:_SHOWN])}{more}. Nothing was"
            " changed. Use that version, or start with an empty database: with `make run`, move"
            f" the folder {settings.WALLGENT_HOME} away."
        )


def _is_ours(config) -> bool:
    return (settings.BASE_DIR / config.name.split(".")[0]).is_dir()

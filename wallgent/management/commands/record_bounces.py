"""Records an email that came back. A mail server pipes messages for the sender address here."""

import sys

from django.core.management import BaseCommand, CommandError
from django.db import DatabaseError, InterfaceError

from wallgent.mail import bounces

_TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h: the mail server keeps the message


class Command(BaseCommand):
    help = "Record an email that came back, from a delivery status notification on stdin."

    def handle(self, **options):
        try:
            failed = bounces.record(sys.stdin.buffer.read(bounces.MAX_BYTES))
        except (DatabaseError, InterfaceError) as error:
            raise CommandError("The database does not answer.", returncode=_TRY_AGAIN) from error
        # Anything else is not an error either: a mail server would return it to its sender.
        if failed:
            self.stdout.write(f"{failed.id} failed: {failed.get_reason_display()}")
        else:
            self.stdout.write("This message is not about an email that was sent.")

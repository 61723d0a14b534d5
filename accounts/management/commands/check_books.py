from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from accounts.ledger import checks, statements


class Command(BaseCommand):
    help = "Add every entry up again and compare; exits with 1 when anything differs."

    @transaction.atomic
    def handle(self, *args, **options):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 0")  # checking a large ledger takes long
        for row in statements.trial_balance():
            self.stdout.write(
                f"{row['book']:<11}{row['currency']:<5}{row['type']:<10}{row['kind']:<11}"
                f"{row['debit']:>24.8f}{row['credit']:>24.8f}"
            )
        differences = checks.differences()
        for difference in differences:
            self.stderr.write(difference)
        if differences:
            raise CommandError(f"The books do not balance: {len(differences)} differences.")
        self.stdout.write(self.style.SUCCESS("The books balance."))

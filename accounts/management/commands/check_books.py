from django.core.management.base import BaseCommand, CommandError

from accounts.services import books


class Command(BaseCommand):
    help = "Add every entry up again and compare; exits with 1 when anything differs."

    def handle(self, *args, **options):
        for row in books.trial_balance():
            self.stdout.write(
                f"{row['book']:<11}{row['currency']:<5}{row['type']:<10}{row['kind']:<11}"
                f"{row['debit']:>24}{row['credit']:>24}"
            )
        differences = books.differences()
        for difference in differences:
            self.stderr.write(difference)
        if differences:
            raise CommandError(f"The books do not balance: {len(differences)} differences.")
        self.stdout.write(self.style.SUCCESS("The books balance."))

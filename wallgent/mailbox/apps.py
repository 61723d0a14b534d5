from django.apps import AppConfig


class MailboxConfig(AppConfig):
    name = "wallgent.mailbox"
    label = "mailbox"

    def ready(self):
        from wallgent import pages
        from wallgent.environments import Environment

        pages.add_section(
            "mailbox",
            "Test mailbox",
            icon="mail",
            permission="payments:write",
            rank=50,
            environment=Environment.SANDBOX,
        )

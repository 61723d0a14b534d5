from django.apps import AppConfig


class MailboxConfig(AppConfig):
    name = "wallgent.mail"
    label = "mailbox"

    def ready(self):
        from wallgent.environments import Environment
        from wallgent.web import pages

        pages.add_section(
            "mailbox",
            "Test mailbox",
            icon="mail",
            permission="payments:write",
            rank=50,
            environment=Environment.SANDBOX,
        )

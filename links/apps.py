from django.apps import AppConfig


class LinksConfig(AppConfig):
    name = "links"

    def ready(self):
        from accounts.services import books as all_books
        from links import events
        from links.services import books, tellers
        from wallgent import pages

        events.declare_all()
        tellers.declare_all()
        all_books.register(books.DIFFERENCES)
        pages.add_section(
            "payment-links", "Payment links", icon="link", permission="payments:read", rank=40
        )

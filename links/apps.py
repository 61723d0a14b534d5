from django.apps import AppConfig


class LinksConfig(AppConfig):
    name = "links"

    def ready(self):
        from accounts.services import books as all_books
        from links import events
        from links.services import books

        events.declare_all()
        all_books.register(books.DIFFERENCES)

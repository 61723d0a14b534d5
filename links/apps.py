from django.apps import AppConfig


class LinksConfig(AppConfig):
    name = "links"

    def ready(self):
        from accounts.services import approvals, rail_outcomes
        from accounts.services import books as all_books
        from links import events
        from links.services import books, pay_ins, pay_requests, settlement, tellers
        from links.services.histories import PURPOSE
        from wallgent import pages

        events.declare_all()
        tellers.declare_all()
        all_books.register(books.DIFFERENCES)
        rail_outcomes.on_outcome(PURPOSE, settlement.on_outcome, lock=settlement.lock)
        approvals.register(
            PURPOSE, pay_ins.execute, lock=pay_requests.lock, ended=pay_requests.on_ended
        )
        pages.add_section(
            "payment-links", "Payment links", icon="link", permission="payments:read", rank=40
        )

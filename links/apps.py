from django.apps import AppConfig


class LinksConfig(AppConfig):
    name = "links"

    def ready(self):
        from accounts.controls.services import approvals
        from accounts.ledger import checks as all_books
        from accounts.transfers.services import callbacks
        from links.payment_links import checks as books
        from links.payment_links import event_descriptions, events
        from links.payment_links.services import pay_ins, pay_requests, settlement
        from links.payment_links.services.claim_history import PURPOSE
        from wallgent.web import pages

        events.declare_all()
        event_descriptions.declare_all()
        all_books.register(books.DIFFERENCES)
        callbacks.on_outcome(PURPOSE, settlement.on_outcome, lock=settlement.lock)
        approvals.register(
            PURPOSE, pay_ins.execute, lock=pay_requests.lock, ended=pay_requests.on_ended
        )
        pages.add_section(
            "payment-links", "Payment links", icon="link", permission="payments:read", rank=40
        )

from django.apps import AppConfig


class LinksConfig(AppConfig):
    name = "links"

    def ready(self):
        from accounts.controls.services import approvals
        from accounts.payments.api.payments import PaymentOutput
        from accounts.transfers.services import callbacks
        from links.payment_links import checks, events  # noqa: F401
        from links.payment_links.imports.kind import KIND
        from links.payment_links.models import PURPOSE, PaymentLink
        from links.payment_links.services import expiry, pay_ins, pay_requests, settlement
        from wallgent import due_work
        from wallgent.imports import kinds
        from wallgent.web import pages

        kinds.register(KIND)
        checks.declare_all()
        due_work.register(
            expiry.DUE_WORK,
            expiry.expire_due,
            subject=PaymentLink,
            label="Expire payment link",
            set_size=expiry.SET_SIZE,
        )
        callbacks.on_outcome(PURPOSE, settlement.on_outcome, lock=settlement.lock)
        approvals.register(
            PURPOSE,
            approvals.Kind(
                label="Payment link",
                execute=pay_ins.execute,
                lock=pay_requests.lock,
                on_ended=pay_requests.on_ended,
                result_json=lambda approval: (
                    approval.payment and PaymentOutput.of(approval.payment).to_json()
                ),
            ),
        )
        pages.add_section(
            "payment-links",
            "Payment links",
            icon="link",
            group="Links",
            permission="payments:read",
            rank=40,
        )
        pages.add_settings(
            "payment-link-settings", "Payment links", permission="organizations:read"
        )

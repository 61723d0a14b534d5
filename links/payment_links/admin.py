from django.contrib import admin

from links.payment_links.models import (
    Claim,
    ClaimStep,
    LinkSettings,
    PaymentLink,
)
from links.payment_links.services import methods, payment_links
from wallgent.admin import (
    SupportAdmin,
    SupportInline,
    amount,
    link,
    search_links,
    service_action,
    status,
)

_CONVERTS = ["converts_currencies_sandbox", "converts_currencies_production"]
_AMOUNT = amount("amount", "link.currency")  # of a claim
_SLUG_SHOWN = 6  # enough to identify a link, too little to claim it


class ClaimInline(SupportInline):
    model = Claim
    fields = [
        *("id", "created_at", "method", status(), "consumes_use", "wallet", _AMOUNT),
        *("payment", "transfer", "failure_reason"),
    ]

    def get_queryset(self, request):
        return super().get_queryset(request).select_related("wallet", "payment", "transfer")


class ClaimStepInline(SupportInline):
    model = ClaimStep
    fields = ["at", status(), "reason"]
    show_change_link = False


@admin.register(PaymentLink)
class PaymentLinkAdmin(SupportAdmin):
    list_display = [
        *("id", "created_at", "organization", "environment", "direction", status(), "slug_start"),
        *(amount("amount"), "currency", "uses", "expires_at"),
    ]
    list_select_related = ["organization"]
    list_filter = ["environment", "direction", "status", "currency"]
    id_fields = {
        **{key: ["pk"] for key in PaymentLink.PREFIXES},
        **{"org": ["organization"], "wal": ["wallet"], "hld": ["hold"], "clm": ["claims"]},
    }
    search_help_text = (
        "The id of a link, of its organization, wallet, hold or claim; the start of its slug, as"
        f" far as it is shown ({_SLUG_SHOWN} characters)."
    )
    fields = [
        *("id", "organization", "environment", "wallet", "direction", status(), "slug_start"),
        *(amount("amount"), "currency", "description", "uses", "methods"),
        *("emails", "wallet_ids", "proof"),
        *("metadata", "hold", "transaction", "created_at", "expires_at", "claimed_at"),
        *("settled_at", "expired_at", "cancelled_at", "reopened_at", "reopen_reason"),
        "see_also",
    ]
    inlines = [ClaimInline]
    actions = ["cancel"]

    def get_search_results(self, request, queryset, search_term):
        """Search by the start of the slug. All of it would put a secret into the URL."""
        term = search_term.strip()
        if len(term) == _SLUG_SHOWN:
            return queryset.filter(slug__startswith=term), False
        return super().get_search_results(request, queryset, term)

    @admin.display(description="slug")
    def slug_start(self, payment_link):
        return f"{payment_link.slug[:_SLUG_SHOWN]}…"

    @admin.display
    def uses(self, payment_link):
        return f"{payment_link.use_count} of {payment_link.max_uses}"

    @admin.display
    def methods(self, payment_link):
        """The methods that the link offers now."""
        return ", ".join(methods.labels(payment_link))

    @admin.display
    def see_also(self, payment_link):
        return search_links(payment_link.id, claims="links.claim", events="wallgent.event")

    @service_action("Cancel")
    def cancel(self, payment_link, *, actor):
        payment_links.cancel(payment_link, actor=actor)


@admin.register(Claim)
class ClaimAdmin(SupportAdmin):
    list_display = [
        *("id", "created_at", "payment_link", "method", status(), "wallet", _AMOUNT),
    ]
    list_select_related = ["link", "wallet"]
    list_filter = ["method", "status"]
    id_fields = {
        **{"clm": ["pk"], "lnk": ["link"], "wal": ["wallet"], "hld": ["hold"]},
        **{"txn": ["payment", "transaction"], "xfr": ["transfer"]},
    }
    search_help_text = "The id of a claim, or of its link, wallet, hold, transfer or payment."
    fields = [
        *("id", "payment_link", "method", status(), "consumes_use", "wallet", "recipient_email"),
        *(_AMOUNT, "payment", "transfer", "transaction", "hold", "failure_reason"),
        *("created_at", "deadline_at", "settled_at", "ended_at", "see_also"),
    ]
    inlines = [ClaimStepInline]

    @admin.display(description="link")
    def payment_link(self, claim):
        return link("links.paymentlink", claim.link_id)

    @admin.display
    def see_also(self, claim):
        return search_links(claim.id, mandates="accounts.mandate")


@admin.register(LinkSettings)
class LinkSettingsAdmin(SupportAdmin):
    list_display = ["organization", *_CONVERTS]
    list_select_related = ["organization"]
    id_fields = {"org": ["pk"]}
    search_help_text = "The id of an organization."
    fields = ["organization", *_CONVERTS]

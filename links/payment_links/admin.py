from django.contrib import admin
from django.db.models import Count

from links.payment_links.models import (
    Claim,
    ClaimStep,
    LinkBatch,
    LinkSettings,
    Mandate,
    PaymentLink,
)
from links.payment_links.services import methods, payment_links
from wallgent.admin import SupportAdmin, SupportInline, amount, link, lists_about, service_action

_CONVERTS = ["converts_currencies_sandbox", "converts_currencies_production"]
_SLUG_SHOWN = 6  # enough to tell links apart, too little to claim one


class ClaimInline(SupportInline):
    model = Claim
    fields = [
        *("id", "created_at", "method", "status", "takes_use", "wallet", amount("amount")),
        *("payment", "transfer", "failure_reason"),
    ]

    def get_queryset(self, request):
        return super().get_queryset(request).select_related("wallet", "payment", "transfer")


class ClaimStepInline(SupportInline):
    model = ClaimStep
    fields = ["at", "status", "reason"]
    show_change_link = False


class MandateInline(SupportInline):
    model = Mandate
    fields = ["is_test", "version", "wording", "ip", "user_agent", "accepted_at"]
    show_change_link = False


@admin.register(PaymentLink)
class PaymentLinkAdmin(SupportAdmin):
    list_display = [
        *("id", "created_at", "organization", "environment", "direction", "status", "start"),
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
        *("id", "organization", "environment", "wallet", "direction", "status", "start"),
        *(amount("amount"), "currency", "description", "uses", "methods"),
        *("emails", "wallet_ids", "proof"),
        *("metadata", "hold", "transaction", "created_at", "expires_at", "claimed_at"),
        *("settled_at", "expired_at", "cancelled_at", "reopened_at", "reopen_reason"),
        "see_also",
    ]
    inlines = [ClaimInline]
    actions = ["cancel"]

    def get_search_results(self, request, queryset, search_term):
        """By the start of the slug, which is shown. The rest would be a secret in an address."""
        term = search_term.strip()
        if len(term) == _SLUG_SHOWN:
            return queryset.filter(slug__startswith=term), False
        return super().get_search_results(request, queryset, term)

    @admin.display(description="slug")
    def start(self, payment_link):
        return f"{payment_link.slug[:_SLUG_SHOWN]}…"

    @admin.display
    def uses(self, payment_link):
        return f"{payment_link.use_count} of {payment_link.max_uses}"

    @admin.display
    def methods(self, payment_link):
        """As everybody is offered them now."""
        return ", ".join(methods.labels(payment_link))

    @admin.display
    def see_also(self, payment_link):
        return lists_about(payment_link.id, claims="links.claim", events="events.event")

    @service_action("Cancel")
    def cancel(self, payment_link, *, actor):
        payment_links.cancel(payment_link, actor=actor)


@admin.register(Claim)
class ClaimAdmin(SupportAdmin):
    list_display = [
        *("id", "created_at", "payment_link", "method", "status", "wallet", amount("amount")),
    ]
    list_select_related = ["wallet"]
    list_filter = ["method", "status"]
    id_fields = {
        **{"clm": ["pk"], "lnk": ["link"], "wal": ["wallet"], "hld": ["hold"]},
        **{"txn": ["payment", "transaction"], "xfr": ["transfer"]},
    }
    search_help_text = "The id of a claim, or of its link, wallet, hold, transfer or payment."
    fields = [
        *("id", "payment_link", "method", "status", "takes_use", "wallet", "recipient_email"),
        *(amount("amount"), "payment", "transfer", "transaction", "hold", "failure_reason"),
        *("created_at", "deadline_at", "settled_at", "ended_at"),
    ]
    inlines = [ClaimStepInline, MandateInline]

    @admin.display(description="link")
    def payment_link(self, claim):
        return link("links.paymentlink", claim.link_id)


@admin.register(LinkSettings)
class LinkSettingsAdmin(SupportAdmin):
    list_display = ["organization", *_CONVERTS]
    list_select_related = ["organization"]
    id_fields = {"org": ["pk"]}
    search_help_text = "The id of an organization."
    fields = ["organization", *_CONVERTS]


@admin.register(LinkBatch)
class LinkBatchAdmin(SupportAdmin):
    list_display = ["id", "uploaded_at", "organization", "environment", "status", "file_name"]
    list_select_related = ["organization"]
    list_filter = ["environment", "status"]
    id_fields = {"lbt": ["pk"], "org": ["organization"], "lnk": ["rows__link"]}
    search_help_text = "The id of a batch, of its organization or of a link made from it."
    fields = [
        *("id", "organization", "environment", "status", "file_name", "rows"),
        *("uploaded_at", "confirmed_at", "confirmed_by", "tended_at", "finished_at"),
    ]

    @admin.display
    def rows(self, batch):
        """How many rows are in each state; what they say is the organization's affair."""
        counts = batch.rows.order_by("status").values_list("status").annotate(Count("pk"))
        return ", ".join(f"{count} {status.lower()}" for status, count in counts)

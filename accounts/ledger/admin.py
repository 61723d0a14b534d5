from django.contrib import admin

from accounts.ledger.models import Entry, Hold, HoldOperation, LedgerAccount, Transaction
from wallgent.admin import SupportAdmin, SupportInline, amount, link, search_links, status


@admin.register(LedgerAccount)
class LedgerAccountAdmin(SupportAdmin):
    list_display = [
        *("id", "book", "kind", "rail", "type", "currency", status("state")),
        *(amount("exact_balance"), amount("held")),
    ]
    list_filter = ["book", "kind", "currency", "state"]
    id_fields = {"acc": ["pk"], "org": ["owner"]}
    search_help_text = "The id of an account, or of the organization that owns it."
    fields = [
        *("id", "book", "type", "kind", "rail", "currency", "owner", status("state")),
        amount("exact_balance"),
        amount("held"),
        amount("available"),
        amount("debt"),
        *("lines", "last_entry_at", "created_at", "see_also"),
    ]

    def get_queryset(self, request):
        return super().get_queryset(request).with_exact_balance()

    @admin.display
    def see_also(self, account):
        return search_links(account.id, entries="ledger.entry", holds="ledger.hold")


class EntryInline(SupportInline):
    model = Entry
    verbose_name_plural = "entries"
    fields = [
        *("id", "created_at", "type", amount("amount"), "currency", "to", "line"),
        amount("balance_after"),
    ]

    def get_queryset(self, request):
        return super().get_queryset(request).select_related("account")

    @admin.display
    def currency(self, entry):
        return entry.account.currency

    @admin.display(description="account")
    def to(self, entry):
        return link(
            "ledger.ledgeraccount", entry.account_id, f"{entry.account.kind} {entry.account_id}"
        )


@admin.register(Transaction)
class TransactionAdmin(SupportAdmin):
    list_display = ["id", "created_at", "book", "reason", "memo"]
    list_filter = ["book"]
    id_fields = {"txn": ["pk", "reverses"], "ent": ["entries"]}
    search_help_text = "The id of a transaction, of the one it reverses, or of one of its entries."
    fields = ["id", "book", "reason", "memo", "reverses", "created_at"]
    inlines = [EntryInline]


@admin.register(Entry)
class EntryAdmin(SupportAdmin):
    list_display = [
        *("id", "created_at", "transaction_id", "kind", "account_id", "type", amount("amount")),
        *("currency", "line", amount("balance_after")),
    ]
    list_select_related = ["account"]
    list_filter = ["type"]
    id_fields = {"ent": ["pk"], "txn": ["transaction"], "acc": ["account"]}
    search_help_text = "The id of an entry, transaction or account."
    fields = [
        *("id", "created_at", "transaction", "account", "type", amount("amount"), "currency"),
        *("line", amount("balance_after")),
    ]

    @admin.display
    def currency(self, entry):
        return entry.account.currency

    @admin.display
    def kind(self, entry):
        return entry.account.kind


def _held(name: str):
    return amount(name, "account.currency")


class HoldOperationInline(SupportInline):
    model = HoldOperation
    fields = ["id", "created_at", "type", amount("amount", "hold.account.currency"), "posted"]
    ordering = ["created_at", "id"]
    show_change_link = False

    @admin.display(description="transaction")
    def posted(self, operation):
        return link("ledger.transaction", operation.transaction_id)


@admin.register(Hold)
class HoldAdmin(SupportAdmin):
    list_display = [
        *("id", "created_at", "account_id", "reason", "reference"),
        *(_held("amount"), _held("captured"), _held("released"), _held("remaining")),
        *("expires_at", "ended_at"),
    ]
    list_select_related = ["account"]
    list_filter = [("ended_at", admin.EmptyFieldListFilter)]
    id_fields = {"hld": ["pk"], "acc": ["account"]}
    search_fields = ["reference__exact"]
    search_help_text = "The id of a hold, of its account, or of what it is for."
    fields = [
        *("id", "account", "reason", "reference"),
        *(_held("amount"), _held("captured"), _held("released"), _held("remaining")),
        *("expires_at", "created_at", "ended_at"),
    ]
    inlines = [HoldOperationInline]

from allauth.account.decorators import secure_admin_login
from django import forms
from django.apps import apps
from django.contrib import admin

from accounts.models import (
    ApiKey,
    Approval,
    IncomingPayment,
    Invitation,
    LinkDirection,
    Membership,
    Organization,
    Payment,
    Plan,
    SimulatorEntry,
    SimulatorOrder,
    SimulatorPayment,
    Suspended,
    Transfer,
    User,
    Wallet,
)
from accounts.services import (
    api_keys,
    organizations,
    rail_suspense,
    rail_transfers,
    users,
    wallets,
)
from wallgent import ids
from wallgent.admin import (
    SupportAdmin,
    SupportInline,
    amount,
    link,
    lists_about,
    service_action,
    support_actor,
)

_POSTGRES_INTEGER_MAX = 2**31 - 1

# Support signs in as everybody does, second factors and lock-outs included.
admin.site.login = secure_admin_login(admin.site.login)

# What these would let support change, nobody would know of; and some of it is secret.
for _model in ("account.EmailAddress", "mfa.Authenticator", "usersessions.UserSession"):
    admin.site.unregister(apps.get_model(_model))


class PlanForm(forms.Form):
    plan = forms.ChoiceField(choices=Plan.choices)


class LimitsForm(forms.Form):
    """Figures in place of the plan's. Named as the model names them, so that it starts filled."""

    custom_reads_per_minute = forms.IntegerField(
        required=False, min_value=1, max_value=_POSTGRES_INTEGER_MAX, help_text="Empty: the plan's"
    )
    custom_writes_per_minute = forms.IntegerField(
        required=False, min_value=1, max_value=_POSTGRES_INTEGER_MAX, help_text="Empty: the plan's"
    )
    custom_wallets = forms.IntegerField(
        required=False, min_value=0, max_value=_POSTGRES_INTEGER_MAX, help_text="Empty: the plan's"
    )


class LinkDirectionForm(forms.Form):
    default_link_direction = forms.ChoiceField(
        choices=LinkDirection.choices,
        help_text="Of links made without one. RECEIVE asks for money, SEND pays it out.",
    )


class ReasonForm(forms.Form):
    reason = forms.CharField(
        required=False, max_length=256, help_text="The wallet's owner can read it."
    )


class WalletForm(forms.Form):
    wallet_id = forms.CharField(
        max_length=64, help_text="Of the same organization, environment and currency."
    )


class MembershipInline(SupportInline):
    model = Membership
    fields = ["user", "organization", "role", "created_at"]

    def get_queryset(self, request):
        return super().get_queryset(request).select_related("user", "organization")


@admin.register(Organization)
class OrganizationAdmin(SupportAdmin):
    list_display = ["id", "name", "email", "plan", "production_activated_at", "created_at"]
    list_filter = ["plan", "type", ("production_activated_at", admin.EmptyFieldListFilter)]
    date_hierarchy = "created_at"
    id_fields = {
        "org": ["pk"],
        "usr": ["memberships__user"],
        "wal": ["wallets"],
        "key": ["api_keys"],
    }
    search_fields = ["name", "email"]
    search_help_text = "The id of an organization, member, wallet or API key; a name; an e-mail."
    fields = [
        *("id", "name", "email", "type", "plan", "limits", "default_link_direction"),
        *("accepts_pay_requests_sandbox", "accepts_pay_requests_production"),
        *("production_activated_at", "sandbox_offset", "created_at", "updated_at", "see_also"),
    ]
    inlines = [MembershipInline]
    actions = ["set_plan", "set_limits", "set_link_direction", "activate_production"]

    @admin.display
    def limits(self, organization):
        limits = organization.limits
        count = "any number of" if limits.wallets is None else limits.wallets
        return (
            f"{limits.reads_per_minute} reads and {limits.writes_per_minute} writes a minute, "
            f"{count} wallets"
        )

    @admin.display
    def see_also(self, organization):
        return lists_about(
            organization.id,
            wallets="accounts.wallet",
            payments="accounts.payment",
            api_keys="accounts.apikey",
            ledger_accounts="ledger.ledgeraccount",
            events="events.event",
        )

    def actor_for(self, request, obj):
        return support_actor(request, obj)

    @service_action("Set plan", form=PlanForm)
    def set_plan(self, organization, *, actor, plan):
        organizations.set_plan(organization, actor=actor, plan=plan)

    @service_action("Set limits", form=LimitsForm)
    def set_limits(self, organization, *, actor, **figures):
        organizations.set_limits(
            organization,
            actor=actor,
            reads_per_minute=figures["custom_reads_per_minute"],
            writes_per_minute=figures["custom_writes_per_minute"],
            wallets=figures["custom_wallets"],
        )

    @service_action("Set direction of new payment links", form=LinkDirectionForm)
    def set_link_direction(self, organization, *, actor, default_link_direction):
        organizations.set_link_direction(
            organization, actor=actor, direction=default_link_direction
        )

    @service_action("Activate production")
    def activate_production(self, organization, *, actor):
        organizations.activate_production(organization, actor=actor)


@admin.register(User)
class UserAdmin(SupportAdmin):
    """People. Who may use this admin is for superusers to say; passwords for nobody here."""

    list_display = ["id", "email", "name", "is_active", "is_staff", "last_login", "created_at"]
    list_filter = ["is_active", "is_staff", "is_superuser"]
    date_hierarchy = "created_at"
    id_fields = {"usr": ["pk"], "org": ["memberships__organization"], "mem": ["memberships"]}
    search_fields = ["email", "name"]
    search_help_text = "The id of a person, organization or membership; an e-mail; a name."
    _rights = ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")
    _facts = (
        *("id", "email", "name", "is_address_confirmed", "second_factors"),
        *("last_login", "created_at"),
    )
    fields = [*_facts, *_rights]
    readonly_fields = _facts
    filter_horizontal = ["groups", "user_permissions"]
    inlines = [MembershipInline]
    actions = ["remove_second_factors"]

    def has_act_permission(self, request):
        return request.user.is_superuser

    def actor_for(self, request, obj):
        return support_actor(request, organization=None)  # the service acts in each of theirs

    @service_action("Remove second factors")
    def remove_second_factors(self, user, *, actor):
        users.remove_factors(user, actor=actor)

    @admin.display(boolean=True)
    def is_address_confirmed(self, user):
        return user.emailaddress_set.filter(email=user.email, verified=True).exists()

    @admin.display
    def second_factors(self, user):
        kinds = user.authenticator_set.order_by("pk")
        return ", ".join(kind.get_type_display() for kind in kinds) or "none"

    def has_change_permission(self, request, obj=None):
        # Not their own: the last superuser would lock the door from the outside.
        return request.user.is_superuser and obj != request.user


@admin.register(Membership)
class MembershipAdmin(SupportAdmin):
    list_display = ["id", "organization", "user", "role", "created_at"]
    list_select_related = ["organization", "user"]
    list_filter = ["role"]
    id_fields = {"mem": ["pk"], "org": ["organization"], "usr": ["user"]}
    search_fields = ["user__email"]
    search_help_text = "The id of a membership, organization or person; an e-mail."
    fields = ["id", "organization", "user", "role", "created_at"]


@admin.register(Invitation)
class InvitationAdmin(SupportAdmin):
    list_display = [
        *("id", "organization", "email", "role", "expires_at", "accepted_at", "revoked_at"),
        "created_at",
    ]
    list_select_related = ["organization"]
    list_filter = [
        *("role", ("accepted_at", admin.EmptyFieldListFilter)),
        ("revoked_at", admin.EmptyFieldListFilter),
    ]
    date_hierarchy = "created_at"
    id_fields = {"ivt": ["pk"], "org": ["organization"], "usr": ["invited_by", "accepted_by"]}
    search_fields = ["email"]
    search_help_text = "The id of an invitation, organization or person; an e-mail."
    fields = [
        *("id", "organization", "email", "role", "invited_by", "expires_at"),
        *("accepted_at", "accepted_by", "revoked_at", "created_at"),
    ]


@admin.register(ApiKey)
class ApiKeyAdmin(SupportAdmin):
    list_display = [
        *("id", "organization", "environment", "name", "key_prefix"),
        *("status", "last_used_at", "created_at"),
    ]
    list_select_related = ["organization"]
    list_filter = ["environment", ("revoked_at", admin.EmptyFieldListFilter)]
    date_hierarchy = "created_at"
    id_fields = {"key": ["pk"], "org": ["organization"]}
    search_fields = ["name", "key_prefix__startswith"]
    search_help_text = "The id of a key or organization; the start of the key; a name."
    fields = [
        *("id", "organization", "environment", "name", "key_prefix", "status", "permissions"),
        *("wallet_scope", "allowed_ips", "expires_at", "revoked_at", "last_used_at"),
        *("created_at", "updated_at"),
    ]
    actions = ["revoke"]

    @admin.display
    def status(self, key):
        return key.status

    @service_action("Revoke")
    def revoke(self, key, *, actor):
        api_keys.revoke(key, actor=actor)


@admin.register(Wallet)
class WalletAdmin(SupportAdmin):
    list_display = [
        *("id", "organization", "environment", "name", "type", "status", "currency"),
        *(amount("account.balance", balance=True), "created_at"),
    ]
    list_select_related = ["organization", "account"]
    list_filter = ["environment", "type", "account__state", "account__currency"]
    date_hierarchy = "created_at"
    id_fields = {"wal": ["pk"], "org": ["organization"], "acc": ["account"]}
    search_fields = ["name", "agent_name", "address__exact"]
    search_help_text = "The id of a wallet, organization or ledger account; an address; a name."
    fields = [
        *("id", "organization", "environment", "name", "agent_name", "type", "is_default"),
        *("address", "status", "currency"),
        amount("account.balance", balance=True),
        amount("account.held", balance=True),
        amount("account.available", balance=True),
        amount("account.debt", balance=True),
        amount("sandbox_funds"),
        *("metadata", "ledger_account", "created_at", "updated_at", "see_also"),
    ]
    actions = ["freeze", "unfreeze", "close"]

    @admin.display(description="ledger account")
    def ledger_account(self, wallet):
        return link("ledger.ledgeraccount", wallet.account_id)

    @admin.display
    def see_also(self, wallet):
        links = {"payments": "accounts.payment", "transfers": "accounts.transfer"}
        links |= {"suspended": "accounts.suspended", "organization": "accounts.organization"}
        return lists_about(wallet.id, **links, events="events.event")

    @service_action("Freeze", form=ReasonForm)
    def freeze(self, wallet, *, actor, reason):
        wallets.freeze(wallet, actor=actor, reason=reason)

    @service_action("Unfreeze")
    def unfreeze(self, wallet, *, actor):
        wallets.unfreeze(wallet, actor=actor)

    @service_action("Close for good")
    def close(self, wallet, *, actor):
        wallets.close(wallet, actor=actor)


@admin.register(Payment)
class PaymentAdmin(SupportAdmin):
    list_display = [
        *("id", "created_at", "environment", "kind", "status", "sender", "recipient"),
        *(amount("amount"), amount("fee"), "currency"),
    ]
    list_select_related = ["sender", "recipient"]
    list_filter = ["environment", "kind", "status", "currency"]
    id_fields = {
        "txn": ["pk", "reversal_of"],
        "wal": ["sender", "recipient"],
        "org": ["organization", "recipient_organization"],
    }
    search_help_text = "The id of a payment, of either wallet or of either organization."
    fields = [
        *("id", "organization", "sender", "recipient", "recipient_organization"),
        *("environment", "kind", "status", amount("amount"), amount("fee"), "currency"),
        *("description", "idempotency_key", "failure_code", "failure_reason"),
        *("reversal_of", "ledger_transaction", "created_at", "settled_at"),
    ]

    @admin.display(description="ledger transaction")
    def ledger_transaction(self, payment):
        return link("ledger.transaction", payment.id if payment.settled_at else None)


@admin.register(Approval)
class ApprovalAdmin(SupportAdmin):
    """Decisions are the organization's own: support looks, and decides nothing."""

    list_display = [
        *("id", "created_at", "organization", "environment", "kind", "status", "wallet"),
        *(amount("amount"), "currency", "expires_at"),
    ]
    list_select_related = ["organization", "wallet"]
    list_filter = ["environment", "kind", "status", "currency"]
    id_fields = {
        **{"apr": ["pk"], "wal": ["wallet", "recipient"], "txn": ["payment"]},
        "org": ["organization", "recipient_organization", "asked_by_organization"],
    }
    search_fields = ["subject_id__exact"]
    search_help_text = (
        "The id of an approval, of what it is about, of either wallet or organization, or of its"
        " payment."
    )
    fields = [
        *("id", "organization", "environment", "kind", "subject_id", "rule", "status"),
        *("wallet", "recipient", "recipient_organization", amount("amount"), "currency"),
        *("description", "asked_by_organization", "asked_by_type", "asked_by"),
        *("decided_by_type", "decided_by", "reason", "payment"),
        *("created_at", "expires_at", "decided_at", "expired_at"),
    ]


class IncomingPaymentInline(SupportInline):
    model = IncomingPayment
    fields = ["id", "arrived_at", "kind", amount("amount"), "chain", "external_id", "credited"]
    show_change_link = False

    @admin.display(description="ledger transaction")
    def credited(self, payment):
        return link("ledger.transaction", payment.transaction_id)


@admin.register(Transfer)
class TransferAdmin(SupportAdmin):
    """Over rails. Account numbers are for the rail alone: here stand their last four digits."""

    list_display = [
        *("id", "created_at", "environment", "provider", "direction", "rail_type", "status"),
        *("wallet", amount("amount"), "currency", "next_attempt_at", "attempts"),
    ]
    list_select_related = ["wallet"]
    list_filter = ["environment", "provider", "direction", "rail_type", "status", "purpose"]
    id_fields = {
        **{"xfr": ["pk"], "wal": ["wallet"], "org": ["organization"], "hld": ["hold"]},
        **{"txn": ["transaction", "return_transaction"]},
    }
    search_fields = ["external_id__exact", "reference__exact", "address__exact"]
    search_help_text = (
        "The id of a transfer, of its wallet, organization, hold or ledger transaction; what the"
        " rail calls it; what it is for; an address."
    )
    fields = [
        *("id", "organization", "environment", "wallet", "direction", "rail_type", "provider"),
        *("status", amount("amount"), amount("fee"), "currency", amount("received")),
        *("account_name", "account", "bank_name", "address", "chain", "description"),
        *("purpose", "reference", "hold", "owns_hold", "external_id"),
        *("failure_code", "failure_reason", "completed_by", "returned_by"),
        *("created_at", "submitted_at", "cancel_requested_at", "completed_at", "failed_at"),
        *("cancelled_at", "returned_at", "deadline_at", "next_attempt_at", "attempts", "see_also"),
    ]
    inlines = [IncomingPaymentInline]
    actions = ["ask_now"]

    @admin.display
    def account(self, transfer):
        return f"…{transfer.account_last4}" if transfer.account_last4 else ""

    @admin.display(description="completed by")
    def completed_by(self, transfer):
        return link("ledger.transaction", transfer.transaction_id)

    @admin.display(description="returned by")
    def returned_by(self, transfer):
        return link("ledger.transaction", transfer.return_transaction_id)

    @admin.display
    def see_also(self, transfer):
        return lists_about(
            transfer.id,
            suspended="accounts.suspended",
            simulated="accounts.simulatororder",
            events="events.event",
        )

    @service_action("Ask the rail now")
    def ask_now(self, transfer, *, actor):
        rail_transfers.ask_now(transfer, actor=actor)


@admin.register(Suspended)
class SuspendedAdmin(SupportAdmin):
    """What came for a wallet that was closed or full, until support pays it into another."""

    list_display = [
        *("id", "created_at", "transfer", "organization", amount("amount"), "currency"),
        *("ended_at", "wallet"),
    ]
    list_select_related = ["transfer__organization", "wallet"]
    list_filter = [
        *(("ended_at", admin.EmptyFieldListFilter), "transfer__environment", "currency"),
    ]
    id_fields = {
        **{"sus": ["pk"], "xfr": ["transfer"], "txn": ["transaction", "end_transaction"]},
        **{"wal": ["transfer__wallet"], "org": ["transfer__organization"]},
    }
    search_help_text = (
        "The id of what waits, of its transfer or ledger transaction, or of the wallet or"
        " organization that it came for."
    )
    fields = [
        *("id", "transfer", "organization", amount("amount"), "currency", "kept_by", "created_at"),
        *("wallet", "ended_by", "ended_at"),
    ]
    actions = ["pay_out"]

    @admin.display
    def organization(self, kept):
        return kept.transfer.organization

    @admin.display(description="kept by")
    def kept_by(self, kept):
        return link("ledger.transaction", kept.transaction_id)

    @admin.display(description="ended by")
    def ended_by(self, kept):
        return link("ledger.transaction", kept.end_transaction_id)

    def actor_for(self, request, obj):
        return support_actor(request, obj.transfer.organization, obj.transfer.environment)

    @service_action("Pay into a wallet", form=WalletForm)
    def pay_out(self, kept, *, actor, wallet_id):
        rail_suspense.pay_out(kept, actor=actor, wallet_id=wallet_id)


class SimulatorEntryInline(SupportInline):
    model = SimulatorEntry
    fields = ["id", "made_at", amount("amount"), "currency", "payment"]
    show_change_link = False


@admin.register(SimulatorOrder)
class SimulatorOrderAdmin(SupportAdmin):
    """What the simulated banks and chain have in their books. No money, and nobody's."""

    list_display = [
        *("id", "accepted_at", "transfer", "direction", "rail_type", "state"),
        *(amount("amount"), "currency", "party", "fault"),
    ]
    list_filter = ["direction", "rail_type", "state", "fault"]
    id_fields = {"sim": ["pk"], "xfr": ["reference"], "org": ["organization"]}
    search_fields = ["party__exact"]
    search_help_text = "The id of an order, transfer or organization; an address."
    fields = [
        *("id", "transfer", "organization", "direction", "rail_type", "state"),
        *(amount("amount"), "currency", "party", "fault", "silences", "repeats"),
        *("accepted_at", "settles_at", "returns_at", "ended_at"),
    ]
    inlines = [SimulatorEntryInline]

    @admin.display
    def transfer(self, order):
        id = ids.to_text("xfr", order.reference)
        return link("accounts.transfer", id)


@admin.register(SimulatorPayment)
class SimulatorPaymentAdmin(SupportAdmin):
    list_display = ["id", "paid_at", "address", "chain", amount("amount")]
    list_filter = ["chain"]
    id_fields = {"sim": ["pk"]}
    search_fields = ["address__exact"]
    search_help_text = "The id of a payment; the address it went to."
    fields = ["id", "address", "chain", amount("amount"), "paid_at"]

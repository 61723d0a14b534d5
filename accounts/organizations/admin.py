"""Admin pages of organizations, users, members, invitations and API keys."""

from allauth.account.decorators import secure_admin_login
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.models import Group

from accounts.organizations.models import (
    ApiKey,
    Invitation,
    LinkDirection,
    Membership,
    Organization,
    Plan,
    User,
)
from accounts.organizations.services import api_keys, organizations, users
from wallgent.admin import (
    SupportAdmin,
    SupportInline,
    badge,
    search_links,
    service_action,
    support_actor,
)

_POSTGRES_INTEGER_MAX = 2**31 - 1

# Staff sign in like all users, with second factors and lockouts.
admin.site.login = secure_admin_login(admin.site.login)


class PlanForm(forms.Form):
    plan = forms.ChoiceField(choices=Plan.choices)


class LimitsForm(forms.Form):
    """Limits that replace the plan's. Named like the model's fields, so the form starts filled."""

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
        return search_links(
            organization.id,
            wallets="accounts.wallet",
            payments="accounts.payment",
            api_keys="accounts.apikey",
            ledger_accounts="ledger.ledgeraccount",
            events="wallgent.event",
        )

    def actor_for(self, request, obj):
        return support_actor(request, obj)

    @service_action("Set plan", form=PlanForm)
    def set_plan(self, organization, *, actor, plan):
        organizations.set_plan(organization, actor=actor, plan=plan)

    @service_action("Set limits", form=LimitsForm)
    def set_limits(self, organization, *, actor, **limits):
        organizations.set_limits(
            organization,
            actor=actor,
            reads_per_minute=limits["custom_reads_per_minute"],
            writes_per_minute=limits["custom_writes_per_minute"],
            wallets=limits["custom_wallets"],
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
    """Users. Only superusers grant admin rights; passwords cannot be changed here."""

    list_display = ["id", "email", "name", "is_active", "is_staff", "last_login", "created_at"]
    list_filter = ["is_active", "is_staff", "is_superuser"]
    date_hierarchy = "created_at"
    id_fields = {"usr": ["pk"], "org": ["memberships__organization"], "mem": ["memberships"]}
    search_fields = ["email", "name"]
    search_help_text = "The id of a person, organization or membership; an e-mail; a name."
    _rights = ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")
    _details = (
        *("id", "email", "name", "is_address_confirmed", "second_factors"),
        *("last_login", "created_at"),
    )
    fields = [*_details, *_rights]
    readonly_fields = _details
    filter_horizontal = ["groups", "user_permissions"]
    inlines = [MembershipInline]
    actions = ["remove_second_factors"]

    def has_act_permission(self, request):
        return request.user.is_superuser

    def actor_for(self, request, obj):
        return support_actor(request, organization=None)  # the service adds each organization

    @service_action("Remove second factors")
    def remove_second_factors(self, user, *, actor):
        users.remove_second_factors(user, actor=actor)

    @admin.display(boolean=True)
    def is_address_confirmed(self, user):
        return user.emailaddress_set.filter(email=user.email, verified=True).exists()

    @admin.display
    def second_factors(self, user):
        factors = user.authenticator_set.order_by("pk")
        return ", ".join(factor.get_type_display() for factor in factors) or "none"

    def has_change_permission(self, request, obj=None):
        # Not their own, because the last superuser could remove their own access.
        return request.user.is_superuser and obj != request.user


@admin.register(Group)
class GroupAdmin(SupportAdmin, DjangoGroupAdmin):
    """Sets of rights for staff. Only superusers change them, because only they grant rights."""

    list_display = ["id", "name"]
    search_help_text = "A name."
    fields = ["name", "permissions"]

    def has_add_permission(self, request):
        return request.user.is_superuser

    def has_change_permission(self, request, obj=None):
        return request.user.is_superuser

    def has_delete_permission(self, request, obj=None):
        return request.user.is_superuser


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
        return badge(key.status.label)

    @service_action("Revoke")
    def revoke(self, key, *, actor):
        api_keys.revoke(key, actor=actor)

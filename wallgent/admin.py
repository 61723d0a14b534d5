"""The Django admin for support: search by any id, and changes only through services."""

from functools import wraps
from operator import attrgetter

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import get_fields_from_path, quote, unquote
from django.contrib.admin.views.main import (
    ALL_VAR,
    ERROR_FLAG,
    IS_POPUP_VAR,
    PAGE_VAR,
    SEARCH_VAR,
    TO_FIELD_VAR,
    ChangeList,
)
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join

from wallgent import ids, money, service_runner
from wallgent.actors import Actor
from wallgent.environments import Environment
from wallgent.errors import DomainError
from wallgent.events.models import Event
from wallgent.money import Currency
from wallgent.staff import log as staff_log
from wallgent.web import pages
from wallgent.web.statuses import look_of

_MAX_COUNT = 10_000  # enough pages for a person; an exact count would read whole tables
_PAGE_SIZE = 50
_EVENTS_SHOWN = 100
# Parameters that Django reads on every list, without `o`: lists cannot be sorted.
_LIST_PARAMETERS = {ALL_VAR, ERROR_FLAG, IS_POPUP_VAR, PAGE_VAR, SEARCH_VAR, TO_FIELD_VAR}
_DATE_PARTS = ("year", "month", "day")


class BoundedPaginator(Paginator):
    """Paginates the first 10,000 rows."""

    @cached_property
    def count(self):
        return self.object_list.order_by()[:_MAX_COUNT].count()


class SupportChangeList(ChangeList):
    """A list that handles impossible dates like other malformed values."""

    def get_filters(self, request):
        try:
            return super().get_filters(request)
        except (ValueError, OverflowError) as error:
            raise IncorrectLookupParameters from error


class ReadOnly:
    """Removes the permissions to add, change and delete, from an admin or an inline."""

    def has_add_permission(self, request, obj=None):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False


class SupportInline(ReadOnly, admin.TabularInline):
    """Related rows on the page of an object."""

    extra = 0
    show_change_link = True

    def get_readonly_fields(self, request, obj=None):
        return self.fields


class SupportAdmin(ReadOnly, admin.ModelAdmin):
    """A read-only admin: lists are newest first, searched by id, and objects have their events.

    A subclass names the visible fields in `fields` and the services in `actions`. Filters and
    search must be for visible fields, and a list refuses every other lookup: with enough lookups
    staff could find out the value of a hidden field.
    """

    # The fields that hold ids, by prefix. A field of a joined table must be alone in its list.
    id_fields: dict[str, list[str]] = {}
    ordering = ["-pk"]
    sortable_by = []  # sorting by another column would sort whole tables
    list_per_page = _PAGE_SIZE
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    change_form_template = "admin/support_change_form.html"
    object_history_template = "admin/support_history.html"

    class Media:
        css = {"all": ["css/support.css"]}

    def get_changelist(self, request, **kwargs):
        return SupportChangeList

    def lookup_allowed(self, lookup, value, request):
        return lookup in self._declared_lookups(request)

    def to_field_allowed(self, request, to_field):
        return to_field == self.opts.pk.name

    def undeclared_lookups(self, request, *, is_list: bool) -> list[str]:
        """Return the names of the query parameters that this admin does not declare."""
        names = set()
        if is_list:
            declared = _LIST_PARAMETERS | self._declared_lookups(request)
            names = {
                name
                for name, values in request.GET.lists()
                if name not in declared
                or "\0" in "".join(values)  # no column can hold a null character
            }
        for parameters in (request.GET, request.POST):
            if not set(parameters.getlist(TO_FIELD_VAR)) <= {"", self.opts.pk.name}:
                names.add(TO_FIELD_VAR)
        return sorted(names)

    def _declared_lookups(self, request) -> set[str]:
        names = {f"{self.date_hierarchy}__{part}" for part in _DATE_PARTS if self.date_hierarchy}
        for item in self.get_list_filter(request):
            names.update(self._filter(item, request).expected_parameters())
        return names

    def _filter(self, item, request) -> admin.ListFilter:
        """Return the filter of an item of `list_filter`, created as Django's lists create it."""
        if callable(item):
            return item(request, {}, self.model, self)
        path, create = item if isinstance(item, tuple) else (item, admin.FieldListFilter.create)
        field = get_fields_from_path(self.model, path)[-1]
        return create(field, request, {}, self.model, self, field_path=path)

    def get_search_fields(self, request):
        return self.search_fields or ["pk"]  # an empty list would hide the search box

    def get_search_results(self, request, queryset, search_term):
        term = search_term.strip()
        if not term:
            return queryset, False
        prefix, uuid = term.rpartition("_")[0], ids.read(term)
        if uuid and prefix in self.id_fields:
            return queryset.filter(_any_of(self.id_fields[prefix], uuid)), False
        found = queryset.none()
        if self.search_fields:
            found, _ = super().get_search_results(request, queryset, term)
        if uuid:
            found |= queryset.filter(_any_of(self._id_columns(), uuid))
        return found, False

    def _id_columns(self) -> list[str]:
        names = [name for names in self.id_fields.values() for name in names if name != "pk"]
        return ["pk", *filter(self._is_column, names)]

    def _is_column(self, name: str) -> bool:
        return "__" not in name and self.opts.get_field(name).concrete

    def get_object(self, request, object_id, from_field=None):
        return super().get_object(request, ids.read(object_id) or object_id)

    def id_of(self, object_id: str) -> str:
        """Return the id of an existing object as its page shows it, from any form of the id."""
        return str(self.opts.pk.to_python(ids.read(object_id) or object_id))

    def history_view(self, request, object_id, extra_context=None):
        """Show the events of the object, then Django's own log entries."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied  # first, so that the response does not reveal whether it exists
        found = self.get_object(request, unquote(object_id))
        context = {"events": [], "subject": found and found.pk}
        if found and request.user.has_perm("wallgent.view_event"):
            events = Event.objects.filter(subject=found.pk)
            context["events"] = events.order_by("-id")[:_EVENTS_SHOWN]
        return super().history_view(request, object_id, context | (extra_context or {}))

    def render_change_form(self, request, context, *args, **kwargs):
        actions = self.get_actions(request).values()
        context["service_actions"] = [(name, description) for _, name, description in actions]
        return super().render_change_form(request, context, *args, **kwargs)

    def response_action(self, request, queryset):
        try:
            queryset.filter(pk__in=request.POST.getlist(ACTION_CHECKBOX_NAME))
        except (ValueError, ValidationError) as error:
            raise BadRequest("not an id") from error
        return super().response_action(request, queryset)

    def log_addition(self, request, obj, message):
        self.log_staff_change(request, obj, "add")
        return super().log_addition(request, obj, message)

    def log_change(self, request, obj, message):
        self.log_staff_change(request, obj, "change")
        return super().log_change(request, obj, message)

    def log_deletions(self, request, queryset):
        for obj in queryset:
            self.log_staff_change(request, obj, "delete")
        return super().log_deletions(request, queryset)

    def log_staff_change(self, request, obj, change: str):
        """Log a staff member's change of `obj`, in the transaction of the change."""
        kind, model = staff_log.Kind.CHANGED, self.opts.label_lower
        staff_log.record(request, kind, model, object_id=str(obj.pk), detail=change)

    def has_act_permission(self, request) -> bool:
        """Return whether this staff member may use actions: Django's change permission."""
        return request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}")

    def actor_for(self, request, obj) -> Actor:
        """Return the staff member as an actor for the owner of `obj`."""
        return support_actor(request, obj.organization, obj.environment)


def support_actor(request, organization, environment: str = Environment.SANDBOX) -> Actor:
    """Return the staff member as an actor for an organization."""
    return pages.actor_of(request, organization, environment)


def service_action(description: str, *, form: type[forms.Form] = forms.Form):
    """Make `method(self, obj, *, actor, **form fields)` an action with a confirmation page."""

    def decorate(method):
        @admin.action(description=description, permissions=["act"])
        @wraps(method)
        def action(self, request, queryset):
            chosen = list(queryset[: _PAGE_SIZE + 1])
            if len(chosen) > _PAGE_SIZE:
                self.message_user(request, f"Choose at most {_PAGE_SIZE}.", messages.ERROR)
                return None
            if "confirmed" in request.POST:
                bound_form = form(request.POST)
                if bound_form.is_valid():
                    for obj in chosen:
                        _perform(self, request, obj, method, description, bound_form.cleaned_data)
                    return HttpResponseRedirect(_url_after(self, chosen))
            else:
                bound_form = form(initial=vars(chosen[0]) if len(chosen) == 1 else None)
            return _confirm(self, request, chosen, method.__name__, description, bound_form)

        return action

    return decorate


def _perform(model_admin, request, obj, method, description: str, fields: dict) -> None:
    actor = model_admin.actor_for(request, obj)

    def work():
        method(model_admin, obj, actor=actor, **fields)
        model_admin.log_staff_change(request, obj, method.__name__)

    try:
        service_runner.run(work, actor=actor)
    except DomainError as error:
        model_admin.message_user(request, f"{obj}: {error.message}", messages.ERROR)
    else:
        model_admin.message_user(request, f"{obj}: done ({description.lower()}).")


def _url_after(model_admin, chosen) -> str:
    name = f"admin:{model_admin.opts.app_label}_{model_admin.opts.model_name}"
    if len(chosen) == 1:
        return reverse(f"{name}_change", args=[quote(chosen[0].pk)])
    return reverse(f"{name}_changelist")


def _confirm(model_admin, request, chosen, action: str, description: str, form) -> TemplateResponse:
    context = model_admin.admin_site.each_context(request) | {
        "title": description,
        "opts": model_admin.opts,
        "objects": chosen,
        "action": action,
        "action_checkbox_name": ACTION_CHECKBOX_NAME,
        "form": form,
    }
    return TemplateResponse(request, "admin/confirm_action.html", context)


def amount(path: str, currency: str = ""):
    """Return a column for the money at `path`, such as `account.held`.

    `currency` is a Currency or the path of one; by default it lies beside the amount.
    """
    owner, _, name = path.rpartition(".")
    read = attrgetter(path)
    read_currency = attrgetter(currency or f"{owner}.currency".lstrip("."))

    @admin.display(description=name.replace("_", " "))
    def column(obj):
        value = read(obj)
        unit = currency if currency in Currency else read_currency(obj)
        return "" if value is None else money.display(value, unit)

    column.__name__ = path.replace(".", "_")
    return column


def status(path: str = "status"):
    """Return a column for the status at `path`, such as `account.state`, as a badge."""
    owner, _, name = path.rpartition(".")
    read = attrgetter(f"{owner}.get_{name}_display".lstrip("."))

    @admin.display(description="status")
    def column(obj):
        return badge(read(obj)())

    column.__name__ = path.replace(".", "_")
    return column


def badge(word: str):
    """Return the badge of a status, by its word."""
    look = look_of(word)
    return format_html('<span class="badge tone-{}">{}</span>', look.tone, look.label)


def link(model: str, pk: str | None, text: str = ""):
    """Return a link to an object's page, or "". `model` is a label such as `ledger.transaction`."""
    if pk is None:
        return ""
    url = reverse(f"admin:{model.replace('.', '_')}_change", args=[quote(pk)])
    return format_html('<a href="{}">{}</a>', url, text or pk)


def search_links(id: str, **models: str):
    """Return links to lists of other models, searched for `id`: payments="accounts.payment"."""
    return format_html_join(
        ", ",
        '<a href="{}?q={}">{}</a>',
        (
            (reverse(f"admin:{model.replace('.', '_')}_changelist"), id, title.replace("_", " "))
            for title, model in models.items()
        ),
    )


def _any_of(names: list[str], uuid) -> Q:
    condition = Q()
    for name in names:
        condition |= Q(**{name: uuid})
    return condition

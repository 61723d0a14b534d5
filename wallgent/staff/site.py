"""The admin site, which refuses undeclared lookups and logs the actions of staff."""

from functools import wraps

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import SEARCH_VAR
from django.core.exceptions import PermissionDenied

from wallgent.admin import SupportAdmin
from wallgent.http import error_pages
from wallgent.staff import log

_REFUSED = (
    "This lookup is not allowed",
    "Lists can be narrowed by the filters, dates and search they show, and by nothing else."
    " The attempt was logged.",
)


class SupportSite(admin.AdminSite):
    """An admin site in which staff can look up only values that they can see.

    Every page of a model is served through `admin_view`, which refuses undeclared lookups before
    any query.
    """

    site_title = site_header = "Wallgent support"

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.disable_action("delete_selected")

    def register(self, model_or_iterable, admin_class=None, **options):
        """Register a SupportAdmin, and ignore others: they declare no lookups."""
        if admin_class and issubclass(admin_class, SupportAdmin):
            super().register(model_or_iterable, admin_class, **options)

    def get_urls(self):
        # That view would reveal whether any object exists, without checking permissions.
        return [url for url in super().get_urls() if getattr(url, "name", "") != "view_on_site"]

    def autocomplete_view(self, request):
        """Refuse and log the request. No form of this site uses it, so it can only test values."""
        length = len(request.GET.get("term", ""))
        log.record(request, log.Kind.LOOKUP_REFUSED, detail="autocomplete", value_length=length)
        return error_pages.page(request, 400, _REFUSED)

    def admin_view(self, view, cacheable=False):
        model_admin = getattr(view, "__self__", None)
        if isinstance(model_admin, SupportAdmin):
            view = _logged(view, model_admin)
        return super().admin_view(view, cacheable)


def _logged(view, model_admin: SupportAdmin):
    """Wrap the view: refuse undeclared lookups, and log what was shown or not permitted."""
    model, page = model_admin.opts.label_lower, view.__name__.removesuffix("_view")
    is_list = page == "changelist"

    @wraps(view)
    def wrapped(request, *args, **kwargs):
        refused = model_admin.undeclared_lookups(request, is_list=is_list)
        if refused:
            return _refuse(request, model, refused)
        object_id = unquote(kwargs.get("object_id") or "")
        try:
            response = view(request, *args, **kwargs)
        except PermissionDenied:
            known_id = log.object_id_in(object_id)
            log.record(request, log.Kind.ACCESS_REFUSED, model, object_id=known_id, detail=page)
            raise
        term = request.GET.get(SEARCH_VAR, "").strip() if is_list else ""
        if term:
            log.record_search(request, model, term)
        if object_id and response.status_code == 200:  # the object exists
            shown_id = model_admin.id_of(object_id)
            log.record(request, log.Kind.VIEWED, model, object_id=shown_id, detail=page)
        return response

    return wrapped


def _refuse(request, model: str, names: list[str]):
    log.record_refused_lookup(request, model, names)
    return error_pages.page(request, 400, _REFUSED)

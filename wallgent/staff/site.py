"""The admin site: what is registered is declared, and what staff do is logged."""

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
    """An admin in which values can be tested only where they are shown.

    Every page of a model is asked for through `admin_view`, which refuses what its admin does not
    declare before anything is queried.
    """

    site_title = site_header = "Wallgent support"

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.disable_action("delete_selected")

    def register(self, model_or_iterable, admin_class=None, **options):
        """Take a SupportAdmin. Others, such as those of installed packages, declare nothing."""
        if admin_class and issubclass(admin_class, SupportAdmin):
            super().register(model_or_iterable, admin_class, **options)

    def get_urls(self):
        # That page would tell of any object of any model, whatever one may view.
        return [url for url in super().get_urls() if getattr(url, "name", "") != "view_on_site"]

    def autocomplete_view(self, request):
        """No form here uses it, so whoever asks is testing values."""
        length = len(request.GET.get("term", ""))
        log.record(request, log.Kind.LOOKUP_REFUSED, detail="autocomplete", value_length=length)
        return error_pages.page(request, 400, _REFUSED)

    def admin_view(self, view, cacheable=False):
        model_admin = getattr(view, "__self__", None)
        if isinstance(model_admin, SupportAdmin):
            view = _watched(view, model_admin)
        return super().admin_view(view, cacheable)


def _watched(view, model_admin: SupportAdmin):
    """The view, which refuses undeclared lookups and logs what it showed or did not permit."""
    model, page = model_admin.opts.label_lower, view.__name__.removesuffix("_view")
    is_list = page == "changelist"

    @wraps(view)
    def watched(request, *args, **kwargs):
        refused = model_admin.undeclared_lookups(request, is_list=is_list)
        if refused:
            return _refuse(request, model, refused)
        object_id = unquote(kwargs.get("object_id") or "")
        try:
            response = view(request, *args, **kwargs)
        except PermissionDenied:
            named = log.object_id_in(object_id)
            log.record(request, log.Kind.ACCESS_REFUSED, model, object_id=named, detail=page)
            raise
        term = request.GET.get(SEARCH_VAR, "").strip() if is_list else ""
        if term:
            log.record_search(request, model, term)
        if object_id and response.status_code == 200:  # it exists, so this is its id
            shown = model_admin.id_of(object_id)
            log.record(request, log.Kind.VIEWED, model, object_id=shown, detail=page)
        return response

    return watched


def _refuse(request, model: str, names: list[str]):
    log.record_refused_lookup(request, model, names)
    return error_pages.page(request, 400, _REFUSED)

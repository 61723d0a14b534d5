"""All URL paths. Only this module and settings.py list the apps."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from wallgent.api import operations
from wallgent.http import health
from wallgent.web import preferences, style_guide

API_MODULES = ("accounts.urls", "links.urls", "wallgent.openapi")

urlpatterns = [
    path("healthz", health.alive),
    path("readyz", health.ready),
    path("v1/", include(operations.urlpatterns("v1", *API_MODULES))),
    path("", include("accounts.page_urls")),
    path("", include("links.page_urls")),
    path("design", style_guide.page, name="design"),
    path("preferences/theme", preferences.theme, name="theme"),
    path("", include("accounts.account_urls")),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
]

handler400 = "wallgent.api.errors.bad_request"
handler403 = "wallgent.http.error_pages.forbidden"
handler404 = "wallgent.api.errors.not_found"
handler500 = "wallgent.api.errors.server_error"

"""Every path of this server. Only this file and settings.py list the apps."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from wallgent import design, health, preferences

urlpatterns = [
    path("healthz", health.alive),
    path("readyz", health.ready),
    path("v1/", include("accounts.urls")),
    path("v1/", include("links.urls")),
    path("", include("accounts.views.urls")),
    path("", include("links.views.urls")),
    path("design", design.page, name="design"),
    path("preferences/theme", preferences.theme, name="theme"),
    path("", include("accounts.views.account_urls")),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
]

handler400 = "wallgent.api.errors.bad_request"
handler403 = "wallgent.faults.forbidden"
handler404 = "wallgent.api.errors.not_found"
handler500 = "wallgent.api.errors.server_error"

"""The dashboard's pages, all below /<organization>/<environment>/."""

from django.urls import include, path

from accounts.views import dashboard

PAGES = []

urlpatterns = [
    path("", dashboard.home, name="home"),
    path("<organization:organization>/<environment:environment>/", include(PAGES)),
]

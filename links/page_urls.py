"""The URLs of the dashboard pages of payment links, and of the public page."""

from django.urls import include, path

from links.payment_links.imports.kind import KIND
from links.payment_links.pages import link_emails, payment_links, settings
from wallgent.imports import pages as imports

PAGES = [
    path("payment-links", payment_links.index, name="payment-links"),
    path("payment-links/new", payment_links.new, name="payment-link-new"),
    path("payment-links/settings", settings.show, name="payment-link-settings"),
    *imports.paths(KIND),
    path("payment-links/<str:id>", payment_links.detail, name="payment-link"),
    path("payment-links/<str:id>/cancel", payment_links.cancel, name="payment-link-cancel"),
    path("payment-links/<str:id>/send", link_emails.send, name="payment-link-send"),
    path("payment-links/<str:id>/print", link_emails.sheet, name="payment-link-print"),
]

urlpatterns = [
    path("<organization:organization>/<environment:environment>/", include(PAGES)),
    path("pay/", include("links.pay_page.urls")),
]

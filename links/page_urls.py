"""The pages of payment links: in the dashboard, and the public one."""

from django.urls import include, path

from links.payment_links.pages import imports, link_emails, payment_links, settings

PAGES = [
    path("payment-links", payment_links.index, name="payment-links"),
    path("payment-links/new", payment_links.new, name="payment-link-new"),
    path("payment-links/settings", settings.show, name="payment-link-settings"),
    path("payment-links/bulk", imports.index, name="payment-link-bulk"),
    path("payment-links/bulk/<str:id>", imports.show, name="payment-link-batch"),
    path("payment-links/<str:id>", payment_links.detail, name="payment-link"),
    path("payment-links/<str:id>/cancel", payment_links.cancel, name="payment-link-cancel"),
    path("payment-links/<str:id>/send", link_emails.send, name="payment-link-send"),
    path("payment-links/<str:id>/print", link_emails.sheet, name="payment-link-print"),
]

urlpatterns = [
    path("<organization:organization>/<environment:environment>/", include(PAGES)),
    path("pay/", include("links.pay_page.urls")),
]

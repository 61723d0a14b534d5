"""The pages of payment links: in the dashboard, and the public one."""

from django.urls import include, path

from links.views import batches, letters, payment_links, settings

PAGES = [
    path("payment-links", payment_links.index, name="payment-links"),
    path("payment-links/new", payment_links.new, name="payment-link-new"),
    path("payment-links/settings", settings.show, name="payment-link-settings"),
    path("payment-links/bulk", batches.index, name="payment-link-bulk"),
    path("payment-links/bulk/<str:id>", batches.show, name="payment-link-batch"),
    path("payment-links/<str:id>", payment_links.detail, name="payment-link"),
    path("payment-links/<str:id>/cancel", payment_links.cancel, name="payment-link-cancel"),
    path("payment-links/<str:id>/send", letters.send, name="payment-link-send"),
    path("payment-links/<str:id>/print", letters.sheet, name="payment-link-print"),
]

urlpatterns = [
    path("<organization:organization>/<environment:environment>/", include(PAGES)),
    path("pay/", include("links.views.hosted_urls")),
]

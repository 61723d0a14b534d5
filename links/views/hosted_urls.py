"""The public pages of payment links."""

from django.urls import path

from links.views import hosted, hosted_asides, hosted_claims

_CLAIM = "<str:slug>/receipt/<str:token>"

urlpatterns = [
    path("checks", hosted_asides.checks, name="pay-checks"),
    path("language", hosted_asides.language, name="pay-language"),
    path("<str:slug>", hosted.pay, name="pay"),
    path("<str:slug>/review", hosted.review, name="pay-review"),
    path(_CLAIM, hosted_claims.receipt, name="pay-receipt"),
    path(f"{_CLAIM}/letter", hosted_claims.letter, name="pay-receipt-letter"),
    path(f"{_CLAIM}/simulate", hosted_claims.simulate, name="pay-simulate"),
]

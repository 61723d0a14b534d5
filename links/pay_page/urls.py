"""The public pages of payment links."""

from django.urls import path

from links.pay_page import field_checks, pay, receipt

_CLAIM = "<str:slug>/receipt/<str:token>"

urlpatterns = [
    path("checks", field_checks.checks, name="pay-checks"),
    path("language", field_checks.language, name="pay-language"),
    path("<str:slug>", pay.pay, name="pay"),
    path("<str:slug>/review", pay.review, name="pay-review"),
    path(_CLAIM, receipt.receipt, name="pay-receipt"),
    path(f"{_CLAIM}/letter", receipt.send_email, name="pay-receipt-letter"),
    path(f"{_CLAIM}/simulate", receipt.simulate, name="pay-simulate"),
]

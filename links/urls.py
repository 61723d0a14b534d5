from django.urls import path

from links.payment_links.api import claims, payment_links

urlpatterns = [
    path("payment-links", payment_links.PaymentLinksView.as_view()),
    path("payment-links/claim/<str:slug>", claims.PublicLinkView.as_view()),
    path("payment-links/claim/<str:slug>/claim", claims.ClaimView.as_view()),
    path("payment-links/<str:id>", payment_links.PaymentLinkView.as_view()),
]

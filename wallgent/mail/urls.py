"""The pages of the test inbox, below the dashboard's path of an organization and environment."""

from django.urls import path

from wallgent.mail import pages

urlpatterns = [
    path("mailbox", pages.index, name="mailbox"),
    path("mailbox/<str:id>", pages.show, name="mailbox-letter"),
]

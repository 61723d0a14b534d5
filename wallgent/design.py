"""The design page: every component in each of its states. Only in development."""

from django.conf import settings
from django.http import Http404
from django.shortcuts import render


def page(request):
    """Show what pages are made of."""
    if not settings.DEVELOPMENT:
        raise Http404
    return render(request, "design/page.html", {})

"""The page of the user's account for how pages look."""

from django.contrib.auth.decorators import login_required
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from wallgent.web.access import account_page


@never_cache
@require_safe
@login_required
@account_page
def show(request):
    """Show the choice of a theme."""
    return render(request, "account/appearance.html")

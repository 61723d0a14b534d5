"""Requests that the public pages make beside their own: field checks and the choice of language."""

from django.core.exceptions import ValidationError
from django.http import JsonResponse

from accounts.transfers import banking
from links.pay_page.access import public
from links.pay_page.forms import check_address, check_routing_number
from wallgent.api import throttling
from wallgent.http.client_ip import client_network
from wallgent.web import public_pages

CHECKS = 120  # per minute, of one network


@public("GET")
def checks(request):
    """Check a routing number or an Ethereum address; answer the error or the bank's name."""
    throttling.check(subject=f"pay:checks:{client_network(request)}", limit=CHECKS)
    result = {"error": "", "note": ""}
    try:
        if "routing" in request.GET:
            result["note"] = banking.bank_name(check_routing_number(request.GET["routing"]))
        else:
            check_address(request.GET.get("address", ""))
    except ValidationError as error:
        result["error"] = error.messages[0]
    return JsonResponse(result)


@public("POST")
def language(request):
    """Keep the language that the reader chose, and return to their page."""
    return public_pages.choose_language(request, prefix="/pay/")

"""What the public pages' script and footer ask for beside them."""

from django.core.exceptions import ValidationError
from django.http import JsonResponse
from django.utils.http import url_has_allowed_host_and_scheme

from accounts.transfers import banking
from links.pay_page.access import public, redirect_to
from links.pay_page.forms import check_address, check_routing_number
from wallgent.api import throttling
from wallgent.http.client_ip import client_network
from wallgent.web import languages

CHECKS = 120  # a minute, of one address


@public("GET")
def checks(request):
    """Whether a routing number or an address can be right, and whose bank it is."""
    throttling.check(subject=f"pay:checks:{client_network(request)}", limit=CHECKS)
    said = {"error": "", "note": ""}
    try:
        if "routing" in request.GET:
            said["note"] = banking.bank_name(check_routing_number(request.GET["routing"]))
        else:
            check_address(request.GET.get("address", ""))
    except ValidationError as error:
        said["error"] = error.messages[0]
    return JsonResponse(said)


@public("POST")
def language(request):
    """Keep the chosen language, and go back to where the reader was."""
    target = request.POST.get("next", "")
    is_ours = target.startswith("/pay/") and url_has_allowed_host_and_scheme(
        target, allowed_hosts=None
    )
    response = redirect_to(target if is_ours else "/")
    if request.POST.get("language") in languages.NAMES:
        languages.remember(response, request.POST["language"])
    return response

"""The door of the dashboard's pages: who looks, where; then forms carried out at most once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render as render_template
from django.urls import register_converter, reverse
from django.utils.cache import patch_vary_headers

from wallgent import service_runner
from wallgent.actors import Actor, ActorType
from wallgent.api import idempotency
from wallgent.errors import DomainError
from wallgent.http.client_ip import client_ip
from wallgent.web.forms import PageForm

ROWS = "rows"  # the id of what scripts swap on a page with a list
_DRAFTS = "drafts"  # where a session keeps forms that are looked at once more
_DRAFTS_KEPT = 5
UNPROCESSABLE = 422  # a form with errors; scripts swap it in like any other page


class OrganizationConverter:
    """An organization's id in a path."""

    regex = "org_[0-9A-HJKMNP-TV-Z]{26}"

    def to_python(self, value):
        return value

    def to_url(self, value):
        return value


class EnvironmentConverter:
    """An environment in a path: in lower case there, in upper case everywhere else."""

    regex = "sandbox|production"

    def to_python(self, value):
        return value.upper()

    def to_url(self, value):
        return value.lower()


register_converter(OrganizationConverter, "organization")
register_converter(EnvironmentConverter, "environment")


@dataclass(frozen=True, slots=True)
class Section:
    """An entry of the navigation: the URL it leads to, and what one needs to see it."""

    url_name: str
    label: str
    icon: str
    permission: str
    rank: int
    environment: str = ""  # the only one it is for
    count: Callable[[Actor], int] | None = None  # of what waits there for somebody


_sections: list[Section] = []


def add_section(
    url_name: str,
    label: str,
    *,
    icon: str,
    permission: str,
    rank: int,
    environment: str = "",
    count: Callable[[Actor], int] | None = None,
) -> None:
    """Put a page of an app into the navigation, in the order of `rank`. Called once, at start.

    With an `environment`, only there. `count` answers cheaply how much waits: every page asks it.
    """
    _sections.append(Section(url_name, label, icon, permission, rank, environment, count))
    _sections.sort(key=lambda section: section.rank)


def actor_of(request, organization, environment: str, permissions=frozenset()) -> Actor:
    """The signed-in person, acting for an organization."""
    return Actor(
        organization=organization,
        environment=environment,
        type=ActorType.USER,
        id=request.user.id,
        permissions=permissions,
        ip=client_ip(request),
        user_agent=request.headers.get("User-Agent", ""),
        request_id=request.id,
    )


def to(request, name: str, **arguments) -> str:
    """The path of a dashboard page, in the organization and environment one is looking at."""
    actor = request.actor
    place = {"organization": actor.organization.id, "environment": actor.environment}
    return reverse(name, kwargs=place | arguments)


def render(request, template: str, context: dict | None = None, *, status: int = 200):
    """A dashboard page; only the rows of its list where a script asks for those by their id.

    A template with a list extends `layout` and keeps what is swapped in its block `rows`.
    """
    is_part = bool(request.htmx) and request.htmx.target == ROWS
    own = {
        "layout": "layouts/rows.html" if is_part else "layouts/dashboard.html",
        "navigation": _navigation(request),
    }
    response = render_template(request, template, (context or {}) | own, status=status)
    patch_vary_headers(response, ["HX-Request", "HX-Target"])
    return response


def _navigation(request) -> list[dict]:
    here = request.resolver_match.url_name
    current = max(
        (section.url_name for section in _sections if _is_below(here, section.url_name)),
        key=len,
        default="",
    )
    return [
        {
            "label": section.label,
            "icon": section.icon,
            "url": to(request, section.url_name),
            "current": section.url_name == current,
            # Asked only where the navigation is drawn, not for the rows of a list.
            "count": section.count and partial(section.count, request.actor),
        }
        for section in _sections
        if request.actor.may(section.permission)
        and section.environment in ("", request.actor.environment)
    ]


def _is_below(name: str, section: str) -> bool:
    """Pages are named after their section: wallet, wallet-fund and wallets belong to wallets."""
    noun = section.removesuffix("s")
    return name in (section, noun) or name.startswith(f"{noun}-")


def keep_draft(request, form: PageForm) -> HttpResponseRedirect:
    """Keep what a valid form says, and lead to where its page shows it for a last look.

    That look is a GET, so that going back to it never asks whether to send something again.
    """
    kept = request.session.get(_DRAFTS, {})
    name = form.cleaned_data["submission"]
    said = QueryDict(mutable=True)
    for field in form.fields:  # and nothing else that was sent along
        said.setlist(field, request.POST.getlist(field))
    kept = {key: kept[key] for key in list(kept)[1 - _DRAFTS_KEPT :] if key != name}
    request.session[_DRAFTS] = kept | {name: [request.path, said.urlencode()]}
    return _see(f"{request.path}?review={name}")


def draft(request, name: str) -> QueryDict | None:
    """What a form of this very page said, if it is still kept."""
    path, said = request.session.get(_DRAFTS, {}).get(name, ("", ""))
    return QueryDict(said) if path == request.path else None


def submit(
    request,
    form: PageForm,
    work: Callable[[], object],
    *,
    done: Callable[[object], str],
    say: str = "",
    show: Callable[[object], HttpResponse] | None = None,
    actor: Actor | None = None,
) -> HttpResponse | None:
    """Carry out a valid form at most once, and lead to the path `done(result)`.

    The form's one-time key is claimed as an API call's idempotency key is: a double click, or Back
    and another click, leads to what the first one did. `say` is told on the next page; `show`
    answers instead of a redirect, once, for what must not be stored. `actor` is who acts where
    nobody needs to be signed in. After a refusal the form says why, and the answer is None.
    """
    actor = actor or request.actor
    claim = idempotency.Claim(
        actor=actor,
        key=form.cleaned_data["submission"],
        method="POST",
        path=request.path_info,
        content=_content(request),
    )

    def once():
        claim.take()
        result = work()
        claim.keep(HttpResponse(done(result), status=303))
        return result

    try:
        result = service_runner.run(once, actor=actor)
    except idempotency.Replayed as replayed:
        return _see(replayed.answer.content.decode())
    except DomainError as refusal:
        form.refuse(refusal)
        return None
    if show:
        return show(result)
    if say:
        messages.success(request, say)
    return _see(done(result))


def _see(path: str) -> HttpResponseRedirect:
    response = HttpResponseRedirect(path)
    response.status_code = 303  # whatever was sent: what comes next is a GET
    return response


def _content(request: HttpRequest) -> str:
    """What the form said, its token and its key aside."""
    said = sorted(
        (name, values)
        for name, values in request.POST.lists()
        if name not in ("csrfmiddlewaretoken", "submission")
    )
    return repr(said)

"""Shared parts of pages: navigation, drafts for review, and forms carried out at most once."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

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

ROWS = "rows"  # the HTML ID of the part that scripts replace on a page with a list
_DRAFTS = "drafts"  # the session's key for forms under review
_DRAFTS_KEPT = 5
UNPROCESSABLE = 422  # a form with errors; scripts show it like any other page


class OrganizationConverter:
    """An organization's ID in a path."""

    regex = "org_[0-9A-HJKMNP-TV-Z]{26}"

    def to_python(self, value):
        return value

    def to_url(self, value):
        return value


class EnvironmentConverter:
    """An environment in a path: lower case in the path, upper case in code."""

    regex = "sandbox|production"

    def to_python(self, value):
        return value.upper()

    def to_url(self, value):
        return value.lower()


register_converter(OrganizationConverter, "organization")
register_converter(EnvironmentConverter, "environment")


@dataclass(frozen=True, slots=True)
class Section:
    """An entry of the navigation: the URL it leads to, and the permission to see it."""

    url_name: str
    label: str
    icon: str
    group: str  # the heading it is listed below
    permission: str
    rank: int
    environment: str = ""  # the only environment that has this section; "" for both
    count: Callable[[Actor], int] | None = None  # of items that wait for the actor


@dataclass(frozen=True, slots=True)
class SettingsPage:
    """An entry of the settings' own navigation."""

    url_name: str
    label: str
    permission: str


_sections: list[Section] = []
_settings: list[SettingsPage] = []


def add_section(
    url_name: str,
    label: str,
    *,
    icon: str,
    group: str = "",
    permission: str,
    rank: int,
    environment: str = "",
    count: Callable[[Actor], int] | None = None,
) -> None:
    """Add an app's page to the navigation, ordered by `rank`. Call it once, at startup.

    Sections of one `group` follow each other in rank. With an `environment`, the section is shown
    there only. `count` returns how many items wait for the actor; it must be cheap, because every
    page calls it.
    """
    _sections.append(Section(url_name, label, icon, group, permission, rank, environment, count))
    _sections.sort(key=lambda section: section.rank)


def add_settings(url_name: str, label: str, *, permission: str) -> None:
    """Add an app's page to the settings of an organization. Call it once, at startup."""
    _settings.append(SettingsPage(url_name, label, permission))


def actor_of(request, organization, environment: str, permissions=frozenset()) -> Actor:
    """Return the signed-in user as an actor for an organization."""
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
    """Return the path of a dashboard page in the current organization and environment."""
    actor = request.actor
    place = {"organization": actor.organization.id, "environment": actor.environment}
    return reverse(name, kwargs=place | arguments)


def render(request, template: str, context: dict | None = None, *, status: int = 200):
    """Render a dashboard page, or only the rows of its list if a script requests them.

    A template with a list extends `layout` and has the replaceable part in its block `rows`.
    """
    is_part = bool(request.htmx) and request.htmx.target == ROWS
    layout = "layouts/rows.html" if is_part else "layouts/dashboard.html"
    context = (context or {}) | {"layout": layout}
    response = render_template(request, template, context, status=status)
    patch_vary_headers(response, ["HX-Request", "HX-Target"])
    return response


def navigation(request) -> list[tuple[str, list[dict]]]:
    """Return the sections that the actor may see, by group."""
    sections = [
        section
        for section in _sections
        if request.actor.may(section.permission)
        and section.environment in ("", request.actor.environment)
    ]
    return [
        (group, [_entry(request, section) for section in members])
        for group, members in groupby(sections, key=lambda section: section.group)
    ]


def _entry(request, section: Section) -> dict:
    return {
        "label": section.label,
        "icon": section.icon,
        "url": to(request, section.url_name),
        "current": section.url_name == request.section,
        "count": section.count and section.count(request.actor),
    }


def settings_navigation(request) -> list[dict]:
    """Return the settings of the organization that the actor may see; none without an actor."""
    actor = getattr(request, "actor", None)
    return [
        {"label": page.label, "url": to(request, page.url_name)}
        for page in _settings
        if actor and actor.may(page.permission)
    ]


def save_draft(request, form: PageForm) -> HttpResponseRedirect:
    """Save the data of a valid form and redirect to its page for review.

    The review is a GET, so that the browser's Back button never asks to send a form again.
    """
    drafts = request.session.get(_DRAFTS, {})
    name = form.cleaned_data["submission"]
    data = QueryDict(mutable=True)
    for field in form.fields:  # leaves out other keys of the request
        data.setlist(field, request.POST.getlist(field))
    latest = {key: drafts[key] for key in list(drafts)[1 - _DRAFTS_KEPT :] if key != name}
    request.session[_DRAFTS] = latest | {name: [request.path, data.urlencode()]}
    return redirect_to(f"{request.path}?review={name}")


def draft(request, name: str) -> QueryDict | None:
    """Return the saved data of a form of this page, or None."""
    path, data = request.session.get(_DRAFTS, {}).get(name, ("", ""))
    return QueryDict(data) if path == request.path else None


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
    """Carry out a valid form at most once, and redirect to the path `done(result)`.

    The form's one-time key is claimed like an idempotency key of the API, so a repeated submission
    leads to the result of the first. `say` is a message for the next page. `show` renders the
    result in place of the redirect, once, for a result that must not be stored. `actor` is needed
    on pages without sign-in. Returns None if the service refused; then the form says why.
    """
    actor = actor or request.actor
    key = idempotency.IdempotencyKey(
        actor=actor,
        key=form.cleaned_data["submission"],
        method="POST",
        path=request.path_info,
        content=_content(request),
    )

    def once():
        if earlier := key.claim():
            return earlier
        result = work()
        key.store(HttpResponse(done(result), status=303))
        return result

    try:
        result = service_runner.run(once, actor=actor)
    except DomainError as refusal:
        form.refuse(refusal)
        return None
    if isinstance(result, idempotency.Earlier):
        return redirect_to(result.answer.content.decode())
    if show:
        return show(result)
    if say:
        messages.success(request, say)
    return redirect_to(done(result))


def redirect_to(path: str) -> HttpResponseRedirect:
    """Redirect to a path by GET, whatever the method of the request was."""
    response = HttpResponseRedirect(path)
    response.status_code = 303
    return response


def _content(request: HttpRequest) -> str:
    """Return the form's data without its CSRF token and its key."""
    data = sorted(
        (name, values)
        for name, values in request.POST.lists()
        if name not in ("csrfmiddlewaretoken", "submission")
    )
    return repr(data)

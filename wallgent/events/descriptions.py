"""What happened, told to people: a sentence for each fact, with its thing's page and who did it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef
from django.utils.text import Truncator

from accounts.organizations.models import ApiKey, Membership, User
from accounts.wallets.models import Wallet
from wallgent import ids
from wallgent.actors import Actor, ActorType
from wallgent.events.models import Event

_NAME_LENGTH = 60
# Around a name that may run from right to left, so that the rest of the sentence does not.
_ISOLATED, _ISOLATED_NO_MORE = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """A fact as an activity list shows it."""

    sentence: str
    page: str  # the URL name of its thing's page; nothing where there is none
    id: str  # of the thing
    who: str  # nothing where another organization acted
    at: datetime
    icon: str
    tone: str


def printed(name: str) -> str:
    """A name as it stands in a sentence."""
    return f"{_ISOLATED}{Truncator(name).chars(_NAME_LENGTH)}{_ISOLATED_NO_MORE}"


class Names:
    """What to call wallets: one's own by name, others by their organization.

    What another organization calls its wallet is its own affair.
    """

    def __init__(self, wallet_ids: Iterable[str], *, actor: Actor):
        uuids = {uuid for id in wallet_ids if (uuid := ids.parse(id, "wal"))}
        # Not whole wallets: the manager would fetch their accounts, too.
        found = Wallet.objects.filter(pk__in=uuids).select_related(None)
        named = found.values_list("pk", "name", "organization", "organization__name")
        self._names = {id: (name, owner, party) for id, name, owner, party in named}
        self._organization = actor.organization.id

    def owns(self, wallet_id: str) -> bool:
        return wallet_id in self._names and self._names[wallet_id][1] == self._organization

    def of(self, wallet_id: str) -> str:
        """A name to print."""
        name, _, party = self._names[wallet_id]
        return printed(name if self.owns(wallet_id) else party)


# (what the fact says, names) -> a sentence without a full stop.
Teller = Callable[[dict, Names], str]


@dataclass(frozen=True, slots=True)
class Telling:
    """How the facts of one type are told."""

    teller: Teller
    icon: str = "circle-dot"
    tone: str = "neutral"  # as components/notice.html knows them
    is_ours: bool = True  # whether it was us where it was nobody: not so if a stranger may do it


_tellings: dict[str, Telling] = {}
_pages: dict[str, str] = {}


def tell(type: str, telling: Telling) -> None:
    """Say how facts of a type are told. Called once for each, at start."""
    _tellings[type] = telling


def show(prefix: str, page: str) -> None:
    """Name the page of the things whose ids start like this. Called once for each, at start."""
    _pages[prefix] = page


def page_of(id: str) -> str:
    """The URL name of a thing's page, or nothing."""
    return _pages.get(id.partition("_")[0], "")


def happenings(events: Iterable[Event], *, actor: Actor) -> list[Happening]:
    """The facts, told for the actor's organization, in as many queries however many there are."""
    events = list(events)
    names = Names((id for event in events for id in _wallet_ids(event)), actor=actor)
    doers = _doers(events, actor)
    return [_happening(event, names, doers) for event in events]


def _happening(event: Event, names: Names, doers: dict[str, str]) -> Happening:
    # What nobody described is at least readable: approval.created, Approval created.
    telling = _tellings.get(event.type) or Telling(lambda data, names: _plain(event.type))
    system = "Wallgent" if telling.is_ours else ""
    return Happening(
        sentence=telling.teller(event.data, names),
        page=page_of(event.subject),
        id=event.subject,
        who=system if event.actor_type == ActorType.SYSTEM else doers.get(event.actor_id, ""),
        at=event.created_at,
        icon=telling.icon,
        tone=telling.tone,
    )


def _wallet_ids(event: Event) -> list[str]:
    return [
        value
        for key in ("walletId", "closedWalletId", "from", "to")
        if (value := event.data.get(key))
    ]


def _plain(type: str) -> str:
    return type.replace("_", " ").replace(".", " ").capitalize()


def _doers(events: list[Event], actor: Actor) -> dict[str, str]:
    """The names of the people and keys that acted."""
    people = {event.actor_id for event in events if event.actor_type == ActorType.USER}
    keys = {event.actor_id for event in events if event.actor_type == ActorType.API_KEY}
    members = Membership.objects.filter(user=OuterRef("pk"), organization=actor.organization)
    users = User.objects.filter(pk__in=people - {""}).annotate(is_member=Exists(members))
    doers = {user.id: _name(user) for user in users}
    own = ApiKey.objects.filter(pk__in=keys - {""}, organization=actor.organization)
    return doers | {id: f"API key {name}" for id, name in own.values_list("pk", "name")}


def _name(user: User) -> str:
    if user.is_staff and not user.is_member:
        return "Wallgent support"
    return user.name or user.email

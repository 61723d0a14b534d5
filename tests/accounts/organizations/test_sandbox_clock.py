"""The sandbox clock moves forward, and due work follows."""

from datetime import timedelta

import pytest
from django.db import transaction

from accounts.organizations.services import organizations
from tests import world
from tests.accounts import rails
from tests.world import Client, actor_for, error_of, events_of, fund, make_key
from wallgent import clock, ids
from wallgent.api.schemas import timestamp_text
from wallgent.errors import ValidationError
from wallgent.events.models import Event

PATH = "/v1/sandbox/clock/advance"

pytestmark = pytest.mark.django_db


def offset(organization) -> timedelta:
    organization.refresh_from_db()
    return organization.sandbox_offset


@pytest.mark.parametrize(
    ("body", "by"),
    [({"seconds": 90}, timedelta(seconds=90)), ({"days": 2}, timedelta(days=2))],
)
def test_moves_by_a_duration(api, acme, body, by):
    answer = api.post(PATH, body)
    assert answer.status_code == 200
    assert offset(acme) == by
    state = answer.json()
    assert (state["aheadSeconds"], state["environment"]) == (by.total_seconds(), "SANDBOX")

    api.post(PATH, body)
    assert offset(acme) == 2 * by


def test_moves_to_a_time(api, acme):
    then = clock.real_now() + timedelta(days=30)
    answer = api.post(PATH, {"to": timestamp_text(then)})

    assert answer.status_code == 200
    assert abs(offset(acme) - timedelta(days=30)) < timedelta(seconds=10)
    assert answer.json()["now"][:15] == timestamp_text(then)[:15]


def test_advancing_to_a_time_already_reached_is_refused(acme):
    actor, then = actor_for(acme), clock.real_now() + timedelta(days=30)
    organizations.advance_clock(acme, actor=actor, to=then)
    with pytest.raises(ValidationError), transaction.atomic():
        organizations.advance_clock(acme, actor=actor, to=then)  # with the clock as read before
    assert offset(acme) < timedelta(days=31)


def test_is_recorded_as_private_event_at_the_new_time(api, acme):
    api.post(PATH, {"days": 3})

    [event] = events_of(acme, "sandbox.clock_advanced")
    assert (event.subject, event.is_public, event.actor_type) == (acme.id, False, "API_KEY")
    assert event.data == {
        "organizationId": acme.id,
        "bySeconds": 3 * 86400,
        "aheadSeconds": 3 * 86400,
        "environment": "SANDBOX",
    }
    assert event.created_at > clock.real_now() + timedelta(days=2)


def test_repeated_key_moves_it_once(api, acme):
    body = {"days": 1, "idempotencyKey": "once"}
    first, again = api.post(PATH, body), api.post(PATH, body)

    assert first.json() == again.json()
    assert offset(acme) == timedelta(days=1)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"seconds": 1, "days": 1},
        {"seconds": 0},
        {"seconds": -5},
        {"days": 1.5},
        {"days": 3_651},
        {"days": "many"},
        {"to": "tomorrow"},
        {"to": "2020-01-01T00:00:00Z"},
        {"to": "9999-01-01T00:00:00Z"},
    ],
)
def test_malformed_backward_or_too_far_is_refused(api, acme, body):
    answer = api.post(PATH, body)
    assert (answer.status_code, error_of(answer)) == (400, "VALIDATION_ERROR")
    assert offset(acme) == timedelta(0)


def test_moves_at_most_ten_years_ahead(api, acme):
    assert api.post(PATH, {"days": 3_650}).status_code == 200
    assert error_of(api.post(PATH, {"seconds": 1})) == "VALIDATION_ERROR"


def test_production_clock_cannot_be_moved(live_api, acme):
    answer = live_api.post(PATH, {"days": 1})
    assert (answer.status_code, error_of(answer)) == (403, "SANDBOX_ONLY")
    assert not Event.objects.filter(type="sandbox.clock_advanced").exists()


def test_scoped_key_is_denied(acme, wallet):
    scoped = Client(make_key(acme, wallet_scope=[wallet.id]))
    assert error_of(scoped.post(PATH, {"days": 1})) == "PERMISSION_DENIED"
    assert offset(acme) == timedelta(0)


def test_clock_of_other_organizations_is_unchanged(api, globex):
    api.post(PATH, {"days": 1})
    assert offset(globex) == timedelta(0)


def test_due_transfers_are_processed(api, acme, globex, wallet, shop):
    fund(wallet, "50")
    fund(shop, "50")
    wallet.refresh_from_db()
    shop.refresh_from_db()
    ours, theirs = rails.withdraw(wallet), rails.withdraw(shop)
    rails.sweep()
    assert {rails.stored(ours).status, rails.stored(theirs).status} == {"PROCESSING"}

    api.post(PATH, {"seconds": 60})
    rails.sweep()
    assert (rails.stored(ours).status, rails.stored(theirs).status) == ("COMPLETED", "PROCESSING")


class TestPage:
    @pytest.fixture
    def owner(self, acme):
        return world.browser(world.make_member(acme, "OWNER"))

    @pytest.fixture
    def path(self, acme):
        return f"/{acme.id}/sandbox/clock"

    def send(self, browser, path, **fields):
        return browser.post(path, {"submission": ids.new("sub"), "hours": "24"} | fields)

    def test_bar_shows_the_clock_and_leads_to_the_page(self, acme, owner, path):
        organizations.advance_clock(acme, actor=actor_for(acme), by=timedelta(days=40))

        html = owner.get(f"/{acme.id}/sandbox/payments").content.decode()

        bar = html[html.index('class="bar"') : html.index('class="topbar"')]
        shown = clock.real_now() + timedelta(days=40)
        assert f"{shown.day} {shown:%b %Y}" in bar
        assert "40 days ahead" in bar
        assert f'href="{path}?next=/{acme.id}/sandbox/payments"' in bar

    def test_bar_only_shows_the_clock_to_members_who_cannot_advance_it(self, acme, path):
        viewer = world.browser(world.make_member(acme, "VIEWER"))

        assert path not in viewer.get(f"/{acme.id}/sandbox/").content.decode()

    def test_form_advances_the_clock_once_and_returns(self, acme, owner, path):
        back, submission = f"/{acme.id}/sandbox/payments", ids.new("sub")

        for _ in range(2):
            answer = self.send(owner, path, next=back, submission=submission)
            assert (answer.status_code, answer.url) == (303, back)

        assert offset(acme) == timedelta(days=1)
        assert len(events_of(acme, "sandbox.clock_advanced")) == 1

    @pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", ""])
    def test_form_returns_to_our_own_pages_only(self, owner, path, target):
        assert self.send(owner, path, next=target).url == "/"

    @pytest.mark.parametrize("hours", ["", "0", "-1", "5", "x"])
    def test_form_refuses_other_durations(self, acme, owner, path, hours):
        assert self.send(owner, path, hours=hours).status_code == 422
        assert offset(acme) == timedelta(0)

    def test_limit_of_the_clock_is_an_error_of_the_form(self, acme, owner, path):
        acme.sandbox_offset = organizations.CLOCK_LIMIT
        acme.save()

        answer = self.send(owner, path)

        assert answer.status_code == 422
        assert "It only goes forward" in answer.content.decode()

    def test_production_has_no_clock_to_advance(self, acme, owner):
        world.activate_production(acme)
        path = f"/{acme.id}/production/clock"

        assert owner.get(path).status_code == 404
        assert self.send(owner, path).status_code == 404
        assert offset(acme) == timedelta(0)

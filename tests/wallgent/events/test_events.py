"""Recording and reading of events, and their hash chain."""

from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.contrib import admin
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from tests.wallgent.events import feeds
from tests.wallgent.events.feeds import actor_of, record_things, run_sql
from wallgent import clock, events, ids
from wallgent.environments import Environment
from wallgent.events import catalogue, chain, relay
from wallgent.events.models import Event, EventOrigin, EventPosition, OutboxEntry

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _catalogue(monkeypatch):
    feeds.declare(monkeypatch)


@pytest.fixture
def acme():
    return feeds.organization("Acme")


@pytest.fixture
def shop():
    return feeds.organization("Shop")


class TestRecord:
    def test_all_fields_are_stored(self, acme):
        actor = actor_of(acme, ip="192.0.2.7", user_agent="agent/1")

        events.record("thing.made", acme, actor=actor, amount="25.00")

        event = Event.objects.get()
        assert ids.parse(event.id, "evt")
        assert (event.type, event.subject) == ("thing.made", acme.id)
        assert (event.organization, event.environment) == (acme, "SANDBOX")
        assert (event.actor_type, event.actor_id, event.request_id) == ("API_KEY", "key_1", "req_1")
        assert event.data == {"amount": "25.00", "environment": "SANDBOX"}
        assert event.is_public
        assert (event.origin.ip, event.origin.user_agent) == ("192.0.2.7", "agent/1")
        assert OutboxEntry.objects.get().event == event

    @pytest.mark.parametrize("ip", ["", "192.0.2.7"])
    def test_recording_takes_one_statement(self, acme, shop, ip, django_assert_num_queries):
        actor = actor_of(acme, ip=ip)

        with django_assert_num_queries(1):
            events.record("thing.made", "thing_1", actor=actor)
        with django_assert_num_queries(1):
            events.record("thing.made", "thing_1", actor=actor, organizations=[acme, shop])

        assert Event.objects.count() == OutboxEntry.objects.count() == 3

    def test_recording_many_takes_one_statement(self, acme, shop, django_assert_num_queries):
        subjects = [(f"thing_{number}", [acme, shop]) for number in range(100)]

        with django_assert_num_queries(1):
            events.record_all("thing.seen", subjects, actor=actor_of(acme, ip="192.0.2.7"))
        with django_assert_num_queries(0):
            events.record_all("thing.seen", [], actor=actor_of(acme, ip="192.0.2.7"))

        relay.run_once()
        for organization in (acme, shop):
            feed = Event.objects.after(organization, 0)
            assert [event.subject for event in feed] == [thing for thing, _ in subjects]
        assert EventOrigin.objects.count() == 100
        assert chain.verify(acme) == chain.verify(shop) == []

    def test_each_organization_gets_its_own_event(self, acme, shop):
        events.record("thing.seen", "thing_1", actor=actor_of(acme), organizations=[acme, shop])

        by_organization = {event.organization: event for event in Event.objects.all()}
        assert by_organization[acme].data == {"seenBy": "Acme", "environment": "SANDBOX"}
        assert by_organization[shop].data == {"seenBy": "Shop", "environment": "SANDBOX"}
        assert not by_organization[shop].is_public

    def test_other_organization_does_not_see_the_actor(self, acme, shop):
        actor = actor_of(acme, ip="192.0.2.7", user_agent="agent/1")

        events.record("thing.seen", "thing_1", actor=actor, organizations=[shop, acme])

        seen = Event.objects.get(organization=shop)
        assert (seen.actor_id, seen.origin_digest) == ("", None)
        assert EventOrigin.objects.get().event.organization == acme

    def test_organization_named_twice_gets_one_event(self, acme):
        events.record("thing.made", "thing_1", actor=actor_of(acme), organizations=[acme, acme])

        assert Event.objects.count() == 1

    def test_time_is_that_of_the_organizations_clock(self, shop):
        ahead = feeds.organization(sandbox_offset=timedelta(days=30))
        both = [ahead, shop]
        before = clock.real_now()

        events.record("thing.made", "thing_1", actor=actor_of(ahead), organizations=both)
        production = actor_of(ahead, Environment.PRODUCTION)
        events.record("thing.made", "thing_1", actor=production)

        now = clock.real_now()
        theirs, ours, real = Event.objects.order_by("created_at")[::-1]
        assert theirs.organization == ahead
        assert before <= theirs.created_at - timedelta(days=30) <= now
        assert {ours.organization, real.organization} == {shop, ahead}
        assert (
            before
            <= real.created_at
            <= ours.created_at + timedelta(seconds=9)
            <= now + (timedelta(seconds=9))
        )

    def test_rollback_leaves_no_event(self, acme):
        with transaction.atomic():
            events.record("thing.made", "thing_1", actor=actor_of(acme, ip="192.0.2.7"))
            transaction.set_rollback(True)

        for model in (Event, EventOrigin, OutboxEntry):
            assert not model.objects.exists()

    @pytest.mark.django_db(transaction=True)
    def test_recording_requires_a_transaction(self, acme):
        with pytest.raises(AssertionError, match="transaction"):
            events.record("thing.made", "thing_1", actor=actor_of(acme))

    def test_data_that_is_not_json_is_refused(self, acme):
        for value in (Decimal(1), float("nan"), acme):
            with pytest.raises((TypeError, ValueError)):
                events.record("thing.made", "thing_1", actor=actor_of(acme), value=value)

    def test_text_is_stored_unchanged(self, acme):
        text = "100% {} ' \" \\ 漢字 🙂 \n"

        actor = actor_of(acme, ip="192.0.2.7", user_agent="🙂" * 1000)
        events.record("thing.made", text, actor=actor, text=text)

        event = Event.objects.get()
        assert (event.subject, event.data["text"]) == (text, text)
        assert event.origin.user_agent == "🙂" * 500


class TestCatalogue:
    def test_types_are_listed_with_their_properties(self):
        catalogue.announce("thing.planned", permission="wallets:read")

        shown = {t.name: (t.is_public, t.is_available) for t in catalogue.types()}
        assert shown == {
            "thing.made": (True, True),
            "thing.seen": (False, True),
            "thing.planned": (True, False),
        }

    @pytest.mark.parametrize(
        "type", ["thing.made", "thing", "Thing.made", "a.b.c.d", "thing.made "]
    )
    def test_malformed_or_repeated_name_is_refused(self, type):
        with pytest.raises(AssertionError):
            catalogue.event(type)(feeds.ThingSeen)

    def test_only_available_types_can_be_recorded(self, acme):
        catalogue.announce("thing.planned", permission="wallets:read")

        for type in ("thing.planned", "thing.unheard_of"):
            with pytest.raises(AssertionError, match=type):
                events.record(type, "thing_1", actor=actor_of(acme))


class TestAppendOnly:
    @pytest.mark.parametrize("table", ["wallgent_event", "wallgent_eventposition"])
    def test_database_refuses_updates_and_deletes(self, acme, table):
        record_things(actor_of(acme))
        relay.run_once()

        changes = [f"UPDATE {table} SET organization_id = organization_id", f"DELETE FROM {table}"]
        for change in changes:
            with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
                run_sql(change)

    def test_models_refuse_updates_and_deletes(self, acme):
        record_things(actor_of(acme))
        event = Event.objects.get()

        for change in (event.save, event.delete, Event.objects.all().delete):
            with pytest.raises(IntegrityError), transaction.atomic():
                change()


class TestReading:
    def test_list_is_newest_first(self, acme, shop):
        record_things(actor_of(acme), 3)
        record_things(actor_of(acme, Environment.PRODUCTION))
        record_things(actor_of(shop))

        seen = Event.objects.visible_to(actor_of(acme))

        assert [event.subject for event in seen] == ["thing_2", "thing_1", "thing_0"]

    def test_scoped_key_sees_events_of_its_wallets(self, acme):
        for wallet in ("wal_1", "wal_2"):
            events.record("thing.made", wallet, actor=actor_of(acme))

        seen = Event.objects.visible_to(actor_of(acme, wallet_scope=frozenset(["wal_1"])))

        assert [event.subject for event in seen] == ["wal_1"]

    def test_feed_continues_after_a_position(self, acme, shop):
        record_things(actor_of(acme), 2)
        record_things(actor_of(shop))
        record_things(actor_of(acme, Environment.PRODUCTION))
        relay.run_once()
        record_things(actor_of(acme))

        def feed(*args):
            return [(e.position, e.environment) for e in Event.objects.after(*args)]

        assert feed(acme, 0) == [(1, "SANDBOX"), (2, "SANDBOX"), (3, "PRODUCTION")]
        assert feed(acme, 1) == [(2, "SANDBOX"), (3, "PRODUCTION")]
        assert feed(acme, 0, "PRODUCTION") == [(3, "PRODUCTION")]
        assert feed(shop, 0) == [(1, "SANDBOX")]
        assert feed(acme, 3) == []


class TestChain:
    @pytest.fixture
    def chained(self, acme, shop):
        """Five chained events of Acme among those of another organization."""
        for _ in range(5):
            record_things(actor_of(acme, ip="192.0.2.7", user_agent="agent/1"))
            record_things(actor_of(shop))
            relay.run_once(2)
        record_things(actor_of(acme))  # waits in the outbox, which is not a difference
        assert chain.verify(acme) == []
        return acme

    @staticmethod
    def tamper(sql, *values):
        """Change rows with triggers and constraints switched off, as the tables' owner can."""
        run_sql("SET CONSTRAINTS ALL IMMEDIATE")
        for table in ("wallgent_event", "wallgent_eventposition"):
            run_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for key in run_sql(
            "SELECT conname FROM pg_constraint"
            " WHERE contype = 'f' AND conrelid = 'wallgent_eventposition'::regclass"
        ):
            run_sql(f"ALTER TABLE wallgent_eventposition DROP CONSTRAINT {key}")
        run_sql(sql, *values)

    @staticmethod
    def event_at(position):
        row = EventPosition.objects.get(organization__name="Acme", position=position)
        return ids.to_uuid(row.event_id)

    @pytest.mark.parametrize(
        "change",
        [
            """data = data || '{"number": 7}'""",
            "type = 'thing.seen'",
            "subject = 'thing_9'",
            "environment = 'PRODUCTION'",
            "actor_type = 'USER'",
            "actor_id = 'key_2'",
            "request_id = ''",
            "is_public = false",
            "created_at = created_at + interval '1 microsecond'",
            "origin_digest = NULL",
        ],
    )
    def test_changed_event_is_reported(self, chained, change):
        event = self.event_at(2)

        self.tamper(f"UPDATE wallgent_event SET {change} WHERE id = %s", event)

        changed = f"Position 2: event {ids.to_text('evt', event)} or its hash was changed."
        assert changed in chain.verify(chained)

    def test_event_moved_to_another_organization_is_reported(self, chained, shop):
        event = self.event_at(2)

        self.tamper(
            "UPDATE wallgent_event SET organization_id = %s WHERE id = %s",
            ids.to_uuid(shop.id),
            event,
        )

        assert len(chain.verify(chained)) == 1

    def test_missing_position_is_reported(self, chained):
        event = self.event_at(3)

        self.tamper("DELETE FROM wallgent_eventposition WHERE event_id = %s", event)

        assert chain.verify(chained) == [
            "Positions 3 to 3 are missing.",
            f"Event {ids.to_text('evt', event)} has no position and does not wait for one.",
        ]

    def test_deleted_event_is_reported(self, chained):
        event = self.event_at(3)

        self.tamper("DELETE FROM wallgent_event WHERE id = %s", event)

        assert chain.verify(chained) == [f"Position 3: event {ids.to_text('evt', event)} is gone."]

    def test_swapped_events_are_reported(self, chained):
        second, third = self.event_at(2), self.event_at(3)

        for event, position in ((second, 99), (third, 2), (second, 3)):
            self.tamper(
                "UPDATE wallgent_eventposition SET position = %s WHERE event_id = %s",
                position,
                event,
            )

        assert [text[:11] for text in chain.verify(chained)] == [
            "Position 2:",
            "Position 3:",
            "Position 4:",
        ]

    def test_repeated_position_is_reported(self, chained):
        event = self.event_at(3)

        run_sql("SET CONSTRAINTS ALL IMMEDIATE")
        run_sql("ALTER TABLE wallgent_eventposition DROP CONSTRAINT event_position_given_once")
        self.tamper("UPDATE wallgent_eventposition SET position = 2 WHERE event_id = %s", event)

        assert chain.verify(chained)[0] == "Position 2 is given twice."

    def test_event_removed_from_the_outbox_is_reported(self, chained):
        OutboxEntry.objects.all().delete()

        assert len(chain.verify(chained)) == 1

    def test_origin_can_be_erased_but_not_changed(self, chained):
        first, second = ids.to_text("evt", self.event_at(1)), self.event_at(2)

        EventOrigin.objects.get(event=first).delete()
        assert chain.verify(chained) == []

        EventOrigin.objects.filter(event=ids.to_text("evt", second)).update(ip="192.0.2.8")
        assert chain.verify(chained) == [
            f"Position 2: the origin of event {ids.to_text('evt', second)} was changed."
        ]

    def test_command_prints_heads_and_fails_on_a_difference(self, chained, shop):
        head = EventPosition.objects.get(organization=chained, position=5)
        output = StringIO()
        call_command("check_events", stdout=output)
        assert f"{chained.id}: 5 events, head {bytes(head.hash).hex()}" in output.getvalue()

        self.tamper("UPDATE wallgent_event SET subject = '' WHERE id = %s", self.event_at(1))
        with pytest.raises(CommandError, match=chained.id):
            call_command("check_events", stdout=StringIO())
        call_command("check_events", shop.id, stdout=StringIO())


class TestAdmin:
    @pytest.fixture
    def pages(self):
        return admin.site._registry[Event]

    def test_admin_is_read_only(self, admin_client, acme):
        record_things(actor_of(acme, ip="192.0.2.7", user_agent="agent/1"), amount="25.00")
        relay.run_once()
        event = Event.objects.get()

        listed = admin_client.get("/admin/wallgent/event/", {"q": acme.id}, secure=True)
        shown = admin_client.get(f"/admin/wallgent/event/{event.id}/change/", secure=True)

        assert event.id in listed.text
        assert "25.00" in shown.text
        assert "192.0.2.7" in shown.text
        assert "_save" not in shown.text
        for path in ("add/", f"{event.id}/delete/"):
            response = admin_client.post(f"/admin/wallgent/event/{path}", secure=True)
            assert response.status_code == 403

    def test_search_finds_events_by_any_id(self, pages, acme, shop):
        record_things(actor_of(acme), 2)
        record_things(actor_of(shop))
        event = Event.objects.get(organization=acme, subject="thing_1")

        def found(term):
            return pages.get_search_results(None, Event.objects.all(), term)[0]

        assert list(found(event.id)) == list(found(f" {event.subject} ")) == [event]
        assert found(acme.id).count() == 2
        assert found("").count() == 3
        assert not found("nothing")

    def test_position_and_origin_are_shown(self, pages, acme):
        record_things(actor_of(acme, ip="192.0.2.7", user_agent="agent/1"))
        assert pages.position(Event.objects.get()) is None

        relay.run_once()
        EventOrigin.objects.all().delete()

        assert pages.position(Event.objects.get()) == 1
        assert pages.request_origin(Event.objects.get()) is None

"""One declaration of an event type is all that lists, support and the OpenAPI document need."""

from decimal import Decimal
from typing import Annotated

import pytest
from django.db import transaction
from openapi_spec_validator import OpenAPIV31SpecValidator

from accounts.organizations import permissions
from tests import described, pages, world
from tests.accounts.site import Site
from tests.accounts.test_admin import path, superuser, support  # noqa: F401
from wallgent import events, openapi
from wallgent.api.schemas import AmountText, From, Schema, one_of
from wallgent.events import catalogue, timeline
from wallgent.events.catalogue import EventType
from wallgent.events.descriptions import isolate
from wallgent.events.models import Event
from wallgent.events.schemas import EventOutput, Payload, Secret
from wallgent.money import Currency


@pytest.fixture
def fair(monkeypatch):
    """A made-up public event type about a wallet."""
    monkeypatch.setattr(catalogue, "_declared", dict(catalogue._declared))
    openapi.document.cache_clear()

    @catalogue.event(
        "fair.opened",
        "{walletId} sells tickets for {money} at {stand}{because}",
        icon="store",
        tone="success",
        page="wallet-fund",
        permission="wallets:read",
    )
    class FairOpened(Payload):
        wallet_id: Annotated[str, From("id")]
        amount: AmountText
        currency: one_of(Currency)
        stand: str
        gate_code: Annotated[str, Secret]
        reason: str | None

    yield catalogue.get("fair.opened")
    openapi.document.cache_clear()


@pytest.fixture
def opened(fair, wallet):
    """The recorded event."""
    actor = world.actor_for(wallet.organization)
    values = {"stand": "Gate 7", "gate_code": "open sesame", "reason": ""}
    with transaction.atomic():
        events.record("fair.opened", wallet, actor=actor, amount=Decimal(1250), **values)
    return Event.objects.get(type="fair.opened")


class TestOneDeclaration:
    DATA = {
        "amount": "1250.00",
        "currency": "USD",
        "stand": "Gate 7",
        "gateCode": "open sesame",
        "reason": None,
        "environment": "SANDBOX",
    }

    def test_gives_the_data_by_its_schema(self, fair, opened, wallet):
        assert opened.data == self.DATA | {"walletId": wallet.id}
        assert opened.is_public
        assert described.event_problems(fair, opened.data) == []

    def test_gives_the_line_on_the_timeline_of_its_subject(self, opened, wallet, acme):
        *_, line = timeline.of(wallet.id, actor=world.actor_for(acme))

        named = isolate("Research agent"), isolate("Gate 7")
        assert line.sentence == "{} sells tickets for $1,250.00 at {}".format(*named)
        assert (line.icon, line.tone, line.who) == ("store", "success", "Wallgent")
        assert (line.page, line.id) == ("wallet-fund", wallet.id)

    def test_gives_the_line_in_the_activity_of_the_organization(self, opened, wallet, acme):
        html = Site(acme, "VIEWER").html()

        assert "sells tickets for $1,250.00" in html
        assert f'href="/{acme.id}/sandbox/wallets/{wallet.id}/fund"' in html

    def test_hides_its_secrets_from_support(self, opened, support):  # noqa: F811
        page = support.get(path("wallgent.event", "change", opened.id)).text

        assert "Gate 7" in page
        assert "open sesame" not in page

    def test_gives_the_webhook_in_the_openapi_document(self, fair):
        document = openapi.document()

        webhook = document["webhooks"]["fair.opened"]["post"]
        assert "`wallets:read`" in webhook["description"]
        schema = webhook["requestBody"]["content"]["application/json"]["schema"]
        envelope, event = schema["allOf"]
        assert envelope == {"$ref": "#/components/schemas/Event"}
        assert event["properties"]["event"] == event["properties"]["type"]
        assert event["properties"]["event"] == {"const": "fair.opened"}
        assert event["properties"]["data"] == {"$ref": "#/components/schemas/FairOpened"}
        assert "gateCode" in document["components"]["schemas"]["FairOpened"]["properties"]
        assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


class TestTypes:
    @pytest.fixture(params=catalogue.types(), ids=lambda type: type.name)
    def type(self, request) -> EventType:
        return request.param

    def test_permission_is_one_that_keys_have(self, type):
        assert type.permission in permissions.ALL if type.is_public else not type.permission

    def test_page_exists(self, type):
        assert not type.page or type.page in pages.served()

    def test_data_has_the_environment_and_no_second_spelling(self, type):
        if type.is_available:
            assert "environment" in type.payload.model_fields
            assert not type.payload._spellings

    def test_words_of_its_sentence_are_in_its_data(self, type):
        class Named:
            @staticmethod
            def of(id):
                return f"<{id}>"

        if type.is_available and isinstance(type.sentence, str):
            aliases = [field.serialization_alias for field in type.payload.model_fields.values()]
            data = dict.fromkeys(aliases, 1) | {"amount": "1.00", "reason": "why"}
            assert "{" not in type.describe(data, Named)

    def test_only_public_available_types_are_webhooks(self):
        shown = {type.name for type in catalogue.types() if type.is_public and type.is_available}

        assert openapi.document()["webhooks"].keys() == shown

    def test_envelope_has_both_names_of_type_and_time(self, acme):
        with transaction.atomic():
            events.record("user.signed_in", acme, actor=world.actor_for(acme))
        event = Event.objects.get(type="user.signed_in")

        sent = EventOutput.of(
            event, event=event.type, timestamp=event.created_at, organization_id=acme.id
        ).to_json()

        assert sent["event"] == sent["type"] == "user.signed_in"
        assert sent["timestamp"] == sent["createdAt"]
        assert sent["data"] == {"userId": acme.id, "environment": "SANDBOX"}


class TestValues:
    class Note(Schema):
        id: str
        text: str | None
        count: int = 0

    class Row:
        id, text = "note_1", ""

    def test_of_a_call_replace_attributes_and_defaults(self):
        note = self.Note.of(self.Row, text="hello", count=2)

        assert note.to_json() == {"id": "note_1", "text": "hello", "count": 2}

    def test_that_are_empty_are_null_where_the_field_may_be_null(self):
        expected = {"id": "note_1", "text": None, "count": 0}

        assert self.Note.of(self.Row).to_json() == expected
        assert self.Note.of(self.Row, text="").to_json() == expected

    def test_of_no_field_are_refused(self):
        with pytest.raises(AssertionError, match="Note"):
            self.Note.of(self.Row, txt="hello")


class TestCheckOfEvents:
    """Every event in the suite is checked; here, that the check finds something."""

    @pytest.mark.parametrize(
        "change", [{"extra": 1}, {"amount": 1}, {"currency": "EUR"}, {"stand": None}], ids=str
    )
    def test_finds_what_is_not_described(self, fair, change):
        data = TestOneDeclaration.DATA | {"walletId": "wal_1"}
        assert described.event_problems(fair, data) == []

        assert described.event_problems(fair, data | change)

    def test_is_part_of_every_test(self, acme, monkeypatch):
        type = catalogue.get("user.signed_in")
        monkeypatch.setattr(type.payload, "seen_by", lambda *given: {**given[-1], "extra": 1})

        with transaction.atomic():
            events.record(type.name, acme, actor=world.actor_for(acme))

        assert len(described.undescribed) == 1
        described.undescribed.clear()

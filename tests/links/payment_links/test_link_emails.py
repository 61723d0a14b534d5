"""A link sent by e-mail, and on paper."""

import re
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.organizations.models import Organization
from links.payment_links import tasks
from links.payment_links.models import Sending
from links.payment_links.services import link_emails, payment_links
from links.payment_links.services.payment_links import Restrictions
from tests import world
from tests.links.payment_links.test_link_pages import text_of
from wallgent import clock, ids
from wallgent.errors import RateLimitExceeded
from wallgent.mail.models import Letter


@pytest.fixture
def make(wallet):
    world.fund(wallet, "1000")

    def make(wallet=wallet, **options):
        options = {"amount": Decimal(1250), "direction": "RECEIVE"} | options
        return payment_links.create(
            actor=world.actor_for(wallet.organization, wallet.environment), wallet=wallet, **options
        )

    return make


@pytest.fixture
def browser(acme):
    return world.browser(world.make_member(acme, "MEMBER", name="Ada"))


@pytest.fixture
def send(browser, acme, django_capture_on_commit_callbacks):
    def send(link, email="bob@example.com", message="", **said):
        said = {"submission": ids.new("sub"), "email": email, "message": message} | said
        with django_capture_on_commit_callbacks(execute=True):
            return browser.post(path(acme, link, "send"), said)

    return send


def path(organization, link, *rest, environment="sandbox"):
    return "/".join([f"/{organization.id}/{environment}/payment-links/{link.id}", *rest])


class TestSending:
    @pytest.mark.parametrize(("direction", "words"), [("SEND", "sends you"), ("RECEIVE", "asks")])
    def test_says_who_how_much_and_which_way(self, send, make, mailoutbox, direction, words):
        expiry = clock.real_now() + timedelta(days=3)
        link = make(direction=direction, amount=Decimal(125), expires_at=expiry)

        answer = send(link, message="As agreed.\nSee you")

        assert answer.status_code == 303
        (letter,) = mailoutbox
        assert letter.to == ["bob@example.com"]
        assert letter.subject.startswith("[Test] Acme")
        assert words in letter.subject
        assert "125.00 USD" in letter.subject
        assert link.url in letter.body
        assert "> As agreed.\n> See you" in letter.body
        assert f"{expiry:%Y, %H:%M} UTC" in letter.body
        assert "No real money moves" in letter.body
        assert "We have not verified who Acme is" in letter.body
        assert "\n\n\n" not in letter.body

    def test_says_thousands_apart_and_quotes_the_description(self, send, make, mailoutbox):
        send(make(description="Rent\n\nfor May"))

        assert "1,250.00 USD" in mailoutbox[0].subject
        assert "> Rent\n> \n> for May" in mailoutbox[0].body

    def test_holds_no_address_but_the_links(self, send, make, acme, mailoutbox):
        Organization.objects.update(name="Acme, see https://evil.example")

        link = make(description="Rent\nPay at www.evil.example instead")
        send(link)

        assert re.findall(r"\S*(?:://|www)\S*", mailoutbox[0].body) == [link.url]
        assert "evil" not in mailoutbox[0].subject

    def test_is_a_fact_that_names_no_address(self, send, make, browser, acme):
        link = make()
        send(link, "Bob@Example.com")

        (fact,) = world.facts_of(acme, "payment_link.sent")
        assert not fact.is_public
        assert fact.data["recipient"] == "b…@example.com"
        assert "bob" not in str(fact.data)
        text = text_of(browser.get(path(acme, link)))
        assert re.search(r"Link sent to b…@example\.com .* Ada", text)
        assert b"bob" not in bytes(Sending.objects.get().address_digest)

    def test_comes_into_the_test_mailbox(self, send, make):
        send(make())

        assert Letter.objects.get().recipients == ["bob@example.com"]

    def test_twice_by_one_form_is_one_letter(self, send, make, mailoutbox):
        link, key = make(), ids.new("sub")

        first, again = send(link, submission=key), send(link, submission=key)

        assert first.url == again.url
        assert len(mailoutbox) == 1

    def test_in_production_is_no_test_and_kept_nowhere(
        self, acme, browser, make, live_wallet, mailoutbox, django_capture_on_commit_callbacks
    ):
        world.activate_production(acme)
        link = make(live_wallet)
        said = {"submission": ids.new("sub"), "email": "bob@example.com", "message": ""}

        with django_capture_on_commit_callbacks(execute=True):
            browser.post(path(acme, link, "send", environment="production"), said)

        assert "Test" not in mailoutbox[0].subject
        assert "This is a test" not in mailoutbox[0].body
        assert "not verified" not in mailoutbox[0].body
        assert not Letter.objects.exists()

    @pytest.mark.parametrize(
        "said",
        [
            {"email": ""},
            {"email": "bob"},
            {"email": "bob@example.com, eve@example.com"},
            {"email": "bob@example.com\r\nBcc: eve@example.com"},
            {"email": "b@" + "e" * 300 + ".com"},
            {"message": "w" * 501},
            {"message": "Go to https://evil.example"},
            {"message": "Go to www.evil.example"},
            {"message": "Go to evil.example/x"},
        ],
    )
    def test_tells_beside_the_field_what_is_wrong_and_keeps_the_rest(
        self, send, make, mailoutbox, said
    ):
        answer = send(make(), **({"message": "Kept words"} | said))

        assert answer.status_code == 422
        assert list(answer.context["form"].errors) == list(said)
        assert (said.get("message") or "Kept words") in answer.content.decode()
        assert mailoutbox == []

    def test_goes_only_to_those_who_may_use_it(self, send, make, browser, acme, mailoutbox):
        link = make(restrictions=Restrictions(emails=("grace@example.com",)))
        assert 'value="grace@example.com"' in browser.get(path(acme, link, "send")).content.decode()

        assert list(send(link).context["form"].errors) == ["email"]
        assert send(link, "GRACE@example.com").status_code == 303
        assert [letter.to for letter in mailoutbox] == [["grace@example.com"]]

    def test_of_a_link_that_is_over_is_refused(self, send, make, browser, acme, mailoutbox):
        link = make()
        payment_links.cancel(link, actor=world.actor_for(acme))

        assert send(link).status_code == 422
        assert "nothing to send" in text_of(browser.get(path(acme, link, "send")))
        late = make(expires_at=clock.real_now() + timedelta(hours=1))
        Organization.objects.filter(pk=acme.pk).update(sandbox_offset=timedelta(hours=2))
        assert send(late).status_code == 422
        assert mailoutbox == []

    def test_a_name_writes_no_header_and_no_paragraph(self, send, make, acme, mailoutbox):
        Organization.objects.update(name="Acme\r\nBcc: eve@example.com\n\nYour bank writes:")

        assert send(make()).status_code == 303
        assert "\n" not in mailoutbox[0].subject
        assert "\nBcc" not in mailoutbox[0].body
        assert "\nYour bank" not in mailoutbox[0].body

    def test_one_address_gets_few_a_day(self, send, make, mailoutbox):
        for _ in range(link_emails.LETTERS_PER_ADDRESS):
            assert send(make()).status_code == 303

        refused = send(make(), "BOB@example.com")

        assert refused.status_code == 422
        assert "Copy the link and send it yourself" in text_of(refused)
        assert send(make(), "grace@example.com").status_code == 303
        Sending.objects.update(created_at=clock.real_now() - timedelta(days=1))
        assert send(make()).status_code == 303

    def test_one_organization_uses_up_no_address_for_others(self, send, make, monkeypatch):
        for _ in range(link_emails.LETTERS_PER_ADDRESS):
            send(make())
        Sending.objects.update(organization=world.make_organization("Another"))

        assert send(make()).status_code == 303
        monkeypatch.setattr(link_emails, "LETTERS_PER_ADDRESS_OF_ALL", Sending.objects.count())
        assert send(make()).status_code == 422

    def test_receipts_to_an_address_use_up_none_of_its_links(self, send, make):
        for _ in range(link_emails.LETTERS_PER_ADDRESS):
            send(make())
        Sending.objects.update(sent_by="clm_01J00000000000000000000000")

        assert send(make()).status_code == 303

    def test_of_the_sandbox_use_up_none_of_production(self, make, acme, live_wallet, monkeypatch):
        monkeypatch.setattr(link_emails, "LETTERS_PER_ADDRESS_OF_ALL", 1)
        for link in (make(), make(live_wallet)):
            actor = world.actor_for(acme, link.environment)
            link_emails.send(link, actor=actor, address="bob@example.com")

        assert Sending.objects.count() == 2

    @pytest.mark.django_db(transaction=True)
    def test_at_once_one_address_gets_no_more(self, make, acme):
        actor, links = world.actor_for(acme), [make() for _ in range(8)]

        def send(number):
            with suppress(RateLimitExceeded):
                link_emails.send(links[number], actor=actor, address="bob@example.com")

        world.in_parallel(len(links), send)

        assert Sending.objects.count() == link_emails.LETTERS_PER_ADDRESS

    def test_a_person_sends_so_many_an_hour_whatever_clock_and_organization(
        self, send, make, acme, browser, monkeypatch
    ):
        monkeypatch.setattr(link_emails, "LETTERS_PER_HOUR", 1)
        send(make())
        Organization.objects.update(sandbox_offset=timedelta(days=2))
        Sending.objects.update(organization=world.make_organization("Another"))

        assert "a little later" in text_of(send(make(), "grace@example.com"))

    def test_whom_letters_were_sent_to_is_forgotten_after_a_day(self, send, make):
        send(make())
        tasks.forget_files()
        assert Sending.objects.count() == 1

        Sending.objects.update(created_at=clock.real_now() - timedelta(days=1, seconds=1))
        tasks.forget_files()

        assert not Sending.objects.exists()


class TestOnPaper:
    def test_holds_all_it_takes_and_nothing_of_the_dashboard(self, make, browser, acme):
        link = make(description="Rent", expires_at=clock.real_now() + timedelta(days=3))

        page = browser.get(path(acme, link, "print"))

        text = text_of(page)
        assert "Acme asks you for 1,250.00 USD" in text
        assert "Rent" in text
        assert link.url in text
        assert "Open until" in text
        assert "No real money moves" in text
        assert "<nav" not in page.content.decode()
        assert "QR code" in page.content.decode()

    def test_of_a_link_that_is_over_says_so(self, make, browser, acme):
        link = make()
        payment_links.cancel(link, actor=world.actor_for(acme))

        page = browser.get(path(acme, link, "print"))
        assert "This link is over" in text_of(page)
        assert "QR code" not in page.content.decode()

"""Links sent by email, and the page to print."""

import re
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.organizations.models import Organization
from links.payment_links.services import link_emails, payment_links
from links.payment_links.services.payment_links import Restrictions
from tests import emailing, world
from tests.links.payment_links.test_link_pages import text_of
from wallgent import clock, ids
from wallgent.errors import RateLimitExceeded
from wallgent.mail import limits
from wallgent.mail.models import Email


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
    def send(link, email="bob@example.com", message="", **fields):
        data = {"submission": ids.new("sub"), "email": email, "message": message} | fields
        with django_capture_on_commit_callbacks(execute=True):
            return browser.post(path(acme, link, "send"), data)

    return send


def path(organization, link, *rest, environment="sandbox"):
    return "/".join([f"/{organization.id}/{environment}/payment-links/{link.id}", *rest])


class TestSendLink:
    @pytest.mark.parametrize(("direction", "words"), [("SEND", "sends you"), ("RECEIVE", "asks")])
    def test_email_names_sender_amount_and_direction(
        self, send, make, mailoutbox, direction, words
    ):
        expiry = clock.real_now() + timedelta(days=3)
        link = make(direction=direction, amount=Decimal(125), expires_at=expiry)

        answer = send(link, message="As agreed.\nSee you")

        assert answer.status_code == 303
        (email,) = mailoutbox
        assert email.to == ["bob@example.com"]
        assert email.subject.startswith("[Test] Acme")
        assert words in email.subject
        assert "$125.00" in email.subject
        assert link.url in email.body
        assert "> As agreed.\n> See you" in email.body
        assert f"{expiry:%Y, %H:%M} UTC" in email.body
        assert "No real money moves" in email.body
        assert "We have not verified who Acme is" in email.body
        assert "\n\n\n" not in email.body

    def test_email_groups_thousands_and_quotes_the_description(self, send, make, mailoutbox):
        send(make(description="Rent\n\nfor May"))

        assert "$1,250.00" in mailoutbox[0].subject
        assert "> Rent\n> \n> for May" in mailoutbox[0].body

    def test_email_contains_no_url_but_the_links(self, send, make, acme, mailoutbox):
        Organization.objects.update(name="Acme, see https://evil.example")

        link = make(description="Rent\nPay at www.evil.example instead")
        send(link)

        assert re.findall(r"\S*(?:://|www)\S*", mailoutbox[0].body) == [link.url]
        assert "evil" not in mailoutbox[0].subject

    def test_event_masks_the_address(self, send, make, browser, acme):
        link = make()
        send(link, "Bob@Example.com")

        (event,) = world.events_of(acme, "payment_link.sent")
        assert not event.is_public
        assert event.data["recipient"] == "b…@example.com"
        assert "bob" not in str(event.data)
        text = text_of(browser.get(path(acme, link)))
        assert re.search(r"Link sent to b…@example\.com .* Ada", text)
        assert b"bob" not in bytes(Email.objects.get().address_digest)

    def test_page_of_the_link_shows_what_became_of_its_emails(self, send, make, browser, acme):
        link = make()
        send(link)
        assert re.search(
            r"Emails b…@example\.com .* Pending", text_of(browser.get(path(acme, link)))
        )
        emailing.deliver()
        assert re.search(r"Emails b…@example\.com .* Sent", text_of(browser.get(path(acme, link))))
        Email.objects.get().end("FAILED", reason="MAILBOX_FULL")

        text = text_of(browser.get(path(acme, link)))
        assert re.search(r"Emails b…@example\.com .* Failed The mailbox is full\.", text)

    def test_sandbox_email_is_kept_in_the_test_inbox(self, send, make):
        send(make())

        assert Email.objects.get().recipient == "bob@example.com"

    def test_repeated_form_sends_one_email(self, send, make, mailoutbox):
        link, key = make(), ids.new("sub")

        first, again = send(link, submission=key), send(link, submission=key)

        assert first.url == again.url
        assert len(mailoutbox) == 1

    def test_production_email_is_not_marked_as_test_and_not_kept(
        self, acme, browser, make, live_wallet, mailoutbox, django_capture_on_commit_callbacks
    ):
        world.activate_production(acme)
        link = make(live_wallet)
        data = {"submission": ids.new("sub"), "email": "bob@example.com", "message": ""}

        with django_capture_on_commit_callbacks(execute=True):
            browser.post(path(acme, link, "send", environment="production"), data)

        assert "Test" not in mailoutbox[0].subject
        assert "This is a test" not in mailoutbox[0].body
        assert "not verified" not in mailoutbox[0].body
        assert Email.objects.get().sealed is None

    @pytest.mark.parametrize(
        "fields",
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
    def test_error_is_shown_beside_its_field_and_input_is_kept(
        self, send, make, mailoutbox, fields
    ):
        answer = send(make(), **({"message": "Kept words"} | fields))

        assert answer.status_code == 422
        assert list(answer.context["form"].errors) == list(fields)
        assert (fields.get("message") or "Kept words") in answer.content.decode()
        assert mailoutbox == []

    def test_restricted_link_is_sent_to_its_addresses_only(
        self, send, make, browser, acme, mailoutbox
    ):
        link = make(restrictions=Restrictions(emails=("grace@example.com",)))
        assert 'value="grace@example.com"' in browser.get(path(acme, link, "send")).content.decode()

        assert list(send(link).context["form"].errors) == ["email"]
        assert send(link, "GRACE@example.com").status_code == 303
        assert [email.to for email in mailoutbox] == [["grace@example.com"]]

    def test_inactive_link_is_not_sent(self, send, make, browser, acme, mailoutbox):
        link = make()
        payment_links.cancel(link, actor=world.actor_for(acme))

        assert send(link).status_code == 422
        assert "nothing to send" in text_of(browser.get(path(acme, link, "send")))
        late = make(expires_at=clock.real_now() + timedelta(hours=1))
        Organization.objects.filter(pk=acme.pk).update(sandbox_offset=timedelta(hours=2))
        assert send(late).status_code == 422
        assert mailoutbox == []

    def test_organization_name_adds_no_header_and_no_paragraph(self, send, make, acme, mailoutbox):
        Organization.objects.update(name="Acme\r\nBcc: eve@example.com\n\nYour bank writes:")

        assert send(make()).status_code == 303
        assert "\n" not in mailoutbox[0].subject
        assert "\nBcc" not in mailoutbox[0].body
        assert "\nYour bank" not in mailoutbox[0].body

    def test_emails_to_one_address_are_limited_per_day(self, send, make, mailoutbox):
        for _ in range(limits.EMAILS_PER_ADDRESS_OF_SANDBOXES):
            assert send(make()).status_code == 303

        refused = send(make(), "BOB@example.com")

        assert refused.status_code == 422
        assert "Copy the link and send it yourself" in text_of(refused)
        assert send(make(), "grace@example.com").status_code == 303
        emailing.age(days=1)
        assert send(make()).status_code == 303

    @pytest.mark.django_db(transaction=True)
    def test_concurrent_emails_do_not_exceed_the_limit_of_an_address(self, make, acme):
        actor, links = world.actor_for(acme), [make() for _ in range(8)]

        def send(number):
            with suppress(RateLimitExceeded):
                link_emails.send(links[number], actor=actor, address="bob@example.com")

        world.in_parallel(len(links), send)

        assert Email.objects.count() == limits.EMAILS_PER_ADDRESS_OF_SANDBOXES

    def test_person_has_an_hourly_limit_across_organizations_in_real_time(
        self, send, make, acme, browser, monkeypatch
    ):
        monkeypatch.setattr(limits, "LINKS_PER_HOUR", 1)
        send(make())
        Organization.objects.update(sandbox_offset=timedelta(days=2))
        Email.objects.update(organization=world.make_organization("Another"))

        assert "a little later" in text_of(send(make(), "grace@example.com"))


class TestPrintPage:
    def test_page_shows_the_link_without_the_dashboard(self, make, browser, acme):
        link = make(description="Rent", expires_at=clock.real_now() + timedelta(days=3))

        page = browser.get(path(acme, link, "print"))

        text = text_of(page)
        assert "Acme asks you for $1,250.00" in text
        assert "Rent" in text
        assert link.url in text
        assert "Open until" in text
        assert "No real money moves" in text
        assert "<nav" not in page.content.decode()
        assert "QR code" in page.content.decode()

    def test_inactive_link_has_no_qr_code(self, make, browser, acme):
        link = make()
        payment_links.cancel(link, actor=world.actor_for(acme))

        page = browser.get(path(acme, link, "print"))
        assert "This link is over" in text_of(page)
        assert "QR code" not in page.content.decode()

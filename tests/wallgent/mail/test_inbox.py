"""The test inbox keeps the emails about a sandbox for a week, and no other emails."""

from datetime import timedelta

import pytest
from django.db import connection, transaction

from accounts.organizations.models import Organization
from tests import emailing, world
from tests.links.payment_links.test_link_pages import text_of
from wallgent.mail import emails, tasks
from wallgent.mail.models import Email


@pytest.fixture
def send(acme):
    def send(organization=acme, environment="SANDBOX", subject="Your code", text="It is 123456."):
        return emails.queue(
            Email.Kind.CODE,
            to="ada@example.com",
            subject=subject,
            text=text,
            organization=organization,
            environment=environment,
        )

    return send


@pytest.fixture
def member(acme):
    return world.browser(world.make_member(acme, "MEMBER"))


def at(organization, *rest, environment="sandbox"):
    return "/".join([f"/{organization.id}/{environment}/mailbox", *rest])


def stored() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(e::text, ' ') FROM wallgent_email e")
        return cursor.fetchone()[0]


class TestContent:
    def test_of_a_sandbox_is_kept_encrypted_after_it_was_sent(self, send, acme, mailoutbox):
        send()

        assert [email.subject for email in mailoutbox] == ["Your code"]
        email = Email.objects.get()
        assert (email.organization, email.recipient) == (acme, "ada@example.com")
        assert (email.subject, email.text) == ("Your code", "It is 123456.")
        assert "123456" not in stored()
        assert "ada@" not in stored()

    @pytest.mark.parametrize("about", [{"environment": "PRODUCTION"}, {"environment": ""}])
    def test_of_other_emails_is_erased_once_they_were_sent(self, send, mailoutbox, about):
        send(**about)
        assert Email.objects.get().text == "It is 123456."

        assert len(mailoutbox) == 1
        assert Email.objects.get().sealed is None

    def test_rolled_back_email_is_neither_sent_nor_kept(self, send, mailoutbox):
        with transaction.atomic():
            send()
            transaction.set_rollback(True)

        assert mailoutbox == []
        assert not Email.objects.exists()

    def test_is_erased_after_a_week_of_real_time_and_the_row_deleted_after_a_month(
        self, send, acme, member
    ):
        id = send().id
        emailing.deliver()
        Organization.objects.update(sandbox_offset=timedelta(days=400))
        assert tasks.forget_emails() == 0
        assert "Your code" in text_of(member.get(at(acme)))

        emailing.age(days=7, seconds=1)

        assert "Your code" not in text_of(member.get(at(acme)))
        assert member.get(at(acme, id)).status_code == 404
        assert tasks.forget_emails() == 0
        assert Email.objects.get().sealed is None
        emailing.age(days=23)
        assert tasks.forget_emails() == 1
        assert not Email.objects.exists()


class TestInboxPages:
    def test_inbox_lists_and_shows_emails_with_their_status(self, send, acme, member):
        first = send(subject="First", text="See http://testserver/pay/x <b>now</b>\nline two")
        emailing.deliver()
        send(subject="Second")

        listed = text_of(member.get(at(acme)))
        page = member.get(at(acme, first.id))

        assert listed.index("Second") < listed.index("First")
        assert "ada@example.com" in listed
        assert listed.index("Pending") < listed.index("First") < listed.index("Sent")
        assert "See http://testserver/pay/x <b>now</b> line two" in text_of(page)
        assert 'href="http://testserver/pay/x"' in page.content.decode()

    def test_waiting_email_says_why(self, send, acme, member, monkeypatch):
        def fail(*_):
            raise ConnectionRefusedError

        monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.open", fail)
        send()
        emailing.deliver()

        assert "The mail server has not accepted it yet." in text_of(member.get(at(acme)))
        assert Email.objects.get().reply == "ConnectionRefusedError"

    def test_only_members_with_payments_write_read_their_sandboxs_emails(
        self, send, acme, globex, member
    ):
        id = send().id
        viewer = world.browser(world.make_member(acme, "VIEWER"))
        stranger = world.browser(world.make_member(globex, "OWNER"))

        assert member.get(at(acme, id)).status_code == 200
        assert viewer.get(at(acme)).status_code == 403
        assert viewer.get(at(acme, id)).status_code == 403
        assert stranger.get(at(acme, id)).status_code == 404
        assert stranger.get(at(globex, id)).status_code == 404
        assert "Your code" not in text_of(stranger.get(at(globex)))
        assert member.get(at(acme, id, environment="production")).status_code == 404
        production = text_of(member.get(at(acme, environment="production")))
        assert "Only the sandbox has a test mailbox" in production

    def test_waiting_email_of_production_is_not_readable(self, send, acme, member):
        id = send(environment="PRODUCTION").id

        assert member.get(at(acme, id)).status_code == 404
        assert member.get(at(acme, id, environment="production")).status_code == 404

    def test_section_is_in_the_navigation_of_the_sandbox_only(self, acme, member):
        def leads_there(environment):
            page = member.get(f"/{acme.id}/{environment}/").content.decode()
            return f'href="{at(acme, environment=environment)}"' in page

        assert leads_there("sandbox")
        assert not leads_there("production")

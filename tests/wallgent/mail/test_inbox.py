"""The test inbox keeps the emails about a sandbox for a week, and no other emails."""

from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.db import transaction

from accounts.organizations.models import Organization
from tests import world
from tests.links.payment_links.test_link_pages import text_of
from wallgent import clock
from wallgent.mail import emails, tasks
from wallgent.mail.models import SandboxEmail


@pytest.fixture
def send(acme):
    def send(organization=acme, environment="SANDBOX", subject="Your code", text="It is 123456."):
        message = EmailMessage(subject, text, to=["ada@example.com"])
        emails.send(message, organization=organization, environment=environment)

    return send


@pytest.fixture
def member(acme):
    return world.browser(world.make_member(acme, "MEMBER"))


def at(organization, *rest, environment="sandbox"):
    return "/".join([f"/{organization.id}/{environment}/mailbox", *rest])


class TestSend:
    def test_sandbox_email_is_sent_and_kept(
        self, send, acme, mailoutbox, django_capture_on_commit_callbacks
    ):
        with django_capture_on_commit_callbacks(execute=True):
            send()

        assert [email.subject for email in mailoutbox] == ["Your code"]
        email = SandboxEmail.objects.get()
        assert (email.organization, email.recipients) == (acme, ["ada@example.com"])
        assert (email.subject, email.text) == ("Your code", "It is 123456.")

    @pytest.mark.parametrize("about", [{"environment": "PRODUCTION"}, {"organization": None}])
    def test_other_emails_are_not_kept(
        self, send, mailoutbox, about, django_capture_on_commit_callbacks
    ):
        with django_capture_on_commit_callbacks(execute=True):
            send(**about)

        assert len(mailoutbox) == 1
        assert not SandboxEmail.objects.exists()

    def test_rolled_back_email_is_neither_sent_nor_kept(
        self, send, mailoutbox, django_capture_on_commit_callbacks
    ):
        with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
            send()
            transaction.set_rollback(True)

        assert mailoutbox == []
        assert not SandboxEmail.objects.exists()

    def test_mail_server_that_is_down_stops_nothing(
        self, send, settings, django_capture_on_commit_callbacks
    ):
        settings.EMAIL_BACKEND = "nowhere.Backend"

        with django_capture_on_commit_callbacks(execute=True):
            send()

        assert SandboxEmail.objects.count() == 1

    def test_email_is_deleted_after_a_week_of_real_time(self, send, acme, member):
        send()
        Organization.objects.update(sandbox_offset=timedelta(days=400))
        assert tasks.forget_letters() == 0
        assert "Your code" in text_of(member.get(at(acme)))

        SandboxEmail.objects.update(created_at=clock.real_now() - timedelta(days=7, seconds=1))

        email = SandboxEmail.objects.get()
        assert "Your code" not in text_of(member.get(at(acme)))
        assert member.get(at(acme, email.id)).status_code == 404
        assert tasks.forget_letters() == 1
        assert not SandboxEmail.objects.exists()


class TestInboxPages:
    def test_inbox_lists_and_shows_sent_emails(self, send, acme, member):
        send(subject="First", text="See http://testserver/pay/x <b>now</b>\nline two")
        send(subject="Second")

        listed = text_of(member.get(at(acme)))
        page = member.get(at(acme, SandboxEmail.objects.order_by("pk").first().id))

        assert listed.index("Second") < listed.index("First")
        assert "ada@example.com" in listed
        assert "See http://testserver/pay/x <b>now</b> line two" in text_of(page)
        assert 'href="http://testserver/pay/x"' in page.content.decode()

    def test_only_members_with_payments_write_read_their_sandboxs_emails(
        self, send, acme, globex, member
    ):
        send()
        id = SandboxEmail.objects.get().id
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

    def test_section_is_in_the_navigation_of_the_sandbox_only(self, acme, member):
        def leads_there(environment):
            page = member.get(f"/{acme.id}/{environment}/").content.decode()
            return f'href="{at(acme, environment=environment)}"' in page

        assert leads_there("sandbox")
        assert not leads_there("production")

"""The test mailbox: letters about a sandbox can be read in it for a week, and no other can."""

from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.db import transaction

from accounts.organizations.models import Organization
from tests import world
from tests.links.payment_links.test_link_pages import text_of
from wallgent import clock
from wallgent.mail import emails, tasks
from wallgent.mail.models import Letter


@pytest.fixture
def send(acme):
    def send(organization=acme, environment="SANDBOX", subject="Your code", text="It is 123456."):
        letter = EmailMessage(subject, text, to=["ada@example.com"])
        emails.send(letter, organization=organization, environment=environment)

    return send


@pytest.fixture
def member(acme):
    return world.browser(world.make_member(acme, "MEMBER"))


def at(organization, *rest, environment="sandbox"):
    return "/".join([f"/{organization.id}/{environment}/mailbox", *rest])


class TestKeeping:
    def test_a_letter_of_the_sandbox_is_sent_and_kept(
        self, send, acme, mailoutbox, django_capture_on_commit_callbacks
    ):
        with django_capture_on_commit_callbacks(execute=True):
            send()

        assert [letter.subject for letter in mailoutbox] == ["Your code"]
        letter = Letter.objects.get()
        assert (letter.organization, letter.recipients) == (acme, ["ada@example.com"])
        assert (letter.subject, letter.text) == ("Your code", "It is 123456.")

    @pytest.mark.parametrize("about", [{"environment": "PRODUCTION"}, {"organization": None}])
    def test_no_other_is_kept(self, send, mailoutbox, about, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True):
            send(**about)

        assert len(mailoutbox) == 1
        assert not Letter.objects.exists()

    def test_what_is_rolled_back_was_neither_sent_nor_kept(
        self, send, mailoutbox, django_capture_on_commit_callbacks
    ):
        with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
            send()
            transaction.set_rollback(True)

        assert mailoutbox == []
        assert not Letter.objects.exists()

    def test_a_mail_server_that_is_away_stops_nothing(
        self, send, settings, django_capture_on_commit_callbacks
    ):
        settings.EMAIL_BACKEND = "nowhere.Backend"

        with django_capture_on_commit_callbacks(execute=True):
            send()

        assert Letter.objects.count() == 1

    def test_after_a_week_it_is_gone_whatever_the_sandboxs_clock_says(self, send, acme, member):
        send()
        Organization.objects.update(sandbox_offset=timedelta(days=400))
        assert tasks.forget_letters() == 0
        assert "Your code" in text_of(member.get(at(acme)))

        Letter.objects.update(created_at=clock.real_now() - timedelta(days=7, seconds=1))

        letter = Letter.objects.get()
        assert "Your code" not in text_of(member.get(at(acme)))
        assert member.get(at(acme, letter.id)).status_code == 404
        assert tasks.forget_letters() == 1
        assert not Letter.objects.exists()


class TestReading:
    def test_lists_and_shows_what_was_sent(self, send, acme, member):
        send(subject="First", text="See http://testserver/pay/x <b>now</b>\nline two")
        send(subject="Second")

        listed = text_of(member.get(at(acme)))
        page = member.get(at(acme, Letter.objects.order_by("pk").first().id))

        assert listed.index("Second") < listed.index("First")
        assert "ada@example.com" in listed
        assert "See http://testserver/pay/x <b>now</b> line two" in text_of(page)
        assert 'href="http://testserver/pay/x"' in page.content.decode()

    def test_is_for_those_who_may_pay_in_the_sandbox_of_the_organization(
        self, send, acme, globex, member
    ):
        send()
        id = Letter.objects.get().id
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

    def test_stands_in_the_navigation_of_the_sandbox_only(self, acme, member):
        def leads_there(environment):
            page = member.get(f"/{acme.id}/{environment}/").content.decode()
            return f'href="{at(acme, environment=environment)}"' in page

        assert leads_there("sandbox")
        assert not leads_there("production")

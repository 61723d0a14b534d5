"""Limits of emails, by the service. Tests of links, receipts and codes meet them over HTTP."""

from datetime import timedelta
from itertools import cycle

import pytest
from django.db import transaction

from tests import emailing, world
from tests.accounts import people
from wallgent import clock
from wallgent.errors import RateLimitExceeded
from wallgent.mail import emails, limits
from wallgent.mail.models import Email

BOB = "bob@example.com"
FROM_OTHERS = ["LINK", "CODE", "RECEIPT", "INVITATION"]


@pytest.fixture
def queue(acme):
    def queue(kind="LINK", to=BOB, **fields):
        fields = {"organization": acme, "environment": "PRODUCTION", "sender_id": "u"} | fields
        with transaction.atomic():
            return emails.queue(kind, to=to, subject="Subject", text="Text", **fields)

    return queue


def use_up(queue, **fields):
    """Queue emails until the next is refused; return how many there were."""
    for number in range(100):
        try:
            queue(**fields)
        except RateLimitExceeded:
            return number
    raise AssertionError("there is no limit")


class TestAddress:
    def test_receives_five_emails_a_day_from_all_others_together(self, queue, globex, acme):
        owners = cycle([acme, globex])
        for kind in [*FROM_OTHERS, "CODE"]:
            queue(kind, organization=next(owners), sender_id="")

        for kind in FROM_OTHERS:
            with pytest.raises(RateLimitExceeded, match="This address"):
                queue(kind, organization=globex)
        queue(to="grace@example.com")
        emailing.age(days=1)
        queue()

    def test_sandboxes_cannot_use_up_what_production_needs(self, queue):
        assert use_up(queue, environment="SANDBOX") == 3
        with pytest.raises(RateLimitExceeded):
            queue("INVITATION", environment="")

        assert use_up(queue) == 1
        assert use_up(queue, kind="CODE") == 1

    @pytest.mark.parametrize("kind", ["LINK", "RECEIPT", "INVITATION"])
    @pytest.mark.parametrize("codes", [0, 1, 3])
    def test_last_email_of_a_day_can_only_be_a_code_of_production(self, queue, kind, codes):
        for _ in range(codes):
            queue("CODE")

        assert use_up(queue, kind=kind) == 4 - codes
        with pytest.raises(RateLimitExceeded, match="This address"):
            queue("CODE", environment="SANDBOX")
        assert use_up(queue, kind="CODE") == 1

    def test_production_counts_for_sandboxes(self, queue):
        assert use_up(queue) == 4

        with pytest.raises(RateLimitExceeded):
            queue(environment="SANDBOX")

    def test_spellings_are_counted_together(self, queue):
        for spelling in (BOB, "BOB@example.com", " Bob@Example.com", "ｂob@example.com"):
            queue(to=spelling)

        with pytest.raises(RateLimitExceeded):
            queue()

    def test_refusal_says_when_to_try_again(self, queue):
        use_up(queue)
        emailing.age(hours=23)

        with pytest.raises(RateLimitExceeded) as refused:
            queue()
        assert 3590 <= int(refused.value.headers["Retry-After"]) <= 3601

    def test_is_stored_as_a_keyed_digest_and_masked(self, queue):
        email = queue(to="Bob@Example.com", about="inv_1")

        assert email.address == "B…@Example.com"
        assert b"bob" not in bytes(email.address_digest).lower()
        assert (email.subject_id, email.sender_id) == ("inv_1", "u")

    def test_excess_is_recorded_if_the_caller_goes_on_without(self, queue, mailoutbox):
        use_up(queue)

        email = queue("INVITATION", drops_excess=True)

        assert (email.status, email.reason, email.sealed) == ("FAILED", "LIMITED", None)
        assert len(mailoutbox) == 4
        emailing.age(hours=23, minutes=59)
        queue("INVITATION", drops_excess=True)
        emailing.age(minutes=1)
        assert use_up(queue) == 4  # what was not sent does not count


class TestSenders:
    @pytest.mark.parametrize("by", ["organization", "sender_id"])
    def test_organizations_and_people_send_links_up_to_an_hourly_limit(
        self, queue, globex, monkeypatch, by
    ):
        monkeypatch.setattr(limits, "LINKS_PER_HOUR", 1)
        queue()
        other = {"sender_id": "another"} if by == "organization" else {"organization": globex}

        with pytest.raises(RateLimitExceeded, match="within an hour"):
            queue(to="grace@example.com", **other)
        queue("RECEIPT", to="grace@example.com", **other)
        emailing.age(hours=1)
        queue(to="grace@example.com", **other)

    def test_one_receipt_is_sent_ten_times_a_day(self, queue):
        for number in range(10):
            queue("RECEIPT", to=f"{number}@example.com", about="clm_1")

        with pytest.raises(RateLimitExceeded, match="This receipt"):
            queue("RECEIPT", about="clm_1")
        queue("RECEIPT", about="clm_2")


class TestAccounts:
    def test_nothing_from_others_uses_up_account_email(self, queue):
        use_up(queue)

        assert queue("ACCOUNT", about="reset").status == "WAITING"
        assert emails.notify(to=BOB, subject="S", text="T", grouped_subject="G")

    def test_an_address_that_gets_no_more_links_has_one_that_works(self, queue):
        """So whoever asks for them in place of the owner cannot lock the owner out."""
        reset = {"kind": "ACCOUNT", "about": "reset"}
        two_hours = timedelta(hours=2)
        for _ in range(limits.ACCOUNT_EMAILS):
            queue(**reset, valid_until=clock.real_now() + two_hours)
        emailing.age(minutes=119)

        with pytest.raises(RateLimitExceeded):
            queue(**reset, valid_until=clock.real_now() + two_hours)
        assert Email.objects.latest("pk").expires_at > clock.real_now()
        queue("ACCOUNT", about="confirm")
        emailing.age(minutes=1)
        queue(**reset, valid_until=clock.real_now() + two_hours)

    @pytest.mark.parametrize("kind", ["ACCOUNT", "HINT"])
    def test_account_email_is_limited_and_uses_up_nothing_of_others(self, queue, kind):
        assert use_up(queue, kind=kind, about="reset") == limits.ACCOUNT_EMAILS

        assert use_up(queue) == 4

    @pytest.mark.parametrize("path", ["/account/password/reset/", "/account/signup/"])
    def test_requests_about_an_account_do_not_show_by_a_limit_whether_there_is_one(
        self, queue, acme, settings, path
    ):
        settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
        people.person(BOB, acme).emailaddress_set.create(email=BOB, verified=True, primary=True)
        form = {"name": "Eve", "organization": "Eve & Co", "password1": "a longer horse of mine"}
        accepted = []
        for email in (BOB, "eve@new.example"):
            for _ in range(6):
                world.reset_rate_limits()
                assert people.browser().post(path, form | {"email": email}).status_code == 302
            accepted.append(use_up(queue, to=email, environment="SANDBOX"))

        assert accepted == [limits.EMAILS_PER_ADDRESS_OF_SANDBOXES] * 2

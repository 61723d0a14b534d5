"""Limits of emails, by the service. The stories of links and receipts count them over HTTP."""

from datetime import timedelta

import pytest

from tests import world
from wallgent import clock
from wallgent.errors import RateLimitExceeded
from wallgent.mail import limits, tasks
from wallgent.mail.models import EmailSendLog

REFUSAL = "This address got several emails."


@pytest.fixture
def count_message(acme):
    def count(address="bob@example.com", *, organization=acme, environment="SANDBOX", sender="u"):
        actor = world.actor_for(organization, environment, id=sender)
        limits.count_message(
            subject_id="inv_1", actor=actor, address=address, address_refusal=REFUSAL
        )

    return count


@pytest.fixture
def count_receipt(acme):
    def count(address="bob@example.com", *, subject_id="clm_1"):
        limits.count_receipt(
            subject_id=subject_id, organization=acme, environment="SANDBOX", address=address
        )

    return count


class TestMessages:
    def test_row_says_who_sent_what_but_not_to_which_address(self, count_message, acme):
        count_message("Bob@Example.com", sender="usr_1")

        row = EmailSendLog.objects.get()
        assert (row.kind, row.subject_id, row.sender_id) == ("MESSAGE", "inv_1", "usr_1")
        assert (row.organization, row.environment) == (acme, "SANDBOX")
        assert b"bob" not in bytes(row.address_digest).lower()

    def test_spellings_of_an_address_are_counted_together(self, count_message):
        for spelling in (
            "bob@example.com",
            "BOB@example.com",
            " Bob@Example.com",
            "ｂob@example.com",
        ):
            count_message(spelling)
        count_message()

        with pytest.raises(RateLimitExceeded, match=REFUSAL):
            count_message()

    def test_all_organizations_together_have_a_limit_per_address_and_environment(
        self, count_message, globex, monkeypatch
    ):
        monkeypatch.setattr(limits, "MESSAGES_PER_ADDRESS_OF_ALL", 1)
        count_message(organization=globex, sender="someone else")

        with pytest.raises(RateLimitExceeded, match=REFUSAL):
            count_message()
        count_message(environment="PRODUCTION")

    @pytest.mark.parametrize("by", ["organization", "sender"])
    def test_organizations_and_people_have_a_limit_per_hour(
        self, count_message, globex, monkeypatch, by
    ):
        monkeypatch.setattr(limits, "MESSAGES_PER_HOUR", 1)
        count_message()
        other = {"sender": "another"} if by == "organization" else {"organization": globex}

        with pytest.raises(RateLimitExceeded, match="within an hour"):
            count_message("grace@example.com", **other)
        EmailSendLog.objects.update(created_at=clock.real_now() - timedelta(hours=1))
        count_message("grace@example.com", **other)


class TestReceipts:
    def test_subjects_and_addresses_have_limits_per_day(self, count_receipt, monkeypatch):
        monkeypatch.setattr(limits, "RECEIPTS_PER_SUBJECT", 2)
        monkeypatch.setattr(limits, "RECEIPTS_PER_ADDRESS", 2)
        count_receipt()
        count_receipt("grace@example.com")

        with pytest.raises(RateLimitExceeded, match="This receipt"):
            count_receipt("alan@example.com")
        count_receipt(subject_id="clm_2")
        with pytest.raises(RateLimitExceeded, match="This address"):
            count_receipt(subject_id="clm_3")
        EmailSendLog.objects.update(created_at=clock.real_now() - timedelta(days=1))
        count_receipt()

    def test_receipts_and_messages_are_counted_apart(
        self, count_receipt, count_message, monkeypatch
    ):
        monkeypatch.setattr(limits, "MESSAGES_PER_HOUR", 1)
        monkeypatch.setattr(limits, "MESSAGES_PER_ADDRESS_OF_ALL", 1)
        monkeypatch.setattr(limits, "RECEIPTS_PER_ADDRESS", 1)

        count_receipt()
        count_message()

        assert EmailSendLog.objects.count() == 2


def test_task_deletes_rows_after_a_day_of_real_time(count_message, acme):
    count_message()
    acme.sandbox_offset = timedelta(days=2)
    acme.save()
    assert tasks.forget_letters() == 0

    EmailSendLog.objects.update(created_at=clock.real_now() - timedelta(days=1, seconds=1))

    assert tasks.forget_letters() == 1
    assert not EmailSendLog.objects.exists()

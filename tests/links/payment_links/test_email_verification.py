"""Codes that verify an email address, over HTTP and by the service that pages call."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F

from links.payment_links import tasks
from links.payment_links.errors import CodeExpired, WrongCode
from links.payment_links.models import Claim, CodeVisitor, EmailVerification
from links.payment_links.services import email_verification, rate_limits
from tests import emailing
from tests.links.conftest import ach_body, agreed, claim_body, lapse, send_claim, soon, stored
from tests.world import (
    Client,
    actor_for,
    balance_of,
    error_of,
    everything,
    in_parallel,
    make_wallet,
)
from wallgent import clock
from wallgent.errors import PermissionDenied, RateLimitExceeded
from wallgent.mail import emails, limits
from wallgent.mail.models import Email

ADA = "ada@example.com"
VISITOR = email_verification.visitor_of_network("127.0.0.1")  # of a Client


@pytest.fixture
def link(make):
    """A link for two people, who have to verify their addresses."""
    limits = {"emails": [ADA, "bob@example.com"], "proof": "CODE"}
    return make(amount="10", maxUses=2, recipientRestrictions=limits)


def code_of(link: dict, email: str = ADA) -> str:
    """Return the current code: six digits, or twelve characters in groups of four."""
    return email_verification._code(EmailVerification.objects.get(link=link["id"], email=email))


_WRONG = "00000"  # five digits are never the code


def wrong_for(link: dict, number: int = 0) -> str:
    """Return six digits that are not the current code."""
    return f"{(int(code_of(link)) + 1 + number) % 10**6:06}"


def try_claim(link, wallet, code=None, *, email=ADA, **more):
    body = claim_body(wallet, recipientEmail=email, **more)
    return send_claim(link, body | ({"verificationCode": code} if code else {}))


def refusal(response) -> tuple[int, str]:
    return response.status_code, error_of(response)


def age(link, **by) -> None:
    """Move the times of the verification into the past, as if real time had passed."""
    proof = EmailVerification.objects.get(link=link["id"])
    emailing.age(**by)
    for field in ("sent_at", "expires_at"):
        setattr(proof, field, getattr(proof, field) - timedelta(**by))
    proof.save()
    proof.visitors.update(verified_at=F("verified_at") - timedelta(**by))


class TestClaimWithCode:
    def test_claim_without_a_code_sends_one_and_says_so(
        self, link, shop, django_capture_on_commit_callbacks
    ):
        with django_capture_on_commit_callbacks(execute=True):
            answer = try_claim(link, shop)

        assert refusal(answer) == (202, "VERIFICATION_REQUIRED")
        assert answer.json()["error"]["details"] == {"email": ADA, "resendAfterSeconds": 60}
        [email] = emailing.outbox()
        code = re.search(r"\b\d{6}\b", email.body)[0]
        assert email.to == [ADA]
        assert code in email.subject
        assert "$10.00" in email.body
        assert code not in answer.text
        assert not Claim.objects.exists()
        assert try_claim(link, shop, code).status_code == 200
        assert balance_of(shop) == 10

    def test_code_is_shown_in_the_test_inbox_only(self, link, shop, acme):
        try_claim(link, shop)

        [email] = Email.objects.visible_to(actor_for(acme))
        assert (email.organization, email.recipient) == (acme, ADA)
        code = re.search(r"\b\d{6}\b", email.text)[0]
        assert code not in _rows("links_emailverification")
        assert code not in _rows("wallgent_event")
        assert code not in _rows("wallgent_email")

    def test_code_is_accepted_in_any_spelling(self, link, shop):
        try_claim(link, shop)
        code = code_of(link)

        answer = try_claim(link, shop, f" {code[:3]} {code[3:]} ", email="ADA@example.com ")

        assert answer.status_code == 200
        assert Claim.objects.get().is_by_email

    @pytest.mark.parametrize("email", ["eve@example.com", "аda@example.com"])
    def test_address_that_the_link_is_not_for_gets_no_email(self, link, shop, email):
        before = everything()

        assert refusal(try_claim(link, shop, email=email)) == (403, "PERMISSION_DENIED")
        assert refusal(try_claim(link, shop, "123456", email=email)) == (403, "PERMISSION_DENIED")
        assert everything() == before
        assert emailing.outbox() == []

    def test_claim_needs_an_address(self, link, shop):
        assert refusal(send_claim(link, claim_body(shop))) == (403, "PERMISSION_DENIED")

    def test_idempotency_key_stays_unused_until_the_claim_succeeds(self, link, shop):
        key = {"idempotencyKey": "k"}

        assert try_claim(link, shop, **key).status_code == 202
        code = code_of(link)
        assert refusal(try_claim(link, shop, "000000", **key)) == (403, "PERMISSION_DENIED")
        done = try_claim(link, shop, code, **key)
        again = try_claim(link, shop, code, **key)

        assert done.status_code == 200
        assert again.content == done.content
        assert balance_of(shop) == 10

    def test_requesting_a_code_too_soon_leaves_the_idempotency_key_unused(self, link, shop):
        key = {"idempotencyKey": "k"}
        try_claim(link, shop, **key)

        assert refusal(try_claim(link, shop, **key)) == (429, "RATE_LIMIT_EXCEEDED")
        assert try_claim(link, shop, code_of(link), **key).status_code == 200

    def test_used_code_is_refused(self, link, shop, acme):
        try_claim(link, shop)
        code = code_of(link)
        try_claim(link, shop, code)
        other = make_wallet(acme, "Other")

        refused = try_claim(link, other, code)

        assert refusal(refused) == (403, "PERMISSION_DENIED")
        assert "used already" in refused.json()["error"]["message"]
        assert stored(link).use_count == 1

    def test_each_address_can_claim_once(self, link, shop, acme):
        try_claim(link, shop)
        try_claim(link, shop, code_of(link))
        age(link, seconds=61)
        other = make_wallet(acme, "Other")

        assert try_claim(link, other).status_code == 202
        assert refusal(try_claim(link, other, code_of(link))) == (409, "CONFLICT")
        assert try_claim(link, other, email="bob@example.com").status_code == 202
        bob = code_of(link, "bob@example.com")
        assert try_claim(link, other, bob, email="bob@example.com").status_code == 200

    def test_refused_claim_does_not_use_the_code(self, link, payer, shop):
        try_claim(link, shop)
        code = code_of(link)

        assert refusal(try_claim(link, payer, code)) == (400, "VALIDATION_ERROR")
        assert try_claim(link, shop, code).status_code == 200

    def test_every_method_and_direction_needs_a_code(self, make, shop):
        limits = {"emails": [ADA], "proof": "CODE"}
        for body, terms in (
            (ach_body(), {}),
            (ach_body() | agreed(), {"direction": "RECEIVE"}),
            (claim_body(shop), {"direction": "RECEIVE"}),
        ):
            link = make(recipientRestrictions=limits, **terms)
            body |= {"recipientEmail": ADA}
            assert refusal(send_claim(link, body)) == (202, "VERIFICATION_REQUIRED")
            done = send_claim(link, body | {"verificationCode": code_of(link)})
            assert done.status_code in (200, 202), done.content
            assert "error" not in done.json()

    def test_inactive_link_sends_no_code(self, make, shop):
        link = make(expiresAt=soon(), recipientRestrictions={"emails": [ADA], "proof": "CODE"})
        lapse(link)

        assert refusal(try_claim(link, shop)) == (409, "INVALID_STATE")
        assert not EmailVerification.objects.exists()

    def test_production_link_needs_a_code(self, make, live_api, live_wallet, acme):
        other = make_wallet(acme, "Other", environment="PRODUCTION")
        link = make(
            client=live_api,
            walletId=live_wallet.id,
            direction="RECEIVE",
            recipientRestrictions={"emails": [ADA]},
        )

        assert refusal(try_claim(link, other)) == (202, "VERIFICATION_REQUIRED")
        assert not Email.objects.visible_to(actor_for(acme)).exists()


class TestTries:
    def test_tries_end_after_five_wrong_codes(self, link, shop):
        try_claim(link, shop)
        code = code_of(link)

        wrong = wrong_for(link)
        seen = [try_claim(link, shop, wrong).json()["error"]["details"] for _ in range(5)]

        assert [details["triesLeft"] for details in seen] == [4, 3, 2, 1, 0]
        refused = try_claim(link, shop, code)
        assert refusal(refused) == (403, "PERMISSION_DENIED")
        assert "Too many" in refused.json()["error"]["message"]
        assert 0 < refused.json()["error"]["details"]["resendAfterSeconds"] <= 61
        age(link, seconds=61)
        try_claim(link, shop)
        assert try_claim(link, shop, code_of(link)).status_code == 200

    def test_verification_expires_in_real_time(self, link, shop, acme):
        try_claim(link, shop)
        code = code_of(link)
        acme.sandbox_offset = timedelta(days=1)  # an advanced sandbox clock has no effect
        acme.save()
        age(link, seconds=599)
        assert verification_of(link, code) is None
        age(link, seconds=3600)

        assert refusal(try_claim(link, shop, code)) == (403, "PERMISSION_DENIED")

    def test_code_that_was_not_entered_expires_after_ten_minutes(self, link, shop):
        try_claim(link, shop)
        code = code_of(link)
        age(link, seconds=600)

        refused = try_claim(link, shop, code)

        assert refusal(refused) == (403, "PERMISSION_DENIED")
        assert "no longer valid" in refused.json()["error"]["message"]

    def test_older_code_is_wrong(self, link, shop):
        try_claim(link, shop)
        old = code_of(link)
        age(link, seconds=601)
        try_claim(link, shop)

        assert code_of(link) != old
        assert refusal(try_claim(link, shop, old)) == (403, "PERMISSION_DENIED")

    @pytest.mark.django_db(transaction=True)
    def test_concurrent_guesses_get_five_tries(self, link, shop):
        try_claim(link, shop)
        code_of(link)

        answers = in_parallel(12, lambda n: try_claim(link, shop, wrong_for(link, n)))

        assert {answer.status_code for answer in answers} == {403}
        tried = [a for a in answers if "triesLeft" in a.json()["error"].get("details", {})]
        assert len(tried) == 5
        assert EmailVerification.objects.get().tries == CodeVisitor.objects.get().tries == 5

    @pytest.mark.django_db(transaction=True)
    def test_concurrent_claims_with_one_code_make_one_claim(self, link, globex):
        takers = [make_wallet(globex, str(n)) for n in range(6)]
        try_claim(link, takers[0])
        code = code_of(link)

        answers = in_parallel(6, lambda n: try_claim(link, takers[n], code))

        assert sorted(a.status_code for a in answers)[0] == 200
        assert [a.status_code for a in answers].count(200) == 1
        assert stored(link).use_count == 1

    def test_guesses_of_addresses_are_limited(self, link, shop, monkeypatch):
        monkeypatch.setattr(
            rate_limits, "ADDRESSES", 0
        )  # which leaves three for each address of the link

        seen = [try_claim(link, shop, email=f"{n}@example.com").status_code for n in range(7)]

        assert seen == [*[403] * 6, 429]


class TestGuessesOfStrangers:
    """A stranger knows the link and the address, and cannot read its emails."""

    @staticmethod
    def guess(link, shop, times=5, ip="198.51.100.1"):
        stranger = Client(ip=ip)
        body = claim_body(shop, recipientEmail=ADA, verificationCode=_WRONG)
        return [send_claim(link, body, client=stranger) for _ in range(times)]

    def test_guesses_use_up_only_the_strangers_tries(self, link, shop):
        try_claim(link, shop)

        *_, last = self.guess(link, shop, 6)

        assert "Too many" in last.json()["error"]["message"]
        assert try_claim(link, shop, code_of(link)).status_code == 200

    def test_guesses_do_not_lock_out_a_verified_visitor(self, link, shop):
        try_claim(link, shop)
        code = code_of(link)
        verification_of(link, code)
        for number in range(9):
            self.guess(link, shop, ip=f"198.51.100.{number}")
        age(link, seconds=61)
        send_claim(link, claim_body(shop, recipientEmail=ADA), client=Client(ip="198.51.100.1"))

        assert try_claim(link, shop, code).status_code == 200

    def test_requesting_another_email_does_not_void_the_code(self, link, shop):
        try_claim(link, shop)
        code = code_of(link)
        age(link, seconds=61)
        assert try_claim(link, shop).status_code == 202

        assert code_of(link) == code
        assert try_claim(link, shop, code).status_code == 200

    def test_last_code_of_a_day_is_long_and_valid_until_another_can_be_sent(self, link, shop):
        """So neither guesses nor requests of others lock the recipient out."""
        for _ in range(limits.EMAILS_PER_ADDRESS_OF_SANDBOXES):
            sent = try_claim(link, shop)
            assert sent.status_code == 202
            age(link, seconds=61)
        assert sent.json()["error"]["details"]["resendAfterSeconds"] > 80_000
        assert len(code_of(link).replace("-", "")) == email_verification.LONG_CODE_LENGTH
        for number in range(11):
            self.guess(link, shop, ip=f"198.51.100.{number}")
        wait = int(try_claim(link, shop).headers["Retry-After"])
        assert wait > 80_000

        age(link, seconds=wait - 60)

        assert refusal(try_claim(link, shop)) == (429, "RATE_LIMIT_EXCEEDED")
        assert try_claim(link, shop, code_of(link)).status_code == 200

    def test_last_code_of_a_day_survives_wrong_tries_and_an_hour_after_it_was_entered(
        self, link, shop
    ):
        for _ in range(limits.EMAILS_PER_ADDRESS_OF_SANDBOXES):
            try_claim(link, shop)
            age(link, seconds=61)
        for _ in range(email_verification.TRIES + 1):
            assert try_claim(link, shop, "000000").status_code == 403
        verify = {"email": ADA, "code": code_of(link), "visitor": "v"}
        email_verification.check_code(stored(link), **verify)
        CodeVisitor.objects.filter(visitor="v").update(
            verified_at=clock.real_now() - email_verification.VERIFIED_FOR
        )
        assert not email_verification.is_verified(stored(link), email=ADA, visitor="v")

        email_verification.check_code(stored(link), **verify)

        assert email_verification.is_verified(stored(link), email=ADA, visitor="v")

    @pytest.mark.parametrize("kind", ["LINK", "RECEIPT"])
    def test_other_emails_leave_one_for_a_code_that_is_valid_until_the_next(self, link, kind):
        production = stored(link)
        production.environment = "PRODUCTION"
        mail = {"to": ADA, "subject": "", "text": "", "environment": "PRODUCTION"}
        for _ in range(limits.EMAILS_PER_ADDRESS):
            emails.queue(kind, **mail, drops_excess=True)

        sent = email_verification.send_code(production, email=ADA)

        assert len(code_of(link).replace("-", "")) == email_verification.LONG_CODE_LENGTH
        assert sent.expires_at - clock.real_now() > timedelta(hours=23)
        age(link, seconds=int(sent.resend_after_seconds) + 1)
        assert email_verification.send_code(production, email=ADA)

    def test_guesses_from_many_networks_lead_to_a_long_code(self, link, shop):
        try_claim(link, shop)
        short = code_of(link)
        for number in range(10):
            self.guess(link, shop, ip=f"198.51.100.{number}")
        assert EmailVerification.objects.get().tries == email_verification.SHORT_CODE_TRIES

        refused = try_claim(link, shop, short)
        assert refusal(refused) == (403, "PERMISSION_DENIED")
        assert refused.json()["error"]["details"] == {"resendAfterSeconds": 0}
        assert (
            try_claim(link, shop).status_code == 202
        )  # without a wait, in spite of the emails before
        long = code_of(link)
        assert re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{4}-?){3}", long)
        for number in range(10):
            body = claim_body(shop, recipientEmail=ADA, verificationCode="0000-0000-0000")
            for _ in range(5):
                send_claim(link, body, client=Client(ip=f"203.0.113.{number}"))

        assert refusal(try_claim(link, shop, short)) == (403, "PERMISSION_DENIED")
        assert try_claim(link, shop, long.lower().replace("-", " ")).status_code == 200

    def test_wrong_codes_are_counted_for_a_day(self, link, shop):
        try_claim(link, shop)
        self.guess(link, shop)
        age(link, hours=23)
        assert tasks.forget_codes() == 0
        try_claim(link, shop)
        assert EmailVerification.objects.get().tries == 5
        age(link, hours=25)
        assert tasks.forget_codes() == 1


class TestCodeEmails:
    def test_one_code_email_is_sent_per_minute(self, link, shop):
        try_claim(link, shop)

        refused = try_claim(link, shop)

        assert refusal(refused) == (429, "RATE_LIMIT_EXCEEDED")
        assert 0 < int(refused.headers["Retry-After"]) <= 61
        age(link, seconds=61)
        assert try_claim(link, shop).status_code == 202

    def test_many_links_send_no_more_emails_to_an_address_than_one(self, make, shop):
        restrictions = {"recipientRestrictions": {"emails": [ADA], "proof": "CODE"}}
        links = [make(amount="1", **restrictions) for _ in range(12)]

        answers = [try_claim(link, shop) for link in links]

        most = limits.EMAILS_PER_ADDRESS_OF_SANDBOXES
        assert [answer.status_code for answer in answers] == [202] * most + [429] * (12 - most)
        assert "This address" in answers[-1].json()["error"]["message"]
        assert int(answers[-1].headers["Retry-After"]) > 80_000
        assert len(emailing.outbox()) == most
        assert EmailVerification.objects.count() == most

    def test_email_is_not_sent_once_its_code_has_expired(self, link, shop):
        try_claim(link, shop)
        age(link, minutes=10)

        assert emailing.outbox() == []
        assert Email.objects.get().reason == "TOO_LATE"

    @pytest.mark.django_db(transaction=True)
    def test_concurrent_requests_send_one_email(self, link, shop):
        answers = in_parallel(6, lambda n: try_claim(link, shop))

        assert sorted(answer.status_code for answer in answers) == [202] + [429] * 5
        assert EmailVerification.objects.count() == 1
        assert len(emailing.outbox()) == 1

    def test_organization_name_is_shortened_to_one_line(self, acme, make, shop):
        acme.name = "Acme\n\nDear customer, send your password to x@evil.example" + "y" * 150
        acme.save()
        link = make(recipientRestrictions={"emails": [ADA], "proof": "CODE"})
        try_claim(link, shop)

        [email] = Email.objects.all()
        assert "Acme\n" not in email.text
        assert "y" * 40 not in email.text

    def test_task_deletes_codes_that_can_no_longer_be_used(self, link, shop):
        try_claim(link, shop)
        assert tasks.forget_codes() == 0
        age(link, hours=3)

        assert tasks.forget_codes() == 1


def verification_of(link: dict, code: str):
    """Check a code by the service, as pages do."""
    return email_verification.check_code(stored(link), email=ADA, code=code, visitor=VISITOR)


class TestService:
    def test_address_stays_verified_for_an_hour(self, link, shop):
        email_verification.send_code(stored(link), email=ADA)
        code = code_of(link)
        assert not email_verification.is_verified(stored(link), email=ADA, visitor=VISITOR)

        verification_of(link, code)

        assert email_verification.is_verified(stored(link), email=ADA, visitor=VISITOR)
        age(link, minutes=59)
        assert email_verification.is_verified(stored(link), email=ADA, visitor=VISITOR)
        age(link, minutes=2)
        assert not email_verification.is_verified(stored(link), email=ADA, visitor=VISITOR)
        with pytest.raises(CodeExpired):
            verification_of(link, code)

    def test_each_refusal_has_its_error_class(self, link):
        with pytest.raises(CodeExpired, match="Ask for one"):
            verification_of(link, "123456")
        email_verification.send_code(stored(link), email=ADA)
        with pytest.raises(RateLimitExceeded):
            email_verification.send_code(stored(link), email=ADA)
        with pytest.raises(WrongCode):
            verification_of(link, "abc")
        with pytest.raises(PermissionDenied):
            email_verification.send_code(stored(link), email="eve@example.com")


def test_public_view_says_that_a_code_is_needed(link):
    shown = Client().get(f"/v1/payment-links/claim/{link['slug']}").json()

    assert shown["verification"] == {"emailRequired": True, "proof": "CODE"}
    assert ADA not in str(shown)


def _rows(table: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT string_agg(t::text, ' ') FROM {table} t")
        return cursor.fetchone()[0] or ""

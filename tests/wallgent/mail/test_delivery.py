"""The worker sends emails, also when the mail server refuses or hangs, and when it is killed."""

import itertools
import os
import re
import signal
import socket
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connection
from environ import Env

from links.payment_links.models import EmailVerification
from tests import due, emailing, mail_server, world
from tests.links.conftest import claim_body, send_claim
from wallgent import clock
from wallgent.due_work import kinds, worker
from wallgent.due_work import queue as due_work_queue
from wallgent.due_work.models import DueWork
from wallgent.mail import delivery, emails, smtp
from wallgent.mail.models import Email

ADA, BOB = "ada@example.com", "bob@example.com"
SMTP = "wallgent.mail.smtp.EmailBackend"


@pytest.fixture(autouse=True)
def _no_server_is_away(monkeypatch):
    monkeypatch.setattr(delivery, "_server_is_away_until", emailing.PAST)


@pytest.fixture
def queue(acme):
    def queue(to=ADA, kind=Email.Kind.LINK, **fields):
        fields = {"organization": acme, "environment": "PRODUCTION"} | fields
        return emails.queue(kind, to=to, subject="Grüße", text="Text with “quotes”", **fields)

    return queue


def use_server(settings, address) -> None:
    settings.EMAIL_BACKEND = SMTP
    settings.EMAIL_HOST, settings.EMAIL_PORT = address
    settings.EMAIL_TIMEOUT = 0.5


@pytest.fixture
def server(settings):
    with mail_server.running() as server:
        use_server(settings, server.server_address)
        yield server


@pytest.fixture
def silent_server(settings):
    """A mail server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        use_server(settings, listening.getsockname())
        yield listening


def reloaded(email: Email) -> Email:
    return Email.objects.get(pk=email.pk)


def pause_of(email: Email) -> int:
    return round((due.row_of(email.id).due_at - clock.real_now()).total_seconds())


class TestSending:
    def test_email_is_sent_once_by_the_worker(self, queue, server):
        email = queue()
        assert server.received == []

        assert [worker.work(emails.DUE_WORK), worker.work(emails.DUE_WORK)] == [1, 0]

        [sent] = server.received
        assert sent["To"] == ADA
        assert sent.get_payload(decode=True).decode().strip() == "Text with “quotes”"
        email = reloaded(email)
        assert (email.status, email.reason, email.sealed) == ("SENT", "", None)
        assert email.ended_at

    def test_message_id_is_on_the_public_host_and_the_same_each_time(self, queue, server, settings):
        settings.PUBLIC_ORIGIN = "https://pay.example.com:8443"
        email = queue()
        server.replies["END"] = "451 later"
        emailing.deliver()
        first = delivery.message_of(reloaded(email)).message()["Message-ID"]
        del server.replies["END"]
        emailing.deliver()

        assert server.received[0]["Message-ID"] == first == f"<{email.id}@pay.example.com>"

    def test_a_set_shares_a_connection_and_a_refused_one_stops_no_other(self, queue, server):
        sent = [queue(f"{number}@example.com") for number in range(4)]
        server.replies["RCPT"] = "550 5.1.1 no such user"
        emailing.deliver()
        assert {reloaded(email).status for email in sent} == {"FAILED"}

        more = [queue(f"{number}@example.org") for number in range(4)]
        del server.replies["RCPT"]
        emailing.deliver()
        assert {reloaded(email).status for email in more} == {"SENT"}
        assert len(server.received) == 4

    def test_nothing_is_sent_past_its_time(self, queue, server):
        email = queue(kind=Email.Kind.CODE, valid_until=clock.real_now() + timedelta(minutes=10))
        emailing.age(minutes=10)
        emailing.deliver()

        email = reloaded(email)
        assert server.received == []
        assert (email.status, email.reason, email.sealed) == ("FAILED", "TOO_LATE", None)
        assert not DueWork.objects.exists()

    def test_logs_neither_content_nor_address(self, queue, server, caplog):
        caplog.set_level("DEBUG")
        queue()
        server.replies["RCPT"] = f"550 5.1.1 <{ADA}> unknown"
        emailing.deliver()
        queue(BOB)
        server.replies = {"CONNECT": f"421 {BOB}"}
        emailing.deliver()

        assert "email waits for the mail server" in caplog.text
        for secret in ("quotes", "Gr", ADA, BOB):
            assert secret not in caplog.text


class TestRefusals:
    @pytest.mark.parametrize(
        ("command", "reply", "reason", "stored"),
        [
            ("RCPT", "550 5.1.1 <ada@example.com> unknown", "UNKNOWN_ADDRESS", "550 5.1.1"),
            ("RCPT", "552 5.2.2 over quota", "MAILBOX_FULL", "552 5.2.2"),
            ("RCPT", "550 go away", "REFUSED", "550"),
            ("DATA", "554 5.7.1 looks like spam", "REFUSED", "554 5.7.1"),
            ("END", "554 no", "REFUSED", "554"),
        ],
    )
    def test_permanent_refusal_is_recorded_at_once(
        self, queue, server, command, reply, reason, stored
    ):
        email = queue()
        server.replies[command] = reply
        worker.work(emails.DUE_WORK)

        email = reloaded(email)
        assert (email.status, email.reason, email.reply) == ("FAILED", reason, stored)
        assert email.sealed is None
        assert not DueWork.objects.exists()

    @pytest.mark.parametrize(
        ("command", "reply"),
        [
            *(("RCPT", "450 4.2.0 greylisted"), ("END", "451 later"), ("DATA", "421 busy")),
            *(("MAIL", "550 this sender is not allowed"), ("CONNECT", "554 not you")),
            ("RCPT", "421 closing"),
        ],
    )
    def test_anything_else_is_tried_again(self, queue, server, command, reply):
        email, other = queue(), queue(BOB)
        server.replies[command] = reply
        emailing.deliver()
        assert reloaded(email).status == reloaded(other).status == "WAITING"
        assert reloaded(email).sealed

        server.replies.clear()
        emailing.deliver()
        assert reloaded(email).status == reloaded(other).status == "SENT"
        assert len(server.received) == 2

    @pytest.mark.parametrize(
        ("command", "reply", "stored"),
        [
            ("RCPT", "450 4.2.0 <ada@example.com> greylisted", "450 4.2.0"),
            ("END", "451 later", "451"),
            ("MAIL", "550 5.7.1 this sender is not allowed", "550 5.7.1"),
            ("CONNECT", "421 busy", "421"),
            ("RCPT", "CLOSE", "SMTPServerDisconnected"),
        ],
    )
    def test_waiting_email_says_why(self, queue, server, command, reply, stored):
        email = queue()
        server.replies[command] = reply
        emailing.deliver()

        email = reloaded(email)
        assert (email.status, email.reply) == ("WAITING", stored)
        assert email.status_reason == "The mail server has not accepted it yet. We'll try again."
        server.replies.clear()
        emailing.deliver()
        email = reloaded(email)
        assert (email.status, email.reply, email.status_reason) == ("SENT", "", "")

    def test_pauses_grow_and_end_after_a_day(self, queue, server):
        server.replies["RCPT"] = "450 later"
        email, pauses = queue(), []
        for _ in range(12):
            emailing.deliver()
            pauses.append(pause_of(email))
        assert pauses == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1800, 1800, 1800]

        emailing.age(hours=23, minutes=59)
        emailing.deliver()
        assert pause_of(email) in (59, 60)
        emailing.age(minutes=1)
        emailing.deliver()
        assert reloaded(email).reason == "TOO_LATE"


class TestOneRecipientThatFails:
    @pytest.mark.parametrize("how", ["slow", "closes", "refuses and closes"])
    def test_delays_no_other_email(self, queue, server, settings, how):
        settings.EMAIL_TIMEOUT = 0.3
        if how == "slow":
            server.delays[f"RCPT {BOB}"] = 0.6
        else:
            server.replies[f"RCPT {BOB}"] = "CLOSE" if how == "closes" else "421 closing"
        first, slow, last = queue(), queue(BOB), queue("last@example.com")

        worker.work(emails.DUE_WORK)

        assert [reloaded(email).status for email in (first, slow, last)] == [
            *("SENT", "WAITING", "SENT")
        ]
        assert (reloaded(slow).attempts, pause_of(slow)) == (1, 5)
        another = queue("another@example.com")
        worker.work(emails.DUE_WORK)
        assert reloaded(another).status == "SENT"

    def test_email_for_which_no_time_is_left_has_had_no_attempt(self, queue, server):
        sent = [queue(), queue(BOB)]
        rows = due_work_queue.take(emails.DUE_WORK)
        for row in rows:
            row.handle_by = emailing.PAST
        delivery.send_due(rows)

        assert {reloaded(email).attempts for email in sent} == {0}
        emailing.deliver()
        assert {reloaded(email).attempts for email in sent} == {1}

    def test_email_that_another_worker_sent_meanwhile_is_not_sent(self, queue, server):
        email = queue()
        begun = Email.objects.get()
        emailing.deliver()

        assert delivery._begin_attempt(begun) is None
        assert reloaded(email).attempts == 1


class TestServerThatIsSlowToAccept:
    """It checks the email before it replies (RFC 5321, section 4.5.3.2.6)."""

    def test_is_waited_for_longer_than_for_other_replies(self, queue, server, settings):
        settings.EMAIL_TIMEOUT = 0.2
        server.delays["END"] = 0.5
        email, other = queue(), queue(BOB)
        emailing.deliver()

        assert [reloaded(sent).status for sent in (email, other)] == ["SENT", "SENT"]
        assert (reloaded(email).reply, len(server.received)) == ("", 2)

    def test_email_without_that_reply_is_not_sent_again(self, queue, server, monkeypatch):
        monkeypatch.setattr(smtp, "ACCEPTANCE_SECONDS", 0.2)
        server.delays["END"] = 0.5
        email, other = queue(), queue(BOB)
        for _ in range(3):
            emailing.deliver()
        time.sleep(0.6)

        for sent in (email, other):
            sent = reloaded(sent)
            assert (sent.status, sent.reply, sent.attempts) == ("SENT", "no reply", 1)
        assert sorted(sent["To"] for sent in server.received) == [ADA, BOB]

    def test_other_timeout_is_no_acceptance(self, queue, server, settings):
        settings.EMAIL_TIMEOUT = 0.2
        server.delays["DATA"] = 0.5
        email = queue()
        emailing.deliver()

        assert reloaded(email).status == "WAITING"

    def test_connection_closed_before_it_is_no_acceptance(self, queue, server):
        server.replies["END"] = "CLOSE"
        email = queue()
        emailing.deliver()
        assert reloaded(email).status == "WAITING"

        server.replies.clear()
        emailing.deliver()
        assert (reloaded(email).status, len(server.received)) == ("SENT", 1)

    def test_lease_lasts_longer_than_the_last_email_of_a_set(self):
        commands = timedelta(seconds=10 * django_settings.EMAIL_TIMEOUT)
        slowest = commands + timedelta(seconds=smtp.ACCEPTANCE_SECONDS)
        kind = kinds.of(emails.DUE_WORK)

        assert kind.deadline + slowest < kind.lease

    @pytest.mark.parametrize("scheme", ["smtp", "smtps", "smtp+tls", "smtp+ssl"])
    def test_every_mail_server_of_the_settings_is_waited_for(self, scheme):
        assert Env.email_url_config(f"{scheme}://mail.example.com")["EMAIL_BACKEND"] == SMTP


class TestServerThatNeverAnswers:
    def test_worker_gives_up_after_its_timeout_and_tries_again(
        self, queue, silent_server, settings
    ):
        sent = [queue(f"{number}@example.com") for number in range(5)]
        before = time.monotonic()
        worker.work(emails.DUE_WORK)

        assert time.monotonic() - before < 3  # one timeout for all of them
        assert {reloaded(email).status for email in sent} == {"WAITING"}
        assert {email.attempts for email in Email.objects.all()} == {1}
        assert {pause_of(email) for email in sent} <= {4, 5}
        with mail_server.running() as server:
            use_server(settings, server.server_address)
            emailing.deliver()
        assert len(server.received) == 5

    def test_one_that_only_greets_is_given_up_after_one_timeout(self, queue, server, settings):
        settings.EMAIL_TIMEOUT = 0.2
        server.delays |= {"EHLO": 0.5, "HELO": 0.5}
        sent = [queue(f"{number}@example.com") for number in range(5)]
        worker.work(emails.DUE_WORK)

        assert {reloaded(email).reply for email in sent} == {"SMTPServerDisconnected"}
        assert delivery._server_is_away_until > clock.real_now()

    def test_other_emails_wait_without_a_try_for_a_moment(self, queue, silent_server):
        queue()
        worker.work(emails.DUE_WORK)
        silent_server.close()
        other = queue(BOB)
        worker.work(emails.DUE_WORK)

        assert reloaded(other).attempts == 0
        assert 5 < pause_of(other) <= 10

    def test_one_thread_of_a_process_waits_for_it(self, queue, silent_server):
        email = queue()
        with delivery._sending:
            before = time.monotonic()
            worker.work(emails.DUE_WORK)
            assert time.monotonic() - before < 0.4

        assert (reloaded(email).attempts, pause_of(email)) == (0, 1)

    def test_requests_payments_and_claims_with_a_code_do_not_connect(
        self, silent_server, api, acme, wallet, shop
    ):
        silent_server.settimeout(0.01)
        world.fund(wallet, "100")
        link = api.post(
            "/v1/payment-links",
            {
                **{"walletId": wallet.id, "amount": "10", "direction": "SEND"},
                "recipientRestrictions": {"emails": [ADA], "proof": "CODE"},
            },
        ).json()
        body = claim_body(shop, recipientEmail=ADA)

        asked = send_claim(link, body)
        paid = api.post("/v1/payments", {"from": wallet.id, "to": shop.id, "amount": "1"})
        code = re.search(r"\b[0-9]{6}\b", Email.objects.get().text)[0]
        claimed = send_claim(link, body | {"verificationCode": code})

        assert (asked.status_code, paid.status_code, claimed.status_code) == (202, 201, 200)
        assert EmailVerification.objects.get().used_at
        with pytest.raises(TimeoutError):
            silent_server.accept()


def test_server_that_cannot_be_reached_is_tried_again(queue, settings):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        use_server(settings, closed.getsockname())
    email = queue()
    emailing.deliver()

    assert (reloaded(email).status, reloaded(email).attempts) == ("WAITING", 1)


def test_backend_that_does_not_exist_loses_no_email(queue, settings, mailoutbox):
    usual, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, "nowhere.Backend"
    queue()
    emailing.deliver()
    settings.EMAIL_BACKEND = usual

    assert len(mailoutbox) == 1


class TestNotices:
    @staticmethod
    def notify(text, to=ADA):
        return emails.notify(to=to, subject=text, text=text, grouped_subject="Changes")

    def test_several_within_a_minute_become_one_email(self, db, mailoutbox):
        for text in ("First.", "Second.", "Third."):
            self.notify(text)
        self.notify("Alone.", to=BOB)
        worker.work(emails.DUE_WORK)
        assert not Email.objects.exclude(attempts=0).exists()  # none is sent before the minute

        ours, other = mailoutbox
        assert (ours.subject, other.subject) == ("Changes", "Alone.")
        assert re.fullmatch(r"First\.\n\n-+\n\nSecond\.\n\n-+\n\nThird\.", ours.body)

    def test_later_ones_are_in_one_email_ten_minutes_after_the_first(self, db, mailoutbox):
        self.notify("First.")
        assert len(mailoutbox) == 1
        second = self.notify("Second.")
        assert self.notify("Third.") == second
        assert 590 <= pause_of(second) <= 600

        assert [email.subject for email in mailoutbox] == ["First.", "Changes"]

    def test_one_that_comes_while_the_email_is_being_sent_is_not_lost(self, db, mailoutbox):
        first = self.notify("First.")
        DueWork.objects.update(due_at=emailing.PAST)
        Email.objects.update(attempts=1)

        assert self.notify("Second.") != first
        assert [email.subject for email in mailoutbox] == ["First.", "Second."]

    def test_one_that_comes_before_the_attempt_is_in_the_email(self, db, mailoutbox, monkeypatch):
        begin = delivery._begin

        def begin_slowly(rows):
            waiting = begin(rows)
            self.notify("Second.")
            return waiting

        monkeypatch.setattr(delivery, "_begin", begin_slowly)
        self.notify("First.")
        emailing.deliver()

        assert "First." in mailoutbox[0].body
        assert "Second." in mailoutbox[0].body

    def test_emails_that_are_full_are_ten_minutes_apart(self, db, mailoutbox):
        for number in range(100):
            self.notify(f"Change {number}.")

        sent = list(Email.objects.order_by("pk"))
        pauses = [pause_of(email) for email in sent]
        assert [round(pause / 60) for pause in pauses] == [1, 11, 21, 31, 41]
        for email, pause in zip(sent, pauses, strict=True):
            assert email.expires_at > clock.real_now() + timedelta(hours=23, seconds=pause)

    def test_period_begins_when_the_email_before_was_sent(self, db, mailoutbox):
        first = self.notify("First.")
        emailing.age(minutes=9)
        emailing.deliver()
        assert reloaded(first).status == "SENT"

        assert 590 <= pause_of(self.notify("Second.")) <= 600

    def test_none_is_dropped_however_many_there_are(self, db, mailoutbox):
        for number in range(45):
            self.notify(f"Change {number}.")
            if number in (10, 30):
                emailing.deliver()

        text = "\n".join(email.body for email in mailoutbox)
        assert [int(found) for found in re.findall(r"Change (\d+)\.", text)] == list(range(45))


def _work_until_killed(number: int) -> bool:
    """Work in another process, killed before its n-th statement. Return whether it was killed."""
    pid = os.fork()
    if pid == 0:
        inherited, connection.connection = connection.connection, None  # still the parent's
        remaining = itertools.count(number, -1)

        def kill(execute, *arguments):
            if next(remaining) == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return execute(*arguments)

        status = 1
        try:
            with connection.execute_wrapper(kill):
                worker.work(emails.DUE_WORK)
            status = 0
        finally:
            os._exit(status if inherited else 2)
    _, status = os.waitpid(pid, 0)
    assert status in (0, signal.SIGKILL)
    return status == signal.SIGKILL


@pytest.mark.django_db(transaction=True)
def test_every_email_is_sent_whenever_the_worker_is_killed(queue, settings, tmp_path):
    """At least once, and once more at most; every copy has the same Message-ID."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    for number in itertools.count(1):
        folder = tmp_path / str(number)
        folder.mkdir()
        settings.EMAIL_FILE_PATH = str(folder)
        queued = [queue(f"{n}@{number}.example", Email.Kind.CODE) for n in range(3)]
        was_killed = _work_until_killed(number)
        emailing.deliver()

        sent = [
            id
            for path in Path(folder).iterdir()
            for id in re.findall(r"^Message-ID: <(\w+)@", path.read_text(), re.MULTILINE)
        ]
        assert {email.id for email in queued} == set(sent), number
        assert len(sent) <= 4, number
        assert {reloaded(email).status for email in queued} == {"SENT"}
        assert not DueWork.objects.exists()
        if not was_killed:
            break
    assert number > 10


@pytest.mark.django_db(transaction=True)
def test_concurrent_workers_send_each_email_once(queue, server):
    for number in range(30):
        queue(f"{number}@example.com")

    world.in_parallel(4, lambda n: worker.work(emails.DUE_WORK))
    emailing.deliver()

    assert len(server.received) == 30
    assert len({email["To"] for email in server.received}) == 30

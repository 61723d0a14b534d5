"""Emails that come back, as mail servers report them; the message may be from anyone."""

import io
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from tests import emailing
from tests.world import unknown_id
from wallgent.mail import bounces, emails
from wallgent.mail.models import Email


@pytest.fixture
def email(acme):
    """An email that a mail server accepted."""
    email = emails.queue(
        Email.Kind.LINK,
        to="ada@example.com",
        subject="Subject",
        text="Text",
        organization=acme,
        environment="PRODUCTION",
    )
    emailing.deliver()
    return email


def notification(
    email_id: str,
    *,
    action: str = "failed",
    status: str = "5.1.1",
    headers_type: str = "message/rfc822",
    type: str = "multipart/report; report-type=delivery-status",
) -> bytes:
    """Return a delivery status notification like Postfix's (RFC 3464)."""
    return f"""\
Return-Path: <>
From: MAILER-DAEMON@mx.example.com
To: no-reply@pay.example.com
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: {type}; boundary="B"

--B
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mx.example.com. <{unknown_id("eml")}@elsewhere.example>

--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Final-Recipient: rfc822; ada@example.com
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 {status} no such user <script>

--B
Content-Type: {headers_type}

Message-ID: <{email_id}@pay.example.com>
Subject: Subject
To: ada@example.com

Text
--B--
""".encode()


def status_of(email: Email) -> tuple[str, str, str]:
    email.refresh_from_db()
    return email.status, email.reason, email.reply


class TestRecord:
    @pytest.mark.parametrize("headers_type", ["message/rfc822", "text/rfc822-headers"])
    @pytest.mark.parametrize(
        ("status", "reason"),
        [
            ("5.1.1", "UNKNOWN_ADDRESS"),
            ("5.2.2", "MAILBOX_FULL"),
            ("5.7.1", "REFUSED"),
            ("4.4.7", "REFUSED"),
        ],
    )
    def test_failure_is_recorded_with_its_reason(self, email, status, reason, headers_type):
        message = notification(email.id, status=status, headers_type=headers_type)

        assert bounces.record(message) == email
        assert status_of(email) == ("FAILED", reason, status)

    def test_is_recorded_once(self, email):
        bounces.record(notification(email.id))

        assert bounces.record(notification(email.id, status="5.2.2")) is None
        assert status_of(email) == ("FAILED", "UNKNOWN_ADDRESS", "5.1.1")

    @pytest.mark.parametrize(
        "change",
        [
            {"action": "delayed"},
            {"action": "delivered"},
            {"type": "multipart/mixed"},
            {"type": "text/plain"},
            {"headers_type": "text/plain"},
        ],
    )
    def test_other_messages_change_nothing(self, email, change):
        assert bounces.record(notification(email.id, **change)) is None
        assert status_of(email) == ("SENT", "", "")

    @pytest.mark.parametrize("named", ["", "x", "eml_", "eml_" + "Z" * 26, "ltr_" + "0" * 26])
    def test_unknown_emails_change_nothing(self, email, named):
        assert bounces.record(notification(named)) is None
        assert bounces.record(notification(unknown_id("eml"))) is None
        assert status_of(email) == ("SENT", "", "")

    def test_waiting_email_is_still_sent(self, email):
        other = emails.queue(Email.Kind.LINK, to="ada@example.com", subject="", text="")

        assert bounces.record(notification(other.id)) is None
        assert status_of(other) == ("WAITING", "", "")

    @pytest.mark.parametrize(
        "hostile",
        [
            b"",
            b"\0" * 1000,
            b"\xff\xfe" * 1000,
            b"Content-Type: multipart/report\r\n\r\n",
            b'Content-Type: multipart/report; boundary="B"\n\n--B\nContent-Type: '
            b"message/delivery-status\n\n\xff: \xff\n\n--B--",
            b"Content-Type: message/rfc822\n\n" * 5000,
            b"".join(
                b'Content-Type: multipart/report; boundary="%d"\n\n--%d\n' % (depth, depth)
                for depth in range(3000)
            ),
            b"A: b\n" * 50_000,
            b"Content-Type: multipart/report; boundary=" + b"b" * 200_000,
        ],
        ids=range(9),
    )
    def test_malformed_messages_change_nothing(self, email, hostile):
        assert bounces.record(hostile) is None
        bounces.record(hostile + notification(email.id))  # raises nothing

    def test_every_truncation_is_read_without_an_error(self, email):
        whole = notification(email.id)
        for length in range(0, len(whole) - 200, 7):
            assert bounces.record(whole[:length]) is None


class TestCommand:
    @staticmethod
    def run(monkeypatch, message: bytes) -> str:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(message)))
        output = io.StringIO()
        call_command("record_bounces", stdout=output)
        return output.getvalue()

    def test_reads_a_message_from_standard_input(self, email, monkeypatch):
        printed = self.run(monkeypatch, notification(email.id))

        assert printed == f"{email.id} failed: The address does not exist.\n"
        assert status_of(email)[0] == "FAILED"

    def test_ignores_other_messages_so_that_nothing_is_returned_to_their_sender(
        self, email, monkeypatch
    ):
        assert "not about" in self.run(monkeypatch, b"Subject: I am on holiday\n\nSee you")

    def test_reads_a_limited_size(self, email, monkeypatch):
        message = io.BytesIO(b"x" * 10**6)
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=message))
        call_command("record_bounces", stdout=io.StringIO())

        assert message.tell() == bounces.MAX_BYTES

    def test_asks_the_mail_server_to_try_again_without_a_database(self, email, monkeypatch):
        def fail(message):
            raise OperationalError("connection lost")

        monkeypatch.setattr(bounces, "record", fail)
        with pytest.raises(CommandError) as failed:
            self.run(monkeypatch, notification(email.id))
        assert failed.value.returncode == 75

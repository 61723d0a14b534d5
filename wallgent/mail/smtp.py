"""Django's SMTP backend, which waits longer for the reply to the whole email than for others."""

import smtplib

from django.core.mail.backends import smtp

# RFC 5321, section 4.5.3.2.6, asks for ten minutes: a mail server may check the email before it
# accepts it. Meanwhile a process sends no other email, so we wait for one.
ACCEPTANCE_SECONDS = 60


class NoReply(OSError):
    """The whole email was sent, and the mail server did not reply in time."""


class _PatientConnection:
    _has_sent_email = False

    def send(self, data):
        super().send(data)
        self._has_sent_email = isinstance(data, bytes)  # smtplib sends commands as text

    def getreply(self):
        if not self._has_sent_email:
            return super().getreply()
        self.sock.settimeout(ACCEPTANCE_SECONDS)
        try:
            reply = super().getreply()
        except smtplib.SMTPServerDisconnected as error:
            if isinstance(error.__context__, TimeoutError):
                raise NoReply from error
            raise  # a closed connection means "try again later" (RFC 5321, section 3.8)
        self.sock.settimeout(self.timeout)
        return reply


class _Smtp(_PatientConnection, smtplib.SMTP):
    pass


class _SmtpOverTls(_PatientConnection, smtplib.SMTP_SSL):
    pass


class EmailBackend(smtp.EmailBackend):
    @property
    def connection_class(self):
        return _SmtpOverTls if self.use_ssl else _Smtp

    def open(self):
        is_new = super().open()
        if is_new:
            self.connection.ehlo_or_helo_if_needed()  # here, so a server that is away fails to open
        return is_new

"""Email: one table of outgoing email, which the worker sends as due work.

A service calls `emails.queue` (or `emails.notify`) in its transaction. What the email says is
stored encrypted, and erased once it was sent or has finally failed; the test inbox shows a
sandbox's emails for a week. `limits` says how many there may be, `delivery` sends them, `bounces`
records those that come back.

An email is sent once, as far as SMTP allows. If a worker dies between the mail server's acceptance
and its own commit, the email is sent again with the same Message-ID. One that the mail
server received whole without a reply counts as sent.
"""

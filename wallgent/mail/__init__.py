"""The test mailbox: letters about a sandbox, kept for a week so that one can read them there."""

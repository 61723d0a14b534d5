"""Email: sending, limits, addresses, and the test inbox with a sandbox's emails of a week."""

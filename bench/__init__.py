"""`make bench`: our speed as a ratio to what PostgreSQL itself can do."""

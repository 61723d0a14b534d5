"""PostgreSQL and Redis of our own, for when DATABASE_URL and REDIS_URL name none.

Nothing here needs Django's settings: this runs before they can be read.
"""

"""Embedded PostgreSQL and Redis servers, used unless DATABASE_URL and REDIS_URL are set.

This package does not use Django's settings, because it runs before they can be loaded.
"""

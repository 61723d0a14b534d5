"""The clock of each organization."""

from datetime import UTC, timedelta

import pytest
from django.db import IntegrityError, transaction

from accounts.organizations.models import Organization
from tests.world import actor_for
from wallgent import clock

SOON = timedelta(seconds=10)
YEAR = timedelta(days=365)


class TestNow:
    def test_real_time_is_utc(self):
        assert clock.real_now().tzinfo is UTC

    def test_sandbox_offset_applies_only_to_the_sandbox(self, acme):
        acme.sandbox_offset = YEAR
        sandbox, production = actor_for(acme), actor_for(acme, "PRODUCTION")

        assert abs(clock.now(sandbox) - clock.real_now() - YEAR) < SOON
        assert abs(clock.now(production) - clock.real_now()) < SOON
        assert clock.offset(production) == timedelta(0)

    def test_offset_applies_only_to_its_organization(self, acme, globex):
        acme.sandbox_offset = YEAR

        assert clock.offset(actor_for(globex)) == timedelta(0)

    def test_offset_cannot_be_negative(self, acme):
        with pytest.raises(IntegrityError), transaction.atomic():
            Organization.objects.filter(pk=acme.pk).update(sandbox_offset=-SOON)

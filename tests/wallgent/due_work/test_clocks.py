"""While clocks are advanced at random, nothing is done early, late or twice, or out of order."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from django.db import transaction
from django.db.models import Min
from hypothesis import given
from hypothesis import strategies as st

from accounts.organizations.models import Organization
from tests.accounts import rails
from tests.wallgent.due_work.conftest import KIND, SET
from wallgent import clock, due_work, ids
from wallgent.due_work import queue, worker
from wallgent.due_work.models import DueWork

LEASE_SECONDS = 60
SECONDS = st.integers(-90, 7200)  # from now
NUMBERS = st.integers(0, 9)  # of a job, a held set or an organization, modulo their count
STEPS = st.one_of(
    st.tuples(
        st.just("schedule"),
        NUMBERS,
        SECONDS,
        st.sampled_from([KIND, SET]),
        st.sampled_from(["SANDBOX", "REAL", "PRODUCTION"]),
        st.none() | SECONDS,
    ),
    st.tuples(st.just("advance"), NUMBERS, st.integers(1, 7200)),
    st.tuples(st.just("wait"), st.integers(1, 2 * LEASE_SECONDS)),
    st.tuples(st.just("look_sooner"), NUMBERS, SECONDS),
    st.tuples(st.just("take")),
    st.tuples(st.just("take")),  # by another worker
    st.tuples(st.just("handle"), NUMBERS),
    st.tuples(st.just("work")),
)


@dataclass
class Job:
    """A subject with something to do at a time, which may lead to the next job."""

    id: str
    kind: str
    organization_id: str
    environment: str
    real_time: bool
    at: datetime
    next_after_seconds: int | None
    done_at: datetime | None = None
    looks: int = 0  # that workers may have: one for each request, lapsed lease or early look

    @property
    def organization(self) -> Organization:
        return Organization.objects.get(pk=self.organization_id)

    @property
    def now(self) -> datetime:
        return clock.real_now() if self.real_time else clock.now(self)


class Load:
    """Organizations whose jobs wait, and workers that may be slow or killed while they hold a set.

    Time stands still unless a step lets it pass.
    """

    def __init__(self, organizations: list[Organization], handlers: dict, monkeypatch):
        self.organizations = organizations
        self.jobs: list[Job] = []
        self.held: list[list[DueWork]] = []
        self.time = clock.real_now()
        monkeypatch.setattr(clock, "real_now", lambda: self.time)
        handlers[KIND] = handlers[SET] = self._do

    def schedule(self, number, seconds, kind, follows, next_after_seconds):
        organization = self.organizations[number % len(self.organizations)]
        environment = "PRODUCTION" if follows == "PRODUCTION" else "SANDBOX"
        owner = (organization.id, environment, follows == "REAL")
        job = Job(ids.new("wal"), kind, *owner, self.time, next_after_seconds)
        job.at = job.now + timedelta(seconds=seconds)
        self.jobs.append(job)
        self._request(job, job.at)

    def look_sooner(self, number, seconds):
        if self.jobs:
            job = self.jobs[number % len(self.jobs)]
            self._request(job, job.now + timedelta(seconds=seconds))

    def advance(self, number, seconds):
        organization = self.organizations[number % len(self.organizations)]
        rails.advance(Organization.objects.get(pk=organization.pk), seconds=seconds)

    def wait(self, seconds):
        before, self.time = self.time, self.time + timedelta(seconds=seconds)
        for rows in self.held:
            if before < rows[0].leased_until <= self.time:
                for row in rows:
                    self._job_of(row).looks += 1

    def take(self):
        rows = queue.take()
        for row in rows:
            job = self._job_of(row)
            job.looks -= 1
            assert job.looks >= 0, "taken twice"
            assert row.due_at <= row.now, "taken early"
            if row.clock == DueWork.Clock.SANDBOX:
                lane = DueWork.objects.filter(organization=row.organization, clock=row.clock)
                earliest = lane.aggregate(earliest=Min("due_at"))["earliest"]
                assert row.due_at <= earliest + queue.ORDER_PRECISION, "taken out of order"
        if rows:
            self.held.append(rows)

    def handle(self, number):
        """Let a worker go on with its set, which other workers may have meanwhile."""
        if self.held:
            worker.handle(self.held.pop(number % len(self.held)))

    def work(self):
        """Work until nothing is left for another worker."""
        while True:
            count = len(self.held)
            self.take()
            if len(self.held) == count:
                break
            worker.handle(self.held.pop())
        if not self.held:
            for job in self.jobs:
                assert (job.done_at is not None) == (job.at <= job.now), "late"

    def _do(self, rows):
        with transaction.atomic():
            for row in rows:
                job = self._job_of(row)
                if not job.done_at and job.now < job.at:
                    job.looks += 1
                    due_work.reschedule(row, job.at)
                    continue
                if not job.done_at:
                    job.done_at = job.now
                    if job.next_after_seconds is not None:
                        self._add_next(job)
                due_work.finish(row)

    def _add_next(self, job):
        owner = (job.organization_id, job.environment, job.real_time)
        at = job.at + timedelta(seconds=job.next_after_seconds)
        next_job = Job(ids.new("wal"), job.kind, *owner, at, None)
        self.jobs.append(next_job)
        self._request(next_job, at)

    def _request(self, job, at):
        job.looks += 1
        due_work.schedule(job.kind, job, at=at, real_time=job.real_time)

    def _job_of(self, row) -> Job:
        id = worker.subject_id(row)
        return next(job for job in self.jobs if job.id == id)


@pytest.mark.hypothesis
@pytest.mark.timeout(3600)
@pytest.mark.django_db
def test_work_is_done_once_in_order_and_on_time(acme, globex, handlers, monkeypatch):
    @given(st.lists(STEPS, min_size=10, max_size=80))
    def run(steps):
        before = transaction.savepoint()
        try:
            with monkeypatch.context() as patch:
                load = Load([acme, globex], handlers, patch)
                for name, *arguments in steps:
                    getattr(load, name)(*arguments)
                load.wait(2 * LEASE_SECONDS)
                load.work()
                while load.held:  # the last workers wake up late
                    load.handle(0)
                load.work()
        finally:
            transaction.savepoint_rollback(before)

    run()

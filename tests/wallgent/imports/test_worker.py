"""The worker: rows one by one, leases, turns, progress."""

from datetime import timedelta

import pytest
from django.db import OperationalError

from accounts.organizations.models import Membership
from links.payment_links.models import PaymentLink
from links.payment_links.services import payment_links
from tests import world
from tests.importing import finish
from tests.links.payment_links.test_link_pages import text_of
from wallgent import clock
from wallgent.imports import tasks, worker
from wallgent.imports.models import ImportFile


class TestRows:
    def test_a_row_that_fails_does_not_stop_the_others(self, order, monkeypatch):
        create = payment_links.create

        def failing(**terms):
            if terms["amount"] == 6:
                raise RuntimeError("a bug")
            return create(**terms)

        monkeypatch.setattr(payment_links, "create", failing)
        file = finish(order("wallet,amount\nResearch agent,6\nResearch agent,7\n"))

        assert [row.status for row in file.rows.order_by("number")] == ["REFUSED", "CREATED"]
        assert "our side" in file.rows.get(number=2).problems[0][1]

    def test_a_busy_database_leaves_the_rows_for_later(self, order, monkeypatch):
        file = order("wallet,amount\nResearch agent,6\n")
        with monkeypatch.context() as patch:
            patch.setattr(payment_links, "create", _busy)
            assert worker.work(file.id) is False
        assert [row.status for row in file.rows.all()] == ["READY"]
        assert worker.available() == [file.id]

        assert finish(file).status == "DONE"

    @pytest.mark.parametrize("lost", ["role", "account"])
    def test_stops_when_the_confirmer_loses_the_permission(self, order, ada, at, acme, lost):
        file = order("wallet,amount\nResearch agent,6\n")
        if lost == "role":
            Membership.objects.filter(user=ada).update(role="VIEWER")
        else:
            type(ada).objects.filter(pk=ada.pk).update(is_active=False)

        finish(file)

        assert file.status == "STOPPED"
        assert not PaymentLink.objects.exists()
        owner = world.browser(world.make_member(acme, "OWNER"))
        assert "may no longer make links" in text_of(owner.get(at(file.id)))


class TestTurns:
    def test_one_worker_has_a_file_until_its_lease_ends(self, order):
        file = order("wallet,amount\nResearch agent,6\n")
        ImportFile.objects.update(leased_at=clock.real_now())

        assert worker.available() == []
        assert worker.work(file.id) is False
        assert not PaymentLink.objects.exists()

        ImportFile.objects.update(leased_at=clock.real_now() - timedelta(seconds=16))
        assert worker.available() == [file.id]
        assert finish(file).status == "DONE"

    def test_the_sweep_queues_a_file_whose_task_was_lost(self, order, monkeypatch):
        file = order("wallet,amount\nResearch agent,6\n")
        queued = []
        monkeypatch.setattr(tasks, "enqueue_on_commit", lambda task, id: queued.append((task, id)))

        tasks.resume_imports()
        tasks.create_objects(file.id)
        tasks.resume_imports()

        assert queued == [(worker.TASK, file.id)]
        assert PaymentLink.objects.count() == 1

    def test_a_large_file_queues_the_next_task_after_its_turn(self, order, monkeypatch):
        file = order("wallet,amount\n" + "Research agent,6\n" * 30)
        monkeypatch.setattr(worker, "WORK_SECONDS", 0)
        queued = []
        monkeypatch.setattr(tasks, "enqueue_on_commit", lambda *call: queued.append(call))

        tasks.create_objects(file.id)

        assert queued == [(worker.TASK, file.id)]

    def test_many_files_take_turns_in_few_places(self, order, monkeypatch):
        confirmed = [order("wallet,amount\n" + "Research agent,6\n" * (60 + n)) for n in range(3)]
        first, second, third = (file.id for file in confirmed)
        monkeypatch.setattr(worker, "WORK_SECONDS", 0)
        queued, turns = [], []
        monkeypatch.setattr(tasks, "enqueue_on_commit", lambda task, id: queued.append(id))

        tasks.resume_imports()
        assert queued == [first, second], "as many as there are places"
        ImportFile.objects.filter(pk__in=queued).update(leased_at=clock.real_now())
        assert worker.work(third) is False, "there is no place for it"
        assert not PaymentLink.objects.exists()

        ImportFile.objects.filter(pk=first).update(leased_at=None)
        for _ in range(4):
            turns.append(worker.available()[0])
            tasks.create_objects(turns[-1])
        assert turns == [first, third, first, third]

    @pytest.mark.django_db(transaction=True)
    def test_concurrent_workers_take_no_more_places_than_there_are(self, order, wallet):
        confirmed = [order("wallet,amount\n" + "Research agent,6\n" * (1 + n)) for n in range(4)]

        taken = world.in_parallel(4, lambda n: worker._lease(confirmed[n].id))

        assert (
            sorted(taken)
            == [False] * (4 - worker.MAX_CONCURRENT_FILES) + [True] * worker.MAX_CONCURRENT_FILES
        )


class TestProgress:
    def test_the_page_polls_until_the_file_is_done(self, order, browser, at):
        file = order("wallet,amount\n" + "Research agent,6\n" * 30)
        worker._process_rows(file.id)
        ImportFile.objects.update(leased_at=None)

        page = browser.get(at(file.id))
        polling = {"HX-Request": "true", "HX-Target": "progress"}
        part = browser.get(at(file.id), headers=polling)

        assert "25 of 30" in text_of(page)
        assert 'hx-trigger="every 2s"' in page.content.decode()
        assert 'href="' + at(file.id) + '">Refresh' in page.content.decode()
        assert 'value="25" max="30"' in part.content.decode()
        assert "What the file says" not in part.content.decode(), "only the progress is replaced"

        finish(file)
        last = browser.get(at(file.id), headers=polling)
        assert "every 2s" not in last.content.decode()
        assert "What the file says" in last.content.decode()
        assert (last.headers["HX-Retarget"], last.headers["HX-Reselect"]) == ("#rows", "#rows")


def _busy(**terms):
    raise OperationalError("lock timeout")

"""The worker: rows one by one, leases, turns, progress."""

from dataclasses import replace

import pytest
from django.db import OperationalError

from accounts.organizations.models import Membership
from links.payment_links.models import PaymentLink
from links.payment_links.services import payment_links
from tests import due, world
from tests.importing import finish, store
from tests.links.payment_links.test_link_pages import text_of
from wallgent.due_work import queue, tasks
from wallgent.due_work import worker as due_worker
from wallgent.due_work.models import DueWork
from wallgent.imports import worker
from wallgent.imports.files import confirm
from wallgent.imports.models import ImportFile, ImportRow


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
            assert due_worker.work() == 1
        assert [row.status for row in file.rows.all()] == ["READY"]
        waiting = due.row_of(file.id)
        assert (waiting.failures, waiting.error) == (1, "SERVICE_UNAVAILABLE")

        assert finish(file).status == "DONE"

    def test_a_row_that_ends_its_workers_is_refused_at_last(self, order):
        file = order("wallet,amount\nResearch agent,6\nResearch agent,7\n")
        DueWork.objects.update(failures=worker.LAPSES_LIMIT, error=queue.LAPSED)

        finish(file)

        assert [row.status for row in file.rows.order_by("number")] == ["REFUSED", "CREATED"]
        assert file.status == "DONE"

    def test_a_file_that_is_gone_leaves_nothing_to_do(self, order):
        file = order("wallet,amount\nResearch agent,6\n")
        ImportFile.objects.all().delete()

        due_worker.work()

        assert due.row_of(file.id) is None

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
        order("wallet,amount\nResearch agent,6\n")
        assert len(queue.take(worker.DUE_WORK)) == 1

        assert due_worker.work() == 0
        assert not PaymentLink.objects.exists()

        due.lapse_leases()
        assert due_worker.work() == 1
        assert PaymentLink.objects.count() == 1

    def test_a_confirmed_file_waits_for_the_sweep_until_it_is_finished(self, order):
        file = order("wallet,amount\nResearch agent,6\n")
        assert due.row_of(file.id).clock == "REAL"

        assert [tasks.do_due_work(), tasks.do_due_work()] == [1, 0]

        file.refresh_from_db()
        assert (file.status, due.row_of(file.id)) == ("DONE", None)
        assert PaymentLink.objects.count() == 1

    def test_a_turn_creates_few_objects(self, order):
        order("wallet,amount\n" + "Research agent,6\n" * (worker.ROWS_AT_A_TIME + 5))

        due.take_turn()
        assert PaymentLink.objects.count() == worker.ROWS_AT_A_TIME
        due.take_turn()
        assert PaymentLink.objects.count() == worker.ROWS_AT_A_TIME + 5
        assert due.take_turn() == []

    def test_a_turn_ends_before_its_lease(self, order, monkeypatch):
        order("wallet,amount\n" + "Research agent,6\n" * 5)
        [row] = queue.take()
        create = payment_links.create

        def slow(**terms):
            monkeypatch.setattr(worker.clock, "real_now", lambda: row.handle_by)
            return create(**terms)

        monkeypatch.setattr(payment_links, "create", slow)
        due_worker.handle([row])

        assert PaymentLink.objects.count() == 1
        assert due.row_of(due_worker.subject_id(row)).leased_until is None

    def test_files_of_an_organization_take_turns(self, order, monkeypatch):
        monkeypatch.setattr(worker, "ROWS_AT_A_TIME", 2)
        files = [order("wallet,amount\n" + "Research agent,6\n" * (6 + n)) for n in range(3)]

        turns = [id for _ in range(6) for id in due.take_turn()]

        assert turns == [file.id for file in files] * 2

    def test_a_large_file_does_not_delay_another_organization(
        self, order, acme, globex, monkeypatch
    ):
        monkeypatch.setattr(worker, "ROWS_AT_A_TIME", 2)
        order("wallet,amount\n" + "Research agent,6\n" * 50)
        world.make_wallet(globex, "Shop")
        actor = replace(world.actor_for(globex), type="USER", id=world.make_member(globex).id)
        other = confirm(store(actor, "wallet,amount\nShop,6\n"), actor=actor)

        turns = [id for _ in range(2) for id in due.take_turn()]

        assert other.id in turns

    @pytest.mark.django_db(transaction=True)
    def test_concurrent_workers_create_each_row_once(self, order, wallet, monkeypatch):
        monkeypatch.setattr(worker, "ROWS_AT_A_TIME", 2)
        for number in range(4):
            order("wallet,amount\n" + "Research agent,6\n" * (5 + number))

        world.in_parallel(4, lambda n: due_worker.work(worker.DUE_WORK))

        assert PaymentLink.objects.count() == 5 + 6 + 7 + 8
        assert set(ImportRow.objects.values_list("status", flat=True)) == {"CREATED"}


class TestProgress:
    def test_the_page_polls_until_the_file_is_done(self, order, browser, at):
        file = order("wallet,amount\n" + "Research agent,6\n" * 30)
        due.take_turn(worker.DUE_WORK)

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

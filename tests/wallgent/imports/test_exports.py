"""Exports: long CSV files are prepared by a worker, few at a time."""

import gzip
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from tests import due, world
from tests.importing import finish, store
from wallgent import clock, ids
from wallgent.due_work import queue
from wallgent.due_work import worker as due_worker
from wallgent.http import long_requests
from wallgent.imports import exports, files, results, tasks, worker
from wallgent.imports.models import ImportExport, ImportExportPart, ImportFile

ROWS = 7


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(exports, "SHORT_ROWS", 3)
    monkeypatch.setattr(results, "ROWS_AT_A_TIME", 3)


@pytest.fixture
def upload(acme, wallet):
    """Upload a file of links without a page; the file."""

    def upload(rows=ROWS, organization=acme, name="Research agent"):
        text = "wallet,amount\n" + f"{name},5\n" * rows
        return store(world.actor_for(organization), text)

    return upload


@pytest.fixture
def file(upload):
    return upload()


@pytest.fixture
def order(acme, upload):
    """Upload a file and create its links; the file."""

    def order(text):
        actor = replace(world.actor_for(acme), type="USER", id=world.make_member(acme).id)
        file = store(actor, text)
        files.confirm(file, actor=actor)
        return finish(file)

    return order


def page_of(file) -> str:
    return f"/{file.organization_id}/sandbox/payment-links/bulk/{file.id}"


def download(browser, file, variant="csv", **options):
    return browser.get(page_of(file), {"download": variant}, **options)


def wait(browser, file, **headers):
    return browser.get(page_of(file), {"preparing": "csv"}, headers=headers)


def request(file) -> ImportExport:
    actor = world.actor_for(file.organization)
    return exports.request(file, variant="csv", actor=actor)


def text_of(file) -> bytes:
    actor = world.actor_for(file.organization)
    return "".join(results.csv_parts(file, actor=actor)).encode()


def later(monkeypatch, **duration):
    now = timezone.now() + timedelta(**duration)
    monkeypatch.setattr(clock, "real_now", lambda: now)


class TestDownload:
    def test_a_long_file_is_prepared_by_a_worker(self, browser, file, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(results, "csv_parts", None)  # reading rows in the request fails

            answer = download(browser, file)
            waiting = wait(browser, file).content.decode()

        assert (answer.status_code, answer.url) == (302, f"{page_of(file)}?preparing=csv")
        assert "Preparing your file" in waiting
        assert "0 of 7 rows" in waiting

    def test_a_prepared_file_is_served_whole(self, browser, file):
        download(browser, file)
        due.work(exports.DUE_WORK)

        assert "Your file is ready" in wait(browser, file).content.decode()
        answer = download(browser, file)
        packed = download(browser, file, headers={"accept-encoding": "gzip, br"})

        assert not answer.streaming
        assert answer.content == text_of(file)
        assert answer.headers["Content-Length"] == str(len(answer.content))
        assert f'filename="{file.id}.csv"' in answer.headers["Content-Disposition"]
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.content) == text_of(file)
        assert ImportExportPart.objects.count() > 2

    def test_a_short_file_is_served_at_once(self, browser, upload):
        short = upload(3)

        answer = download(browser, short)

        assert not answer.streaming
        assert answer.content == text_of(short)
        assert not ImportExport.objects.exists()

    def test_left_out_rows_are_an_export_of_their_own(self, browser, file):
        assert download(browser, file, "left-out").url.endswith("?preparing=left-out")
        due.work(exports.DUE_WORK)

        answer = download(browser, file, "left-out")

        assert answer.content.startswith("\ufeffwallet,amount,problem\r\n".encode())
        assert answer.content.count(b"\r\n") == ROWS + 1
        assert f'filename="{file.id}-left-out.csv"' in answer.headers["Content-Disposition"]

    def test_the_waiting_page_needs_no_script_and_polls_only_its_panel(self, browser, file):
        download(browser, file)

        page = wait(browser, file).content.decode()
        part = wait(browser, file, **{"hx-request": "true", "hx-target": "export"})

        assert '<noscript><meta http-equiv="refresh"' in page
        assert part.content.decode().lstrip().startswith('<section class="panel grid gap-3"')
        assert "every 2s" in part.content.decode()

    def test_only_members_with_the_permission_download_it(self, acme, globex, browser, file):
        download(browser, file)
        due.work(exports.DUE_WORK)
        viewer = world.browser(world.make_member(acme, "VIEWER"))
        stranger = world.browser(world.make_member(globex))

        for answer, status in ((viewer, 403), (stranger, 404)):
            assert download(answer, file).status_code == status
            assert wait(answer, file).status_code == status

    def test_it_has_secrets_only_for_readers_with_the_permission(self, acme, wallet, order):
        world.fund(wallet, "50")
        file = order("wallet,amount,direction\n" + "Research agent,5,SEND\n" * ROWS)
        payer = world.actor_for(acme)
        reader = world.actor_for(acme, permissions=frozenset(["payments:read"]))

        def prepared_for(actor) -> bytes:
            export = exports.request(file, variant="csv", actor=actor)
            due.work(exports.DUE_WORK)
            export = exports.find(file, variant="csv", actor=actor)
            return exports.uncompressed(exports.content(export))

        assert prepared_for(payer).count(b"/pay/") == ROWS
        assert prepared_for(reader).count(b"/pay/") == 0
        assert prepared_for(payer).count(b"/pay/") == ROWS


class TestRequest:
    def test_two_requests_prepare_one_export(self, browser, file):
        download(browser, file)
        download(browser, file)

        assert ImportExport.objects.count() == 1

    def test_an_organization_has_two_pending_exports(self, browser, upload, globex):
        for _ in range(2):
            assert download(browser, upload()).status_code == 302
        refused = download(browser, upload())

        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
        assert "2 files of your organization are being prepared" in refused.content.decode()
        world.make_wallet(globex, "Shop")
        other = upload(organization=globex, name="Shop")
        assert download(world.browser(world.make_member(globex)), other).status_code == 302

    def test_an_outdated_export_is_prepared_again(self, browser, file):
        download(browser, file)
        due.work(exports.DUE_WORK)
        assert download(browser, file).status_code == 200
        now = clock.real_now()
        done = {"status": "DONE", "confirmed_at": now, "finished_at": now}
        ImportFile.objects.filter(pk=file.pk).update(**done)

        assert download(browser, file).status_code == 302
        assert ImportExport.objects.get().status == "PENDING"

    def test_an_export_is_kept_for_a_day(self, browser, file, monkeypatch):
        download(browser, file)
        due.work(exports.DUE_WORK)
        later(monkeypatch, hours=23)
        assert exports.delete_expired() == 0
        later(monkeypatch, hours=25)

        assert tasks.delete_expired_files() > 0
        assert not ImportExport.objects.exists()
        assert not ImportExportPart.objects.exists()

    def test_few_exports_of_an_organization_are_kept(self, browser, upload, monkeypatch):
        monkeypatch.setattr(exports, "KEPT_LIMIT", 2)
        for _ in range(4):
            download(browser, upload())
            due.work(exports.DUE_WORK)

        assert ImportExport.objects.count() == 2


class TestWorker:
    @pytest.fixture
    def export(self, browser, file):
        download(browser, file)
        return ImportExport.objects.get()

    def test_an_export_whose_worker_died_is_prepared_by_the_next(self, export, file, browser):
        due.take_turn()
        due.take_turn()
        [died] = queue.take()
        assert due_worker.work() == 0  # while it may still be alive
        assert ImportExport.objects.get().status == "PENDING"

        due.lapse_leases()
        due.take_turn()
        exports.prepare_part([died])  # late: it may write a part, and takes no turn
        due_worker.work()

        assert download(browser, file).content == text_of(file)

    @pytest.mark.django_db(transaction=True)
    def test_two_workers_write_each_part_once(self, export, file, browser):
        """Also when the lease of one lapsed while it was at work."""
        rows = queue.take()

        world.in_parallel(4, lambda n: [exports.prepare_part(rows) for _ in range(3)])
        due.work()

        assert download(browser, file).content == text_of(file)

    def test_the_page_says_that_an_export_failed(self, export, file, browser, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(results, "_line", None)
            while due.work(exports.DUE_WORK):
                pass

        assert "could not be prepared" in wait(browser, file).content.decode()
        assert download(browser, file).status_code == 302
        assert ImportExport.objects.get().status == "PENDING"

    def test_an_export_fails_after_its_last_attempt(self, export):
        """Each worker that tried was killed."""
        for _ in range(exports.ATTEMPTS_LIMIT):
            if not queue.take():  # from the second time on it waits a little
                due.end_pauses()
                queue.take()
            due.lapse_leases()
        assert ImportExport.objects.get().status == "PENDING"

        due_worker.work()
        due.end_pauses()
        due_worker.work()

        assert ImportExport.objects.get().status == "FAILED"
        assert due.row_of(export.id) is None

    def test_a_temporary_failure_does_not_end_it(self, export, file, browser, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(results, "_line", None)
            due.work()
        due.work()
        assert download(browser, file).content == text_of(file)

    def test_a_deleted_export_leaves_nothing_to_do(self, export):
        ImportExport.objects.all().delete()
        due_worker.work()
        assert due.row_of(export.id) is None

    def test_exports_and_imports_take_turns(self, export, acme, upload, monkeypatch):
        """Each writes a part, or creates a few objects, and then the next has its turn."""
        second, imported = request(upload()), upload()
        actor = replace(world.actor_for(acme), type="USER", id=world.make_member(acme).id)
        monkeypatch.setattr(worker, "ROWS_AT_A_TIME", 2)
        files.confirm(imported, actor=actor)

        turns = [id for _ in range(6) for id in due.take_turn()]

        assert turns == [export.id, second.id, imported.id] * 2


class TestPlace:
    @pytest.fixture
    def actor(self, acme):
        return world.actor_for(acme)

    @pytest.mark.parametrize("what", ["download", "upload"])
    def test_pages_without_a_place_say_when_to_retry(self, actor, browser, file, monkeypatch, what):
        monkeypatch.setattr(long_requests, "_places", threading.BoundedSemaphore(10))
        before = ImportFile.objects.count()
        with long_requests.place(actor), long_requests.place(actor):
            if what == "download":
                answer = download(browser, file)
            else:
                content = SimpleUploadedFile("links.csv", b"wallet,amount\nx,5\n")
                fields = {"submission": ids.new("sub"), "file": content}
                answer = browser.post(page_of(file).rpartition("/")[0], fields)

        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")
        assert "Your organization sends or downloads 2 files already" in answer.content.decode()
        assert (ImportFile.objects.count(), ImportExport.objects.count()) == (before, 0)

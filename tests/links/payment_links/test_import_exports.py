"""Long CSV files: a worker prepares them, few at a time, and no request waits for them."""

import gzip
import threading
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from links.payment_links import tasks
from links.payment_links.models import BatchExport, BatchExportPart, LinkBatch
from links.payment_links.services import import_exports, import_uploads, imports
from tests import world
from wallgent import clock, ids
from wallgent.http import long_requests

ROWS = 7


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(import_exports, "SHORT_ROWS", 3)
    monkeypatch.setattr(imports, "EXPORT_ROWS", 3)


@pytest.fixture
def upload(acme, wallet):
    """Keep a file of links, as its page does; the batch."""

    def upload(rows=ROWS, organization=acme, name="Research agent"):
        actor = world.actor_for(organization)
        text = "wallet,amount\n" + f"{name},5\n" * rows
        reading = import_uploads.read(text.encode(), actor=actor, zone=UTC)
        return import_uploads.keep(reading, actor=actor, file_name="links.csv")

    return upload


@pytest.fixture
def batch(upload):
    return upload()


@pytest.fixture
def browser(acme):
    return world.browser(world.make_member(acme, "MEMBER"))


@pytest.fixture
def order(acme, upload):
    """Keep a file and make its links; the batch."""

    def order(text):
        actor = replace(world.actor_for(acme), type="USER", id=world.make_member(acme).id)
        reading = import_uploads.read(text.encode(), actor=actor, zone=UTC)
        batch = import_uploads.keep(reading, actor=actor, file_name="links.csv")
        imports.confirm(batch, actor=actor)
        while imports.work(batch.id):
            pass
        batch.refresh_from_db()
        return batch

    return order


def page_of(batch) -> str:
    return f"/{batch.organization_id}/sandbox/payment-links/bulk/{batch.id}"


def ask(browser, batch, variant="csv", **options):
    return browser.get(page_of(batch), {"download": variant}, **options)


def wait(browser, batch, **headers):
    return browser.get(page_of(batch), {"preparing": "csv"}, headers=headers)


def text_of(batch) -> bytes:
    actor = world.actor_for(batch.organization)
    return "".join(imports.exported(batch, actor=actor)).encode()


def later(monkeypatch, **duration):
    now = timezone.now() + timedelta(**duration)
    monkeypatch.setattr(clock, "real_now", lambda: now)


class TestDownloading:
    def test_a_long_file_is_left_to_a_worker(self, browser, batch, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(imports, "exported", None)  # whoever reads the rows now fails

            answer = ask(browser, batch)
            waiting = wait(browser, batch).content.decode()

        assert (answer.status_code, answer.url) == (302, f"{page_of(batch)}?preparing=csv")
        assert "Preparing your file" in waiting
        assert "0 of 7 rows" in waiting

    def test_then_it_is_served_whole(self, browser, batch):
        ask(browser, batch)
        tasks.prepare_export(BatchExport.objects.get().id)

        assert "Your file is ready" in wait(browser, batch).content.decode()
        answer = ask(browser, batch)
        packed = ask(browser, batch, headers={"accept-encoding": "gzip, br"})

        assert not answer.streaming
        assert answer.content == text_of(batch)
        assert answer.headers["Content-Length"] == str(len(answer.content))
        assert f'filename="{batch.id}.csv"' in answer.headers["Content-Disposition"]
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.content) == text_of(batch)
        assert BatchExportPart.objects.count() > 2

    def test_a_short_file_is_served_at_once(self, browser, upload):
        short = upload(3)

        answer = ask(browser, short)

        assert not answer.streaming
        assert answer.content == text_of(short)
        assert not BatchExport.objects.exists()

    def test_rows_that_became_no_link_are_a_file_of_their_own(self, browser, batch):
        assert ask(browser, batch, "left-out").url.endswith("?preparing=left-out")
        tasks.prepare_export(BatchExport.objects.get().id)

        answer = ask(browser, batch, "left-out")

        assert answer.content.startswith("\ufeffwallet,amount,problem\r\n".encode())
        assert answer.content.count(b"\r\n") == ROWS + 1
        assert f'filename="{batch.id}-left-out.csv"' in answer.headers["Content-Disposition"]

    def test_waiting_needs_no_script_and_a_script_asks_for_the_part_that_changes(
        self, browser, batch
    ):
        ask(browser, batch)

        page = wait(browser, batch).content.decode()
        part = wait(browser, batch, **{"hx-request": "true", "hx-target": "export"})

        assert '<noscript><meta http-equiv="refresh"' in page
        assert part.content.decode().lstrip().startswith('<section class="panel grid gap-3"')
        assert "every 2s" in part.content.decode()

    def test_only_members_who_may_see_the_links_get_it(self, acme, globex, browser, batch):
        ask(browser, batch)
        tasks.prepare_export(BatchExport.objects.get().id)
        viewer = world.browser(world.make_member(acme, "VIEWER"))
        stranger = world.browser(world.make_member(globex))

        for answer, status in ((viewer, 403), (stranger, 404)):
            assert ask(answer, batch).status_code == status
            assert wait(answer, batch).status_code == status

    def test_it_shows_the_addresses_of_links_to_those_who_may_pay(self, acme, wallet, order):
        world.fund(wallet, "50")
        batch = order("wallet,amount,direction\n" + "Research agent,5,SEND\n" * ROWS)
        payer = world.actor_for(acme)
        reader = world.actor_for(acme, permissions=frozenset(["payments:read"]))

        def prepared_for(actor) -> bytes:
            export = import_exports.request(batch, variant="csv", actor=actor)
            import_exports.prepare(export.id)
            export = import_exports.find(batch, variant="csv", actor=actor)
            return import_exports.plain(import_exports.content(export))

        assert prepared_for(payer).count(b"/pay/") == ROWS
        assert prepared_for(reader).count(b"/pay/") == 0
        assert prepared_for(payer).count(b"/pay/") == ROWS


class TestRequests:
    def test_asking_twice_prepares_one(self, browser, batch):
        ask(browser, batch)
        ask(browser, batch)

        assert BatchExport.objects.count() == 1

    def test_two_at_a_time_for_an_organization(self, browser, upload, globex):
        for _ in range(2):
            assert ask(browser, upload()).status_code == 302
        refused = ask(browser, upload())

        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
        assert "2 files of your organization are being prepared" in refused.content.decode()
        world.make_wallet(globex, "Shop")
        other = upload(organization=globex, name="Shop")
        assert ask(world.browser(world.make_member(globex)), other).status_code == 302

    def test_a_file_that_is_out_of_date_is_prepared_anew(self, browser, batch):
        ask(browser, batch)
        tasks.prepare_export(BatchExport.objects.get().id)
        assert ask(browser, batch).status_code == 200
        now = clock.real_now()
        done = {"status": "DONE", "confirmed_at": now, "finished_at": now}
        LinkBatch.objects.filter(pk=batch.pk).update(**done)

        assert ask(browser, batch).status_code == 302
        assert BatchExport.objects.get().status == "PENDING"

    def test_a_file_is_kept_for_a_day(self, browser, batch, monkeypatch):
        ask(browser, batch)
        tasks.prepare_export(BatchExport.objects.get().id)
        later(monkeypatch, hours=23)
        assert import_exports.forget_expired() == 0
        later(monkeypatch, hours=25)

        assert tasks.forget_files() > 0
        assert not BatchExport.objects.exists()
        assert not BatchExportPart.objects.exists()

    def test_an_organization_has_few_files_kept(self, browser, upload, monkeypatch):
        monkeypatch.setattr(import_exports, "KEPT_LIMIT", 2)
        for _ in range(4):
            ask(browser, batch := upload())
            tasks.prepare_export(batch.exports.get().id)

        assert BatchExport.objects.count() == 2


class TestWorker:
    @pytest.fixture
    def export(self, browser, batch):
        ask(browser, batch)
        return BatchExport.objects.get()

    def test_who_dies_leaves_it_to_the_next(self, export, batch, browser, monkeypatch):
        died = import_exports._take(export.id)
        import_exports._keep(died, 0, b"half a file")
        import_exports.prepare(export.id)  # while it may still be alive
        export.refresh_from_db()
        assert export.status == "PENDING"
        later(monkeypatch, seconds=16)
        assert import_exports.available() == [export.id]

        import_exports.prepare(export.id)

        assert not import_exports._keep(died, 1, b"the rest")
        assert ask(browser, batch).content == text_of(batch)

    def test_a_file_that_cannot_be_prepared_says_so(self, export, batch, browser, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(imports, "_line", None)
            import_exports.prepare(export.id)

        assert "could not be prepared" in wait(browser, batch).content.decode()
        assert ask(browser, batch).status_code == 302
        assert BatchExport.objects.get().status == "PENDING"

    def test_one_that_workers_die_of_is_given_up(self, export, monkeypatch):
        for attempt in range(import_exports.ATTEMPTS_LIMIT + 1):
            later(monkeypatch, minutes=attempt)
            import_exports._take(export.id)

        export.refresh_from_db()
        assert export.status == "FAILED"

    def test_one_is_prepared_at_a_time(self, export, browser, upload):
        second = upload()
        ask(browser, second)
        import_exports._take(export.id)

        import_exports.prepare(second.exports.get().id)

        assert second.exports.get().status == "PENDING"

    def test_links_and_files_share_the_places_and_a_waiting_file_is_next(self, export, upload):
        now = clock.real_now()
        made = [upload(), upload()]
        for batch in made:
            batch.advance("CREATING")
            batch.confirmed_at = now
            batch.save()

        assert imports._take(made[0].id)
        assert not imports._take(made[1].id)
        import_exports.prepare(export.id)
        export.refresh_from_db()
        assert export.status == "READY"
        assert imports._take(made[1].id)


class TestPlaces:
    @pytest.fixture
    def actor(self, acme):
        return world.actor_for(acme)

    def test_an_organization_has_two(self, actor, globex, monkeypatch):
        monkeypatch.setattr(long_requests, "_places", threading.BoundedSemaphore(10))
        with ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(long_requests.place(actor))
            with pytest.raises(long_requests.RateLimitExceeded), long_requests.place(actor):
                pass
            stack.enter_context(long_requests.place(world.actor_for(globex)))
        with long_requests.place(actor):
            pass

    def test_all_together_have_half_the_threads(self, actor, globex, settings, monkeypatch):
        assert long_requests._places._initial_value == settings.WEB_THREADS // 2
        monkeypatch.setattr(long_requests, "_places", threading.BoundedSemaphore(1))

        with (
            long_requests.place(actor),
            pytest.raises(long_requests.ServiceUnavailable) as caught,
            long_requests.place(world.actor_for(globex)),
        ):
            pass

        assert caught.value.headers == {"Retry-After": "5"}

    def test_a_place_of_a_server_that_died_is_free_again(self, actor, monkeypatch):
        redis = long_requests.redis.client()
        redis.zadd(f"long:{actor.organization.id}", {"a": 1, "b": 2})

        with long_requests.place(actor):
            pass

    def test_without_redis_an_organization_is_not_counted(self, actor, monkeypatch):
        monkeypatch.setattr(long_requests.redis, "attempt", lambda call, default=None: default)
        monkeypatch.setattr(long_requests, "_places", threading.BoundedSemaphore(4))

        with ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(long_requests.place(actor))

    @pytest.mark.parametrize("what", ["download", "upload"])
    def test_pages_say_when_to_try_again(self, actor, browser, batch, monkeypatch, what):
        monkeypatch.setattr(long_requests, "_places", threading.BoundedSemaphore(10))
        before = LinkBatch.objects.count()
        with long_requests.place(actor), long_requests.place(actor):
            if what == "download":
                answer = ask(browser, batch)
            else:
                file = SimpleUploadedFile("links.csv", b"wallet,amount\nx,5\n")
                fields = {"submission": ids.new("sub"), "file": file}
                answer = browser.post(page_of(batch).rpartition("/")[0], fields)

        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")
        assert "Your organization sends or downloads 2 files already" in answer.content.decode()
        assert (LinkBatch.objects.count(), BatchExport.objects.count()) == (before, 0)

"""Uploads: files refused with what to do about them, limits, speed."""

import time
from contextlib import suppress

import pytest

from tests import world
from tests.importing import HEAD, refusal_of, store
from tests.links.payment_links.test_link_pages import text_of
from wallgent import clock, ids
from wallgent.errors import RateLimitExceeded
from wallgent.imports import files, uploads
from wallgent.imports.models import ImportFile


class TestUpload:
    @pytest.mark.parametrize(
        ("content", "word"),
        [
            (b"", "empty"),
            (b"\n \n", "empty"),
            (b"\xef\xbb\xbf", "empty"),
            (b"wallet,amount\n", "no row below"),
            (b"wallet,amount\n,\n", "no row below"),
            ("wallet,amount,description\nx,5,Grüße".encode("latin-1"), "not in UTF-8"),
            ("wallet,amount\nx,5".encode("utf-16-le"), "not text"),
            ("wallet,amount\nx,5".encode("utf-32"), "not in UTF-8"),
            (b"\xff\xfe\x00\xd8", "not in UTF-8"),
            (b"PK\x03\x04\0\0\0\0", "not text"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not text"),
            (b"wallet,amount\n" + b"x" * 5000 + b"\0,5\n", "not text"),
            (b'wallet,amount\n"x,5\n', "quotation marks"),
            (b'wallet,amount\n"x"y,5\n', "quotation marks"),
            (b"wallet,amount\n" + b"x" * 140_000 + b",5\n", "cannot be read|CSV file we can read"),
            (b"wallet\nx\n", "column “amount” is missing"),
            (b"amount\n5\n", "column “wallet” is missing"),
            (b"wallet,amount,Amount\nx,5,6\n", "there twice"),
            (b"wallet,amount,colour\nx,5,red\n", "no column “colour”"),
            (b"wallet,amount,metadata.\nx,5,red\n", "no column “metadata.”"),
            (b"<html>\n<body>\n", "no column “<html>”"),
            (b"wallet,,amount\nx,,5\n", "has no name"),
            (b"wallet,amount" + b",metadata.a" * 61 + b"\nx,5\n", "more than 60"),
            (b"wallet,amount\n" + b"x,5\n" * 50_001, "more than 50,000 rows"),
            (b"wallet,amount\n" + b"x" * (5 * 1024 * 1024), "larger than 5 MB"),
        ],
        ids=range(25),
    )
    def test_a_wrong_file_is_refused_with_what_to_do(self, send, content, word):
        error = refusal_of(send(content))

        assert any(one in error for one in word.split("|")), error

    def test_a_file_is_required(self, browser, at):
        error = refusal_of(browser.post(at(), {"submission": ids.new("sub")}))

        assert error == "Choose a file."

    def test_the_page_explains_an_upload_that_was_not_received(self, browser, at):
        assert "larger than 5 MB" in text_of(browser.get(at(), {"too-large": "1"}))
        assert "Send yours again" in text_of(browser.get(at(), {"busy": "1"}))

    def test_files_per_hour_are_limited(self, send, monkeypatch):
        monkeypatch.setattr(uploads, "FILES_PER_HOUR", 1)
        assert send("wallet,amount\nx,5\n").status_code == 302

        answer = send("wallet,amount\nx,5\n")

        assert answer.status_code == 422
        assert "a little later" in text_of(answer)

    @pytest.mark.django_db(transaction=True)
    def test_concurrent_uploads_do_not_exceed_the_limit(self, acme, wallet, monkeypatch):
        monkeypatch.setattr(uploads, "FILES_PER_HOUR", 2)
        actor = world.actor_for(acme)

        def upload(number):
            content = b"wallet,amount\nResearch agent,5\n"
            with suppress(RateLimitExceeded):
                store(actor, content)

        world.in_parallel(8, upload)

        assert ImportFile.objects.count() == 2

    def test_fifty_thousand_rows_are_read_quickly(self, acme, wallet):
        expiry = f"{clock.real_now().year + 1}-01-01"
        line = f"SEND,{wallet.id},25.00,USD,Prize,ada@example.com,{expiry},1,A-1\n"
        content = f"{HEAD}\n{line * 50_000}".encode()
        started = time.process_time()

        file = store(world.actor_for(acme), content)

        assert time.process_time() - started < 10  # of this process: the machine may be busy
        assert files.counts(file)["READY"] == 50_000
        (total,) = file.summary
        assert (total["count"], total["total"]) == (50_000, "1250000.00")

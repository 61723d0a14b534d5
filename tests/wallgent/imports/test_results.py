"""Results as CSV: the whole file, and the rows that were left out."""

import csv
import io

from tests import world
from tests.importing import finish
from wallgent import clock
from wallgent.imports import files, results
from wallgent.imports.models import ImportFile


class TestDownload:
    def test_left_out_rows_are_corrected_and_uploaded_again(self, order, send, browser, at, wallet):
        world.fund(wallet, "5")
        file = finish(
            order(
                "direction,wallet,amount\nSEND,Research agent,5\n"
                "SEND,Research agent,6\nSEND,Research agent,x\n"
            )
        )
        assert "download=left-out" in browser.get(at(file.id)).content.decode()
        ImportFile.objects.update(status="CREATING", finished_at=None)
        file.rows.filter(number=3).update(status="READY")
        file.refresh_from_db()
        actor = world.actor_for(wallet.organization)
        rows = results.csv_parts(file, actor=actor, left_out=True)
        assert "Research agent,6" not in "".join(rows)
        ImportFile.objects.update(status="DONE", finished_at=clock.real_now())
        file.rows.filter(number=3).update(status="REFUSED")

        answer = browser.get(at(file.id), {"download": "left-out"})
        text = answer.content.decode("utf-8-sig")

        refused, wrong = csv.DictReader(io.StringIO(text))
        assert (refused["amount"], wrong["amount"]) == ("6", "x")
        assert refused["problem"] == ""
        assert wrong["problem"].startswith("amount: Write an amount")
        assert send(text.replace("agent,x", "agent,7")).status_code == 302
        again = ImportFile.objects.latest("pk")
        assert files.counts(again) == files.counts(again) | {"ALL": 2, "READY": 2}
        twice = browser.get(at(again.id), {"download": "left-out"})
        assert twice.content.count(b"problem") == 1

    def test_has_no_formula(self, send, browser, at):
        send('metadata.=x,wallet,amount,description\n@a,Research agent,-5,"=1+1"\n')

        answer = browser.get(at(ImportFile.objects.get().id), {"download": "csv"})

        text = answer.content.decode("utf-8-sig")
        for line in csv.reader(io.StringIO(text, newline="")):
            assert not [cell for cell in line if cell.startswith(("=", "+", "-", "@"))]
        assert "'=1+1" in text

    def test_is_read_in_parts_and_complete(self, read, monkeypatch, acme):
        monkeypatch.setattr(results, "ROWS_AT_A_TIME", 3)
        read("wallet,amount\n" + "Research agent,5\n" * 10)

        text = "".join(results.csv_parts(ImportFile.objects.get(), actor=world.actor_for(acme)))

        assert len(text.splitlines()) == 11

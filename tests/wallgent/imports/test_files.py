"""Uploaded files: preview, who may see them, confirmation, deletion."""

from datetime import timedelta

import pytest

from links.payment_links.models import PaymentLink
from tests import world
from tests.importing import finish
from tests.links.payment_links.test_link_pages import text_of
from wallgent import clock, ids
from wallgent.errors import InvalidState
from wallgent.imports import files, tasks
from wallgent.imports.models import ImportFile, ImportRow


class TestPreview:
    def test_each_row_has_its_number_and_what_to_do(self, send, browser, at):
        send("wallet,amount,description\nResearch agent,5,Prize\nResearch agent,x,Rent\n")

        text = text_of(browser.get(at(ImportFile.objects.get().id)))

        assert "1 of 2 rows has errors and will be left out" in text
        assert "3 Has errors amount : Write an amount above zero" in text
        assert "Prize" in text
        assert "Rent" in text

    def test_every_file_is_listed(self, send, browser, at):
        for number in range(26):
            assert send("wallet,amount\nx,5\n", name=f"file {number:02}.csv").status_code == 302

        pages = [text_of(browser.get(at(), {"page": page})) for page in "12"]

        assert "file 25.csv" in pages[0]
        assert "file 00.csv" not in pages[0]
        assert "file 00.csv" in pages[1]

    def test_rows_are_filtered_by_status(self, send, browser, at):
        send("wallet,amount,description\nResearch agent,5,Prize\nResearch agent,x,Rent\n")

        text = text_of(browser.get(at(ImportFile.objects.get().id), {"status": "WRONG"}))

        assert "Rent" in text
        assert "Prize" not in text

    def test_formulas_are_shown_as_text(self, send, browser, at):
        formula = '=HYPERLINK("http://evil.example")'
        quoted = formula.replace('"', '""')
        send(f'wallet,amount,description\nResearch agent,5,"{quoted}"\n')

        page = browser.get(at(ImportFile.objects.get().id))

        assert f"{formula} (kept as text)" in text_of(page)
        assert 'href="http://evil' not in page.content.decode()

    def test_a_file_without_a_good_row_cannot_be_confirmed(self, send, browser, at):
        send("wallet,amount\nx,y\n")
        file = ImportFile.objects.get()

        assert "No row can become a link" in text_of(browser.get(at(file.id)))
        answer = browser.post(at(file.id), {"submission": ids.new("sub")})
        assert answer.status_code == 422
        assert "Correct it" in text_of(answer)

    def test_only_its_organization_environment_and_roles_see_a_file(self, send, acme, globex, at):
        send("wallet,amount\nResearch agent,5\n")
        file = ImportFile.objects.get()
        viewer = world.browser(world.make_member(acme, "VIEWER"))
        owner = world.browser(world.make_member(acme, "OWNER"))
        stranger = world.browser(world.make_member(globex, "OWNER"))

        assert viewer.get(at(file.id)).status_code == 403
        assert viewer.get(at(file.id), {"download": "csv"}).status_code == 403
        assert owner.get(at(file.id)).status_code == 200
        assert owner.get(at(file.id, environment="production")).status_code == 404
        assert stranger.get(at(file.id)).status_code == 404
        foreign = at(file.id).replace(acme.id, globex.id)
        assert stranger.get(foreign).status_code == 404
        assert stranger.post(foreign, {"submission": ids.new("sub")}).status_code == 404
        file.refresh_from_db()
        assert file.status == "DRAFT"


class TestConfirm:
    def test_a_file_that_was_used_before_is_warned_of(self, order, send, browser, at):
        text = "wallet,amount\nResearch agent,5\n"
        order(text)
        send(text)

        again = ImportFile.objects.latest("pk")

        assert "made from this very file before" in text_of(browser.get(at(again.id)))

    def test_the_same_file_in_two_tabs_is_confirmed_twice_only_after_a_warning(
        self, send, browser, at
    ):
        for _ in "12":
            send("wallet,amount\nResearch agent,5\n")
        first, second = ImportFile.objects.order_by("pk")
        both = [at(file.id) for file in (first, second)]
        assert "very file before" not in "".join(text_of(browser.get(path)) for path in both)

        answers = [browser.post(path, {"submission": ids.new("sub")}) for path in both]

        assert [answer.status_code for answer in answers] == [303, 422]
        assert "made from this very file meanwhile" in text_of(answers[1])
        assert f'name="warned_of" value="{first.id}"' in answers[1].content.decode()
        fields = {"submission": ids.new("sub"), "warned_of": first.id}
        assert browser.post(both[1], fields).status_code == 303

    @pytest.mark.django_db(transaction=True)
    def test_the_same_file_confirmed_in_two_tabs_at_once_is_confirmed_once(
        self, read, acme, wallet
    ):
        read("wallet,amount\nResearch agent,5\n")
        read("wallet,amount\nResearch agent,5\n")
        both = list(ImportFile.objects.order_by("pk"))
        actor = world.actor_for(acme)

        def confirm(number):
            try:
                return files.confirm(both[number], actor=actor).id
            except InvalidState:
                return None

        assert sum(map(bool, world.in_parallel(2, confirm))) == 1

    def test_a_file_confirmed_twice_is_processed_once(self, order, browser, at):
        file = order("wallet,amount\nResearch agent,5\n")
        finish(file)

        answer = browser.post(at(file.id), {"submission": ids.new("sub")})
        finish(file)

        assert answer.status_code == 422
        assert PaymentLink.objects.count() == 1


def test_an_unconfirmed_file_is_deleted_after_a_week(send, order):
    kept = order("wallet,amount\nResearch agent,5\n")
    send("wallet,amount\nResearch agent,6\n")
    ImportFile.objects.update(uploaded_at=clock.real_now() - timedelta(days=8))

    tasks.delete_expired_files()

    assert list(ImportFile.objects.all()) == [kept]
    assert ImportRow.objects.count() == 1


def test_a_file_confirmed_while_old_ones_are_deleted_is_kept(send, order, monkeypatch):
    file = order("wallet,amount\nResearch agent,5\n")
    ImportFile.objects.update(uploaded_at=clock.real_now() - timedelta(days=8))

    files._delete_expired_draft(file.pk)  # it was a draft when the old ones were listed

    assert ImportFile.objects.get().status == "CREATING"

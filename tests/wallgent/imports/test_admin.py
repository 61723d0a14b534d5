"""Imported files as support sees them."""

from django.contrib.admin.utils import quote

from links.payment_links.services import payment_links
from tests import due
from tests.accounts.test_admin import listed, path, superuser, support  # noqa: F401
from tests.importing import finish, store
from tests.world import actor_for
from wallgent.imports import exports

FILES = "wallgent.importfile"
EXPORTS, WAITING = "wallgent.importexport", "wallgent.duework"


def test_rows_of_a_file_are_counted_and_not_shown(support, acme, wallet):  # noqa: F811
    text = f"wallet,amount,description\n{wallet.id},5,For your eyes\n{wallet.id},none,\n"
    file = store(actor_for(acme), text)

    for term in (file.id, acme.id):
        assert listed(support, FILES, term) == {file.id}
    page = support.get(path(FILES, "change", file.id)).content.decode()
    assert "1 ready, 1 has errors" in page
    assert "For your eyes" not in page


def test_a_file_is_found_by_an_object_it_created(support, acme, order):  # noqa: F811
    store(actor_for(acme), "wallet,amount\nResearch agent,9\n")
    file = finish(order("wallet,amount\nResearch agent,5\nResearch agent,6\n"))

    for row in file.rows.all():
        assert listed(support, FILES, row.object_id) == {file.id}
    other = payment_links.create(
        actor=actor_for(acme), wallet=acme.wallets.first(), amount=5, direction="RECEIVE"
    )
    assert listed(support, FILES, other.id) == set()


def test_a_download_is_found_by_its_due_work_and_its_file(support, acme, wallet):  # noqa: F811
    file = store(actor_for(acme), "wallet,amount,description\nResearch agent,5,For your eyes\n")
    export = exports.request(file, variant="csv", actor=actor_for(acme))

    for term in (export.id, file.id, acme.id):
        assert listed(support, EXPORTS, term) == {export.id}
    waiting = support.get(path(WAITING, "change", due.row_of(export.id).pk)).text
    page = path(EXPORTS, "change", quote(export.id))
    assert "Prepare a CSV download" in waiting
    assert page in waiting
    due.work()
    shown = support.get(page).text
    assert "Ready" in shown
    assert "For your eyes" not in shown

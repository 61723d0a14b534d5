"""Due work as support sees it."""

from django.contrib.admin.utils import quote

from tests.accounts.test_admin import (  # noqa: F401
    act,
    listed,
    make_staff,
    path,
    signed_in,
    superuser,
    support,
)
from tests.wallgent.due_work.conftest import flood, row_of, schedule
from wallgent.due_work import queue
from wallgent.due_work.models import DueWork
from wallgent.staff.models import StaffAction

MODEL = "wallgent.duework"


def test_page_says_what_waits_and_why(support, wallet):  # noqa: F811
    row = schedule(wallet)
    queue.postpone(*queue.take(), error="RailTimeout")

    page = support.get(path(MODEL, "change", row.pk)).text

    for text in ("Mark a wallet", wallet.id, "RailTimeout", "Sandbox clock"):
        assert text in page
    assert path("accounts.wallet", "change", quote(wallet.id)) in page


def test_it_is_found_by_its_id_subject_and_organization(support, wallet, shop):  # noqa: F811
    row, _ = schedule(wallet), schedule(shop)
    for term in (row.pk, wallet.id, wallet.organization_id):
        assert listed(support, MODEL, term) == {row.pk}


def test_it_is_filtered_by_kind_and_failure(support, wallet, shop, acme):  # noqa: F811
    schedule(wallet)
    queue.postpone(*queue.take(), error="RailTimeout")
    flood(acme, 3, kind="unknown")

    def count(**filters):
        return len(support.get(path(MODEL, "changelist"), filters).context["cl"].result_list)

    assert (count(), count(kind="test_one"), count(error__isempty="0")) == (4, 1, 1)


def test_run_now_makes_it_due_and_is_logged(support, wallet):  # noqa: F811
    row = schedule(wallet, days=-1)

    act(support, row, "run_now")

    assert len(queue.take()) == 1
    assert StaffAction.objects.filter(object_id=row.pk, detail="run_now").exists()


def test_viewing_does_not_allow_running(wallet):
    row = schedule(wallet, days=-1)
    viewer = signed_in(make_staff("viewer@wallgent.example", "view_duework"))
    viewer.post(
        path(MODEL, "changelist"),
        {"action": "run_now", "index": "0", "_selected_action": row.pk, "confirmed": "yes"},
    )
    assert row_of(wallet).version == DueWork.objects.get().version == 0
    assert queue.take() == []

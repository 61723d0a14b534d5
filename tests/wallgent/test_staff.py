"""Staff test no value that a page does not show them, and what they do is logged."""

import uuid

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import IntegrityError, connection, transaction
from django.urls import reverse

from accounts.organizations.models import User
from tests.accounts.test_admin import (  # noqa: F401
    act,
    boss,
    everything,
    hold,
    listed,
    paid,
    path,
    signed_in,
    staff,
    support,
)
from wallgent import ids
from wallgent.admin import SupportAdmin
from wallgent.staff.models import StaffAction

LINKS = "links.paymentlink"

# What a list takes from every other parameter than those of its filters.
REFUSED_EVERYWHERE = {
    "o": "1",
    "_facets": "True",
    "_to_field": "slug",
    "id__startswith": "a",
    "pk__in": "1",
    "no_such_field": "x",
    "utm_source": "x",
}
# A filter or search by these is shown by a column of another name.
SHOWN_AS = {
    "accounts.wallet": {"account__state": "status", "account__currency": "currency"},
    "accounts.suspended": {"transfer__environment": "environment"},
    "accounts.membership": {"user__email": "user"},
}


def log():
    return list(StaffAction.objects.order_by("pk"))


def log_text():
    """Every column of every row, as one text."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT json_agg(row_to_json(a))::text FROM staff_staffaction a")
        return cursor.fetchone()[0] or ""


@pytest.fixture
def link(everything):  # noqa: F811
    return everything[LINKS]


@pytest.fixture
def viewer(db):
    """A staff member who may view payment links, and nothing else."""
    return staff("viewer@wallgent.example", "view_paymentlink")


class TestUndeclaredLookups:
    def test_a_hidden_field_cannot_be_tested(self, link, viewer):
        browser = signed_in(viewer)
        for lookup in ("exact", "regex", "startswith", "contains", "gt", "in"):
            true = browser.get(path(LINKS, "changelist"), {f"slug__{lookup}": link.slug})
            false = browser.get(path(LINKS, "changelist"), {f"slug__{lookup}": "x"})

            assert (true.status_code, false.status_code) == (400, 400), lookup
            assert true.content == false.content
            assert "This lookup is not allowed" in true.text

    def test_neither_can_those_of_other_models(self, support):  # noqa: F811
        for model, name, value in [
            ("accounts.user", "password__startswith", "argon2"),
            ("accounts.user", "authenticator__data__contains", "secret"),
            ("accounts.user", "memberships__organization__wallets__name", "Main"),
            ("api.idempotencyrecord", "answer__contains", "slug"),
            ("api.idempotencyrecord", "path__contains", "/pay/"),
            ("accounts.apikey", "secret_hash", "x"),
            ("accounts.apikey", "secret_hash__isnull", "1"),
            ("accounts.invitation", "token_hash__gt", "x"),
            ("accounts.transfer", "account_number__isnull", "0"),
            ("events.event", "data__url__contains", "/pay/"),
            ("events.event", "origin__ip__startswith", "192"),
            ("links.claim", "link__slug__startswith", "a"),
            ("links.linkbatch", "rows__link__slug__regex", "^a"),
            ("auth.group", "user__password__startswith", "argon2"),
            ("accounts.organization", "users__password", "x"),
        ]:
            answer = support.get(path(model, "changelist"), {name: value})
            row = log()[-1]

            assert answer.status_code == 400, (model, name)
            assert (row.kind, row.model) == ("LOOKUP_REFUSED", model)
            assert row.value_length == len(value)

    def test_every_list_refuses_every_field_that_no_filter_declares(
        self,
        support,  # noqa: F811
        rf,
        boss,  # noqa: F811
    ):
        request = rf.get("/")
        request.user = boss
        for model, pages in admin.site._registry.items():
            url = path(model._meta.label_lower, "changelist")
            names = {f"{field.name}__isnull": "1" for field in model._meta.get_fields()}
            names |= {field.name: "x" for field in model._meta.concrete_fields}
            declared = pages._declared_lookups(request)
            for name, value in (REFUSED_EVERYWHERE | names).items():
                if name not in declared:
                    assert support.get(url, {name: value}).status_code == 400, (model, name)

    def test_a_list_cannot_be_sorted_by_anything_but_its_own_order(self, support):  # noqa: F811
        for order in ("0", "3", "-3", "1.2", ""):
            answer = support.get(path("accounts.user", "changelist"), {"o": order})
            assert answer.status_code == 400

    def test_no_page_takes_another_field_for_the_id(self, support, link):  # noqa: F811
        for page in ("changelist", "change", "history", "delete"):
            url = path(LINKS, page, *([] if page == "changelist" else [link.pk]))
            for field in ("slug", "organization", "nonsense", "id__slug"):
                assert support.get(url, {"_to_field": field}).status_code == 400, (page, field)
                assert support.post(url, {"_to_field": field}).status_code == 400, (page, field)

    def test_a_popup_shows_what_its_list_shows(self, support, link):  # noqa: F811
        url = path(LINKS, "changelist")
        shown = support.get(url, {"_popup": "1", "_to_field": "id", "q": link.pk})

        assert shown.status_code == 200
        assert link.slug not in shown.text
        assert support.get(url, {"_popup": "1", "slug__startswith": "a"}).status_code == 400

    def test_nothing_completes_what_is_typed(self, support, link):  # noqa: F811
        source = {"app_label": "links", "model_name": "claim", "field_name": "link"}
        answers = [
            support.get(reverse("admin:autocomplete"), source | {"term": term})
            for term in (link.pk, link.slug, "x")
        ]

        assert {answer.status_code for answer in answers} == {400}
        assert len({answer.content for answer in answers}) == 1
        assert {row.detail for row in log()} == {"autocomplete"}
        assert link.slug not in log_text()

    def test_no_address_tells_whether_there_is_an_object(self, support, link):  # noqa: F811
        for id in (link.pk, uuid.uuid4(), "nonsense"):
            assert support.get(f"/admin/r/1/{id}/").status_code == 404
            assert support.get(f"/admin/r/{id}/{id}/").status_code == 404

    def test_who_may_not_view_a_model_learns_nothing_of_its_objects(
        self,
        everything,  # noqa: F811
        viewer,
    ):
        browser = signed_in(viewer)
        for model, thing in everything.items():
            if model == LINKS:
                continue
            for id in (thing.pk, uuid.uuid4(), "nonsense"):
                for page in ("change", "history", "delete"):
                    url = path(model, page, id)
                    assert browser.get(url).status_code == 403, (url, page)

    def test_the_whole_slug_is_not_searched_for(self, support, link):  # noqa: F811
        assert listed(support, LINKS, link.slug) == set()
        assert listed(support, LINKS, link.slug[:7]) == set()
        assert listed(support, LINKS, link.slug[:6]) == {link.pk}

    def test_malformed_values_are_no_fault_of_ours(self, support, rf, boss):  # noqa: F811
        request = rf.get("/")
        request.user = boss
        nasty = ("", "\0", "0", "-1", "9999", "9" * 5000, "é\ud7ff", "'", "%", "1,2", "None")
        for model, pages in admin.site._registry.items():
            url = path(model._meta.label_lower, "changelist")
            names = pages._declared_lookups(request) | {"q", "p", "e", "all", "_popup"}
            year = f"{pages.date_hierarchy}__year"
            for name in names:
                for value in nasty:
                    beside = {year: "9999"} if name.startswith(f"{pages.date_hierarchy}__") else {}
                    answer = support.get(url, beside | {name: value})
                    assert answer.status_code in (200, 302, 400), (url, name, value)

    def test_malformed_choices_are_no_fault_of_ours(self, support, wallet):  # noqa: F811
        for chosen in ("nonsense", "\0", str(uuid.uuid4()), "", "wal_"):
            order = {"action": "freeze", "index": "0", "_selected_action": [wallet.id, chosen]}
            answer = support.post(path("accounts.wallet", "changelist"), order)
            assert answer.status_code in (200, 302, 400), chosen


class TestDeclaredLookups:
    def test_filters_dates_pages_and_search_still_work(self, support, wallet, rf, boss):  # noqa: F811
        request = rf.get("/")
        request.user = boss
        for model, pages in admin.site._registry.items():
            url = path(model._meta.label_lower, "changelist")
            for name in pages._declared_lookups(request):
                value = "1" if name.endswith(("isnull", "isempty", "month", "day")) else "2026"
                assert support.get(url, {name: value}).status_code in (200, 302), (url, name)
        url = path("accounts.wallet", "changelist")
        year = str(wallet.created_at.year)
        found = {
            "environment__exact": "SANDBOX",
            "created_at__year": year,
            "account__state__exact": "ACTIVE",
            "q": wallet.name,
            "p": "1",
        }
        rows = support.get(url, found).context["cl"].result_list
        assert wallet.pk in {row.pk for row in rows}
        for name, value in {"environment__exact": "PRODUCTION", "created_at__year": "1999"}.items():
            rows = support.get(url, found | {name: value}).context["cl"].result_list
            assert list(rows) == []

    def test_every_link_of_a_list_is_one_it_takes(self, support, everything):  # noqa: F811
        for model in admin.site._registry:
            url = path(model._meta.label_lower, "changelist")
            page = support.get(url)
            for spec in page.context["cl"].filter_specs:
                for choice in spec.choices(page.context["cl"]):
                    answer = support.get(url + choice["query_string"])
                    assert answer.status_code == 200, (url, choice)

    def test_only_what_is_shown_is_filtered_or_searched(self):
        for model, pages in admin.site._registry.items():
            columns = [*pages.list_display, *pages.fields]
            shown = {column if isinstance(column, str) else column.__name__ for column in columns}
            tested = [item if isinstance(item, str) else item[0] for item in pages.list_filter]
            tested += [name for name in (pages.date_hierarchy,) if name]
            for name in pages.search_fields:
                tested.append(name.removesuffix("__exact").removesuffix("__startswith"))
            for name in tested:
                column = SHOWN_AS.get(model._meta.label_lower, {}).get(name, name)
                assert column in shown, (model, name)

    def test_admins_of_installed_packages_stay_out(self):
        class Bare(admin.ModelAdmin):
            pass

        admin.site.register(Permission, Bare)
        admin.site.register(Permission)

        assert not admin.site.is_registered(Permission)
        registered = admin.site._registry.values()
        assert all(isinstance(pages, SupportAdmin) for pages in registered)
        packages = {model._meta.app_label for model in admin.site._registry}
        assert packages.isdisjoint({"account", "mfa", "usersessions", "axes", "sessions"})


class TestTheLog:
    def test_a_refused_lookup_is_logged_without_its_value(self, link, viewer):
        browser = signed_in(viewer)
        answer = browser.get(
            path(LINKS, "changelist"), {"slug__regex": f"^{link.slug[:9]}", "status__exact": "X"}
        )

        [row] = log()
        assert (row.user, row.kind, row.model) == (viewer, "LOOKUP_REFUSED", LINKS)
        assert (row.detail, row.value_length) == ("slug__regex", 10)
        assert row.request_id == answer.headers["X-Request-Id"]
        assert link.slug[:9] not in log_text()

    def test_a_name_that_is_no_field_is_not_stored_either(self, link, viewer):
        browser = signed_in(viewer)
        for name in (link.slug, f"slug__{link.slug}", f"{link.slug}__regex"):
            browser.get(path(LINKS, "changelist"), {name: "x"})
        browser.get(path(LINKS, "changelist"), {f"{link.slug}{n}": "x" for n in range(100)})
        browser.get(path(LINKS, "changelist"), {"__".join(["slug"] * 500): "x"})

        kept = ["?", "slug__?", "?__regex", "?", "__".join(["slug"] * 6)]
        assert [row.detail for row in log()] == kept
        assert link.slug not in log_text()

    def test_a_search_is_logged_with_its_id_or_its_length(self, support, boss, link):  # noqa: F811
        support.get(path(LINKS, "changelist"), {"q": f" {link.pk} "})
        for secret in (link.slug, f"wallgent_{link.slug}"):
            support.get(path(LINKS, "changelist"), {"q": secret})
        support.get(path(LINKS, "changelist"), {"q": " "})
        support.get(path(LINKS, "changelist"))

        assert [(row.kind, row.object_id, row.value_length) for row in log()] == [
            ("SEARCHED", link.pk, len(link.pk)),
            ("SEARCHED", "", len(link.slug)),
            ("SEARCHED", "", len(link.slug) + 9),
        ]
        assert {row.user for row in log()} == {boss}
        assert link.slug not in log_text()

    def test_a_search_is_logged_whatever_it_is_answered(self, support, acme):  # noqa: F811
        for number in range(51):
            User.objects.create_user(f"ada{number}@acme.example")
        answer = support.get(path("accounts.user", "changelist"), {"q": "ada", "p": "9"})

        assert answer.status_code == 302
        assert [row.kind for row in log()] == ["SEARCHED"]

    def test_a_viewed_object_is_logged_by_its_id(self, support, everything):  # noqa: F811
        for model, thing in everything.items():
            support.get(path(model, "change", thing.pk))
            support.get(path(model, "history", thing.pk))
            rows = [(row.kind, row.model, row.object_id, row.detail) for row in log()[-2:]]
            viewed = ("VIEWED", model, str(thing.pk))
            assert rows == [(*viewed, "change"), (*viewed, "history")]

    def test_either_spelling_of_an_id_is_one_in_the_log(self, support, wallet):  # noqa: F811
        support.get(path("accounts.wallet", "change", ids.to_uuid(wallet.id)))
        support.get(path("accounts.wallet", "change", uuid.uuid4()))

        assert [row.object_id for row in log()] == [wallet.id]

    def test_a_page_that_is_not_permitted_is_logged(self, wallet, viewer):
        browser = signed_in(viewer)
        browser.get(path("accounts.wallet", "change", wallet.id))
        browser.get(path("accounts.wallet", "history", "my secret"))
        browser.get(path("accounts.wallet", "changelist"))

        rows = [(row.kind, row.object_id, row.detail) for row in log()]
        assert rows == [
            ("ACCESS_REFUSED", wallet.id, "change"),
            ("ACCESS_REFUSED", "", "history"),
            ("ACCESS_REFUSED", "", "changelist"),
        ]

    def test_a_service_action_is_logged_with_its_object(self, support, boss, wallet):  # noqa: F811
        act(support, wallet, "freeze", reason="Court order")

        [row] = [row for row in log() if row.kind == "CHANGED"]
        assert (row.user, row.model, row.object_id) == (boss, "accounts.wallet", wallet.id)
        assert row.detail == "freeze"
        assert "Court order" not in log_text()

    def test_a_refused_service_action_changes_nothing_and_logs_no_change(
        self,
        support,  # noqa: F811
        paid,  # noqa: F811
    ):
        act(support, paid.sender, "close")

        assert [row for row in log() if row.kind == "CHANGED"] == []

    def test_given_rights_are_logged(self, support, boss):  # noqa: F811
        person = staff("new@wallgent.example")
        form = {"is_active": "on", "is_staff": "on", "_save": "Save"}
        form |= {f"memberships-{name}": "0" for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
        support.post(path("accounts.user", "change", person.pk), form)
        support.post(path("auth.group", "add"), {"name": "Second line"})
        group = log()[-1]
        support.post(path("auth.group", "delete", group.object_id), {"post": "yes"})

        rows = [(row.model, row.detail) for row in log() if row.kind == "CHANGED"]
        assert rows == [
            ("accounts.user", "change"),
            ("auth.group", "add"),
            ("auth.group", "delete"),
        ]

    def test_only_superusers_read_it(self, support, viewer):  # noqa: F811
        browser = signed_in(viewer)
        browser.get(path(LINKS, "changelist"), {"slug__regex": "^a"})
        [row] = log()
        viewer.user_permissions.set(Permission.objects.all())
        browser = signed_in(User.objects.get(pk=viewer.pk))

        for url in (
            path("staff.staffaction", "changelist"),
            *(path("staff.staffaction", page, row.pk) for page in ("change", "history")),
            "/admin/staff/",
        ):
            assert browser.get(url).status_code in (403, 404), url
        assert "Staff actions" not in browser.get("/admin/").text
        assert not Permission.objects.filter(content_type__app_label="staff").exists()

        assert "Staff actions" in support.get("/admin/").text
        for term in (row.pk, viewer.pk):
            assert row.pk in listed(support, "staff.staffaction", term)
        shown = support.get(path("staff.staffaction", "change", row.pk)).text
        assert "slug__regex" in shown
        assert "Lookup refused" in shown

    def test_it_is_found_by_what_was_looked_at(self, support, wallet):  # noqa: F811
        support.get(path("accounts.wallet", "change", wallet.id))
        [row] = log()

        assert listed(support, "staff.staffaction", wallet.id) == {row.pk}

    def test_nobody_changes_or_deletes_a_row(self, support, wallet):  # noqa: F811
        support.get(path("accounts.wallet", "change", wallet.id))
        [row] = log()

        assert support.get(path("staff.staffaction", "add")).status_code == 403
        for page in ("change", "delete"):
            answer = support.post(path("staff.staffaction", page, row.pk), {"detail": "x"})
            assert answer.status_code == 403
        for change in (StaffAction.objects.filter(pk=row.pk).delete, row.save):
            with pytest.raises(IntegrityError), transaction.atomic():
                change()

    def test_visitors_and_members_are_not_in_it(self, client, wallet):
        client.get(path("accounts.wallet", "changelist"), {"name__regex": "^a"})
        member = User.objects.create_user("ada@acme.example")
        signed_in(member).get(path("accounts.wallet", "changelist"), {"name__regex": "^a"})

        assert log() == []


class TestRights:
    def test_only_superusers_change_groups(self, support, boss):  # noqa: F811
        group = boss.groups.create(name="Second line")
        helper = staff("helper@wallgent.example", "view_group", "change_group", "add_group")
        helper.groups.add(group)
        every = [str(pk) for pk in Permission.objects.values_list("pk", flat=True)]
        form = {"name": "All", "permissions": every}
        browser = signed_in(helper)

        assert browser.get(path("auth.group", "change", group.pk)).status_code == 200
        assert browser.post(path("auth.group", "change", group.pk), form).status_code == 403
        assert browser.post(path("auth.group", "add"), form).status_code == 403
        assert not group.permissions.exists()
        assert support.post(path("auth.group", "change", group.pk), form).status_code == 302
        assert group.permissions.count() == len(every)

    def test_history_shows_no_more_than_the_object(self, link, viewer):
        browser = signed_in(viewer)
        page = browser.get(path(LINKS, "history", link.pk))

        assert page.status_code == 200
        assert "payment_link.created" not in page.text
        assert link.slug not in page.text

    def test_an_action_asks_only_who_may_act(self, link, viewer):
        browser = signed_in(viewer)
        order = {"action": "cancel", "index": "0", "_selected_action": link.pk}
        answer = browser.post(path(LINKS, "changelist"), order, follow=True)

        assert link.slug not in answer.text
        assert 'name="confirmed"' not in answer.text
        assert log() == []

    def test_questions_of_actions_and_histories_hold_no_secret(
        self,
        support,  # noqa: F811
        everything,  # noqa: F811
        api,
    ):
        key, person = everything["accounts.apikey"], everything["accounts.user"]
        secrets = [api.key, bytes(key.secret_hash).hex(), repr(bytes(key.secret_hash))]
        secrets += [person.password, everything["api.idempotencyrecord"].answer]
        secrets += [bytes(everything["accounts.invitation"].token_hash).hex()]
        secrets += [everything[LINKS].slug]
        asked = 0
        for model, thing in everything.items():
            pages = support.get(path(model, "history", thing.pk)).text
            for action in admin.site._registry[type(thing)].actions:
                order = {"action": action, "index": "0", "_selected_action": thing.pk}
                question = support.post(path(model, "changelist"), order)
                assert question.status_code == 200, (model, action)
                pages += question.text
                asked += 1
            assert not [secret for secret in secrets if secret in pages], model
        assert asked >= 9

"""Staff cannot look up values that they cannot see, and their actions are logged."""

import uuid

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import IntegrityError, connection, transaction
from django.urls import reverse

from accounts.organizations.models import User
from tests.accounts.test_admin import (  # noqa: F401
    act,
    hold,
    listed,
    make_staff,
    objects_by_model,
    paid,
    path,
    signed_in,
    superuser,
    support,
)
from wallgent import ids
from wallgent.admin import SupportAdmin
from wallgent.staff.models import StaffAction
from wallgent.web import page_rates

LINKS = "links.paymentlink"

# Parameters that every list refuses, with a value.
REFUSED_EVERYWHERE = {
    "o": "1",
    "_facets": "True",
    "_to_field": "slug",
    "id__startswith": "a",
    "pk__in": "1",
    "no_such_field": "x",
    "utm_source": "x",
}
# Filters and searches whose value is in a column of another name.
SHOWN_AS = {
    "accounts.wallet": {"account__state": "account_state", "account__currency": "currency"},
    "accounts.suspended": {"transfer__environment": "environment"},
    "accounts.membership": {"user__email": "user"},
}


def log():
    return list(StaffAction.objects.order_by("pk"))


def log_text():
    """Return every column of every row, as one text."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT json_agg(row_to_json(a))::text FROM wallgent_staffaction a")
        return cursor.fetchone()[0] or ""


@pytest.fixture(autouse=True)
def _no_rate_limits(monkeypatch):
    """These tests request more pages in a minute than a person may."""
    for limit in ("READS", "WRITES"):
        monkeypatch.setattr(page_rates, limit, 10**9)


@pytest.fixture
def link(objects_by_model):  # noqa: F811
    return objects_by_model[LINKS]


@pytest.fixture
def viewer(db):
    """Return a staff member who may only view payment links."""
    return make_staff("viewer@wallgent.example", "view_paymentlink")


class TestUndeclaredLookups:
    def test_hidden_field_cannot_be_looked_up(self, link, viewer):
        client = signed_in(viewer)
        for lookup in ("exact", "regex", "startswith", "contains", "gt", "in"):
            true = client.get(path(LINKS, "changelist"), {f"slug__{lookup}": link.slug})
            false = client.get(path(LINKS, "changelist"), {f"slug__{lookup}": "x"})

            assert (true.status_code, false.status_code) == (400, 400), lookup
            assert true.content == false.content
            assert "This lookup is not allowed" in true.text

    def test_fields_of_related_models_cannot_be_looked_up(self, support):  # noqa: F811
        for model, name, value in [
            ("accounts.user", "password__startswith", "argon2"),
            ("accounts.user", "authenticator__data__contains", "secret"),
            ("accounts.user", "memberships__organization__wallets__name", "Main"),
            ("wallgent.idempotencyrecord", "answer__contains", "slug"),
            ("wallgent.idempotencyrecord", "path__contains", "/pay/"),
            ("accounts.apikey", "secret_hash", "x"),
            ("accounts.apikey", "secret_hash__isnull", "1"),
            ("accounts.invitation", "token_hash__gt", "x"),
            ("accounts.transfer", "account_number__isnull", "0"),
            ("wallgent.event", "data__url__contains", "/pay/"),
            ("wallgent.event", "origin__ip__startswith", "192"),
            ("links.claim", "link__slug__startswith", "a"),
            ("wallgent.importfile", "rows__cells__regex", "^a"),
            ("auth.group", "user__password__startswith", "argon2"),
            ("accounts.organization", "users__password", "x"),
        ]:
            response = support.get(path(model, "changelist"), {name: value})
            row = log()[-1]

            assert response.status_code == 400, (model, name)
            assert (row.kind, row.model) == ("LOOKUP_REFUSED", model)
            assert row.value_length == len(value)

    def test_every_list_refuses_every_field_that_no_filter_declares(
        self,
        support,  # noqa: F811
        rf,
        superuser,  # noqa: F811
    ):
        request = rf.get("/")
        request.user = superuser
        for model, pages in admin.site._registry.items():
            url = path(model._meta.label_lower, "changelist")
            names = {f"{field.name}__isnull": "1" for field in model._meta.get_fields()}
            names |= {field.name: "x" for field in model._meta.concrete_fields}
            declared = pages._declared_lookups(request)
            for name, value in (REFUSED_EVERYWHERE | names).items():
                if name not in declared:
                    assert support.get(url, {name: value}).status_code == 400, (model, name)

    def test_lists_cannot_be_sorted(self, support):  # noqa: F811
        for order in ("0", "3", "-3", "1.2", ""):
            response = support.get(path("accounts.user", "changelist"), {"o": order})
            assert response.status_code == 400

    def test_pages_refuse_another_field_for_the_id(self, support, link):  # noqa: F811
        for page in ("changelist", "change", "history", "delete"):
            url = path(LINKS, page, *([] if page == "changelist" else [link.pk]))
            for field in ("slug", "organization", "nonsense", "id__slug"):
                assert support.get(url, {"_to_field": field}).status_code == 400, (page, field)
                assert support.post(url, {"_to_field": field}).status_code == 400, (page, field)

    def test_popup_shows_the_same_as_its_list(self, support, link):  # noqa: F811
        url = path(LINKS, "changelist")
        shown = support.get(url, {"_popup": "1", "_to_field": "id", "q": link.pk})

        assert shown.status_code == 200
        assert link.slug not in shown.text
        assert support.get(url, {"_popup": "1", "slug__startswith": "a"}).status_code == 400

    def test_autocomplete_is_refused(self, support, link):  # noqa: F811
        source = {"app_label": "links", "model_name": "claim", "field_name": "link"}
        responses = [
            support.get(reverse("admin:autocomplete"), source | {"term": term})
            for term in (link.pk, link.slug, "x")
        ]

        assert {response.status_code for response in responses} == {400}
        assert len({response.content for response in responses}) == 1
        assert {row.detail for row in log()} == {"autocomplete"}
        assert link.slug not in log_text()

    def test_urls_do_not_reveal_whether_an_object_exists(self, support, link):  # noqa: F811
        for id in (link.pk, uuid.uuid4(), "nonsense"):
            assert support.get(f"/admin/r/1/{id}/").status_code == 404
            assert support.get(f"/admin/r/{id}/{id}/").status_code == 404

    def test_staff_without_permission_cannot_tell_whether_an_object_exists(
        self,
        objects_by_model,  # noqa: F811
        viewer,
    ):
        client = signed_in(viewer)
        for model, thing in objects_by_model.items():
            if model == LINKS:
                continue
            for id in (thing.pk, uuid.uuid4(), "nonsense"):
                for page in ("change", "history", "delete"):
                    url = path(model, page, id)
                    assert client.get(url).status_code == 403, (url, page)

    def test_search_finds_links_only_by_the_shown_part_of_the_slug(self, support, link):  # noqa: F811
        assert listed(support, LINKS, link.slug) == set()
        assert listed(support, LINKS, link.slug[:7]) == set()
        assert listed(support, LINKS, link.slug[:6]) == {link.pk}

    def test_malformed_values_cause_no_500(self, support, rf, superuser):  # noqa: F811
        request = rf.get("/")
        request.user = superuser
        malformed = ("", "\0", "0", "-1", "9999", "9" * 5000, "é\ud7ff", "'", "%", "1,2", "None")
        for model, pages in admin.site._registry.items():
            url = path(model._meta.label_lower, "changelist")
            names = pages._declared_lookups(request) | {"q", "p", "e", "all", "_popup"}
            year = f"{pages.date_hierarchy}__year"
            for name in names:
                for value in malformed:
                    others = {year: "9999"} if name.startswith(f"{pages.date_hierarchy}__") else {}
                    response = support.get(url, others | {name: value})
                    assert response.status_code in (200, 302, 400), (url, name, value)

    def test_malformed_selections_cause_no_500(self, support, wallet):  # noqa: F811
        for chosen in ("nonsense", "\0", str(uuid.uuid4()), "", "wal_"):
            form = {"action": "freeze", "index": "0", "_selected_action": [wallet.id, chosen]}
            response = support.post(path("accounts.wallet", "changelist"), form)
            assert response.status_code in (200, 302, 400), chosen


class TestDeclaredLookups:
    def test_filters_dates_pages_and_search_work(self, support, wallet, rf, superuser):  # noqa: F811
        request = rf.get("/")
        request.user = superuser
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

    def test_every_filter_link_of_a_list_works(self, support, objects_by_model):  # noqa: F811
        for model in admin.site._registry:
            url = path(model._meta.label_lower, "changelist")
            page = support.get(url)
            for spec in page.context["cl"].filter_specs:
                for choice in spec.choices(page.context["cl"]):
                    response = support.get(url + choice["query_string"])
                    assert response.status_code == 200, (url, choice)

    def test_filters_and_search_are_for_shown_columns(self):
        for model, pages in admin.site._registry.items():
            columns = [*pages.list_display, *pages.fields]
            shown = {column if isinstance(column, str) else column.__name__ for column in columns}
            looked_up = [
                getattr(item, "parameter_name", None)
                or (item if isinstance(item, str) else item[0])
                for item in pages.list_filter
            ]
            looked_up += [name for name in (pages.date_hierarchy,) if name]
            for name in pages.search_fields:
                looked_up.append(name.removesuffix("__exact").removesuffix("__startswith"))
            for name in looked_up:
                column = SHOWN_AS.get(model._meta.label_lower, {}).get(name, name)
                assert column in shown, (model, name)

    def test_admins_of_installed_packages_are_not_registered(self):
        class Bare(admin.ModelAdmin):
            pass

        admin.site.register(Permission, Bare)
        admin.site.register(Permission)

        assert not admin.site.is_registered(Permission)
        registered = admin.site._registry.values()
        assert all(isinstance(pages, SupportAdmin) for pages in registered)
        packages = {model._meta.app_label for model in admin.site._registry}
        assert packages.isdisjoint({"account", "mfa", "usersessions", "axes", "sessions"})


class TestLog:
    def test_refused_lookup_is_logged_without_its_value(self, link, viewer):
        client = signed_in(viewer)
        response = client.get(
            path(LINKS, "changelist"), {"slug__regex": f"^{link.slug[:9]}", "status__exact": "X"}
        )

        [row] = log()
        assert (row.user, row.kind, row.model) == (viewer, "LOOKUP_REFUSED", LINKS)
        assert (row.detail, row.value_length) == ("slug__regex", 10)
        assert row.request_id == response.headers["X-Request-Id"]
        assert link.slug[:9] not in log_text()

    def test_unknown_parameter_name_is_not_stored(self, link, viewer):
        client = signed_in(viewer)
        secret = link.slug.replace("_", "x")  # "__" would separate two parts of a name
        for name in (secret, f"slug__{secret}", f"{secret}__regex"):
            client.get(path(LINKS, "changelist"), {name: "x"})
        client.get(path(LINKS, "changelist"), {f"{secret}{n}": "x" for n in range(100)})
        client.get(path(LINKS, "changelist"), {"__".join(["slug"] * 500): "x"})

        kept = ["?", "slug__?", "?__regex", "?", "__".join(["slug"] * 6)]
        assert [row.detail for row in log()] == kept
        assert secret not in log_text()

    def test_search_is_logged_with_its_id_or_its_length(self, support, superuser, link):  # noqa: F811
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
        assert {row.user for row in log()} == {superuser}
        assert link.slug not in log_text()

    def test_search_is_logged_when_the_list_redirects(self, support, acme):  # noqa: F811
        for number in range(51):
            User.objects.create_user(f"ada{number}@acme.example")
        response = support.get(path("accounts.user", "changelist"), {"q": "ada", "p": "9"})

        assert response.status_code == 302
        assert [row.kind for row in log()] == ["SEARCHED"]

    def test_viewed_object_is_logged_by_its_id(self, support, objects_by_model):  # noqa: F811
        for model, thing in objects_by_model.items():
            support.get(path(model, "change", thing.pk))
            support.get(path(model, "history", thing.pk))
            rows = [(row.kind, row.model, row.object_id, row.detail) for row in log()[-2:]]
            viewed = ("VIEWED", model, str(thing.pk))
            assert rows == [(*viewed, "change"), (*viewed, "history")]

    def test_log_has_one_form_of_each_id(self, support, wallet):  # noqa: F811
        support.get(path("accounts.wallet", "change", ids.to_uuid(wallet.id)))
        support.get(path("accounts.wallet", "change", uuid.uuid4()))

        assert [row.object_id for row in log()] == [wallet.id]

    def test_refused_page_is_logged(self, wallet, viewer):
        client = signed_in(viewer)
        client.get(path("accounts.wallet", "change", wallet.id))
        client.get(path("accounts.wallet", "history", "my secret"))
        client.get(path("accounts.wallet", "changelist"))

        rows = [(row.kind, row.object_id, row.detail) for row in log()]
        assert rows == [
            ("ACCESS_REFUSED", wallet.id, "change"),
            ("ACCESS_REFUSED", "", "history"),
            ("ACCESS_REFUSED", "", "changelist"),
        ]

    def test_service_action_is_logged_with_its_object(self, support, superuser, wallet):  # noqa: F811
        act(support, wallet, "freeze", reason="Court order")

        [row] = [row for row in log() if row.kind == "CHANGED"]
        assert (row.user, row.model, row.object_id) == (superuser, "accounts.wallet", wallet.id)
        assert row.detail == "freeze"
        assert "Court order" not in log_text()

    def test_refused_service_action_logs_no_change(
        self,
        support,  # noqa: F811
        paid,  # noqa: F811
    ):
        act(support, paid.sender, "close")

        assert [row for row in log() if row.kind == "CHANGED"] == []

    def test_permission_changes_are_logged(self, support, superuser):  # noqa: F811
        person = make_staff("new@wallgent.example")
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

    def test_only_superusers_see_the_log(self, support, viewer):  # noqa: F811
        client = signed_in(viewer)
        client.get(path(LINKS, "changelist"), {"slug__regex": "^a"})
        [row] = log()
        viewer.user_permissions.set(Permission.objects.all())
        client = signed_in(User.objects.get(pk=viewer.pk))

        for url in (
            path("wallgent.staffaction", "changelist"),
            *(path("wallgent.staffaction", page, row.pk) for page in ("change", "history")),
        ):
            assert client.get(url).status_code in (403, 404), url
        for index in ("/admin/", "/admin/wallgent/"):
            assert "Staff actions" not in client.get(index).text, index
        assert not Permission.objects.filter(content_type__model="staffaction").exists()

        assert "Staff actions" in support.get("/admin/").text
        for term in (row.pk, viewer.pk):
            assert row.pk in listed(support, "wallgent.staffaction", term)
        shown = support.get(path("wallgent.staffaction", "change", row.pk)).text
        assert "slug__regex" in shown
        assert "Lookup refused" in shown

    def test_row_is_found_by_the_viewed_object(self, support, wallet):  # noqa: F811
        support.get(path("accounts.wallet", "change", wallet.id))
        [row] = log()

        assert listed(support, "wallgent.staffaction", wallet.id) == {row.pk}

    def test_rows_cannot_be_changed_or_deleted(self, support, wallet):  # noqa: F811
        support.get(path("accounts.wallet", "change", wallet.id))
        [row] = log()

        assert support.get(path("wallgent.staffaction", "add")).status_code == 403
        for page in ("change", "delete"):
            response = support.post(path("wallgent.staffaction", page, row.pk), {"detail": "x"})
            assert response.status_code == 403
        for change in (StaffAction.objects.filter(pk=row.pk).delete, row.save):
            with pytest.raises(IntegrityError), transaction.atomic():
                change()

    def test_visitors_and_members_are_not_logged(self, client, wallet):
        client.get(path("accounts.wallet", "changelist"), {"name__regex": "^a"})
        member = User.objects.create_user("ada@acme.example")
        signed_in(member).get(path("accounts.wallet", "changelist"), {"name__regex": "^a"})

        assert log() == []


class TestPermissions:
    def test_only_superusers_change_groups(self, support, superuser):  # noqa: F811
        group = superuser.groups.create(name="Second line")
        helper = make_staff("helper@wallgent.example", "view_group", "change_group", "add_group")
        helper.groups.add(group)
        every = [str(pk) for pk in Permission.objects.values_list("pk", flat=True)]
        form = {"name": "All", "permissions": every}
        client = signed_in(helper)

        assert client.get(path("auth.group", "change", group.pk)).status_code == 200
        assert client.post(path("auth.group", "change", group.pk), form).status_code == 403
        assert client.post(path("auth.group", "add"), form).status_code == 403
        assert not group.permissions.exists()
        assert support.post(path("auth.group", "change", group.pk), form).status_code == 302
        assert group.permissions.count() == len(every)

    def test_history_shows_no_event_without_permission(self, link, viewer):
        client = signed_in(viewer)
        page = client.get(path(LINKS, "history", link.pk))

        assert page.status_code == 200
        assert "payment_link.created" not in page.text
        assert link.slug not in page.text

    def test_action_needs_the_permission_to_change(self, link, viewer):
        client = signed_in(viewer)
        form = {"action": "cancel", "index": "0", "_selected_action": link.pk}
        response = client.post(path(LINKS, "changelist"), form, follow=True)

        assert link.slug not in response.text
        assert 'name="confirmed"' not in response.text
        assert log() == []

    def test_confirmation_pages_and_histories_show_no_secret(
        self,
        support,  # noqa: F811
        objects_by_model,  # noqa: F811
        api,
    ):
        key, person = objects_by_model["accounts.apikey"], objects_by_model["accounts.user"]
        secrets = [api.key, bytes(key.secret_hash).hex(), repr(bytes(key.secret_hash))]
        secrets += [person.password, objects_by_model["wallgent.idempotencyrecord"].answer]
        secrets += [bytes(objects_by_model["accounts.invitation"].token_hash).hex()]
        secrets += [objects_by_model[LINKS].slug]
        count = 0
        for model, thing in objects_by_model.items():
            pages = support.get(path(model, "history", thing.pk)).text
            for action in admin.site._registry[type(thing)].actions:
                form = {"action": action, "index": "0", "_selected_action": thing.pk}
                confirmation = support.post(path(model, "changelist"), form)
                assert confirmation.status_code == 200, (model, action)
                pages += confirmation.text
                count += 1
            assert not [secret for secret in secrets if secret in pages], model
        assert count >= 9

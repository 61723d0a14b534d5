"""The directions of imports, and the few habits that a machine can watch (style, sections 3, 5)."""

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.organizations import permissions
from wallgent.api.public import PublicView
from wallgent.api.views import ApiView

ROOT = Path(__file__).resolve().parent.parent

# Each package, and those below it. What is not named here it must not import.
BELOW = {
    "wallgent": set(),
    "accounts.ledger": {"wallgent"},
    "accounts": {"accounts.ledger", "wallgent"},
    "billing": {"accounts", "accounts.ledger", "wallgent"},
    "links": {"billing", "accounts", "accounts.ledger", "wallgent"},
    "issuing": {"accounts", "accounts.ledger", "wallgent"},
}
APPS = [name for name in BELOW if name != "wallgent"]
FLAT = ("wallgent", "accounts.ledger")  # not divided into doors, services and models

# All of the platform that the book needs, and that needs nothing of the platform itself.
BASICS = {f"wallgent.{name}" for name in ("ids", "money", "errors", "clock", "environments")}

# Inside an app, from the doors down: a module imports its own layer's rank or a lower one.
DOORS = {"api", "views", "tasks", "stripe", "admin", "urls", "management", "apps", "forms"}
LAYERS = (
    {"errors", "permissions", "__init__"},
    {"models"},
    {"events"},
    {"services", "rails"},
    DOORS,
)
RANKS = {layer: rank for rank, layers in enumerate(LAYERS) for layer in layers}
ENTRANCES = {"api", "views", "tasks", "stripe", "management"}
HTTP = ("get", "post", "put", "patch", "delete")


@cache
def modules() -> list[str]:
    """The dotted names of all our modules, tests aside."""
    paths = [path for top in {name.split(".")[0] for name in BELOW} for path in _python(ROOT / top)]
    return sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths)


def _python(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*.py") if "migrations" not in path.parts)


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text())


@cache
def imports_of(module: str) -> list[str]:
    """Our own modules that a module imports, wherever in its text."""
    found = []
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports relatively"
            # `from accounts.services import payments` imports the module, if it is one.
            found += [
                f"{node.module}.{alias.name}"
                if _is_module(f"{node.module}.{alias.name}")
                else node.module
                for alias in node.names
            ]
    return [name for name in found if name.split(".")[0] in BELOW]


def _is_module(name: str) -> bool:
    path = name.replace(".", "/")
    return (ROOT / f"{path}.py").exists() or (ROOT / path / "__init__.py").exists()


@cache
def package_of(module: str) -> str:
    """The longest package of the table above that holds the module."""
    return max((name for name in BELOW if f"{module}.".startswith(f"{name}.")), key=len)


def layer_of(module: str) -> str:
    """The first word behind the package: `services` of accounts.services.payments."""
    return module.removeprefix(package_of(module)).split(".")[1]


def arrows(allowed: Callable[[str, str], bool], package: str = "") -> list[str]:
    """The imports that `allowed(importer, imported)` forbids, of one package or of all."""
    return [
        f"{module} imports {name}"
        for module in modules()
        if not package or package_of(module) == package
        for name in imports_of(module)
        if not allowed(module, name)
    ]


def places(found: Callable[[ast.AST], bool], within: Callable[[str], bool]) -> list[str]:
    """Where in our modules there is a node of a kind."""
    return [
        f"{module}:{node.lineno}: {ast.unparse(node)}"
        for module in modules()
        if within(module)
        for node in ast.walk(tree_of(module))
        if found(node)
    ]


class TestUrls:
    """A Host header is what its sender says: no URL and no decision comes from it."""

    FROM_THE_REQUEST = {
        *("build_absolute_uri", "get_host", "get_port", "get_raw_uri", "_current_scheme_host"),
        *("get_current_site", "HTTP_HOST", "HTTP_X_FORWARDED_HOST", "SERVER_NAME"),
    }

    def test_are_never_made_from_a_request(self):
        def names_the_host(node):
            named = getattr(node, "attr", None) or getattr(node, "id", None)
            named = named or getattr(node, "value", None) or getattr(node, "name", None)
            return isinstance(named, str) and named in self.FROM_THE_REQUEST

        assert places(names_the_host, lambda module: True) == []

    def test_are_not_made_so_in_templates(self):
        found = [
            f"{path.relative_to(ROOT)}: {name}"
            for path in (ROOT / "templates").rglob("*.*")
            for name in self.FROM_THE_REQUEST
            if name in path.read_text()
        ]

        assert found == []


class TestImports:
    def test_go_down_from_package_to_package(self):
        def allowed(module, name):
            above, below = package_of(module), package_of(name)
            return above == below or below in BELOW[above]

        assert arrows(allowed) == []

    def test_know_every_module_by_its_layer(self):
        strangers = [
            module
            for module in modules()
            if package_of(module) not in FLAT and layer_of(module) not in RANKS
        ]

        assert strangers == []

    def test_inside_an_app_go_from_doors_to_services_to_models(self):
        def allowed(module, name):
            package = package_of(module)
            if package != package_of(name) or package in FLAT or name == package:
                return True
            return RANKS.get(layer_of(name), 0) <= RANKS.get(layer_of(module), 0)

        assert arrows(allowed) == []

    def test_do_not_lead_from_one_door_to_another(self):
        def allowed(module, name):
            if package_of(module) in FLAT or package_of(name) != package_of(module):
                return True
            above, below = layer_of(module), layer_of(name)
            return above == below or above not in ENTRANCES or below not in ENTRANCES

        assert arrows(allowed) == []

    def test_are_not_hidden_in_functions(self):
        hidden = [
            f"{module}: {function.name}"
            for module in modules()
            for function in ast.walk(tree_of(module))
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
            and function.name != "ready"  # apps import when all of them are there
            for node in ast.walk(function)
            if isinstance(node, ast.Import | ast.ImportFrom)
        ]

        assert hidden == []


class TestTheBook:
    def test_knows_only_the_basics_of_the_platform(self):
        def allowed(module, name):
            if package_of(name) != "wallgent" or name in BASICS:
                return True
            return module == "accounts.ledger.admin" and name == "wallgent.admin"

        assert arrows(allowed, "accounts.ledger") == []

    def test_whose_basics_need_nothing_else(self):
        assert arrows(lambda module, name: module not in BASICS or name in BASICS) == []

    def test_has_no_foreign_key_out_of_itself(self):
        for model in apps.get_app_config("ledger").get_models():
            for field in model._meta.fields:
                if field.is_relation:
                    assert field.related_model._meta.app_label == "ledger", field

    def test_is_posted_to_from_one_place(self):
        def posts(node):
            return isinstance(node, ast.Constant) and "ledger_post" in str(node.value)

        callers = {place.split(":")[0] for place in places(posts, lambda module: True)}
        assert callers == {"accounts.ledger.journal"}


class TestHabits:
    def test_only_settings_and_urls_name_modules_of_apps(self):
        """Foreign keys name an app's model, as in "accounts.Organization"."""

        def names_a_module(node):
            text = node.value if isinstance(node, ast.Constant) else None
            return isinstance(text, str) and text.split(".")[0] in APPS and _is_module(text)

        def of_the_platform(module):
            return package_of(module) == "wallgent" and module not in (
                "wallgent.settings",
                "wallgent.urls",
            )

        assert places(names_a_module, of_the_platform) == []

    def test_no_binary_fraction_comes_near_money(self):
        def is_binary(node):
            return (
                (isinstance(node, ast.Name) and node.id == "float")
                or (isinstance(node, ast.Constant) and isinstance(node.value, float))
                or (isinstance(node, ast.Attribute) and node.attr == "FloatField")
            )

        def near_money(module):
            return package_of(module) != "wallgent" or module == "wallgent.money"

        assert places(is_binary, near_money) == []

    def test_the_clock_is_the_only_source_of_time(self):
        asking = {
            *("datetime.now", "datetime.utcnow", "datetime.today"),
            *("timezone.now", "date.today"),
        }

        def asks(node):
            return isinstance(node, ast.Attribute) and ast.unparse(node) in asking

        assert places(asks, lambda module: module != "wallgent.clock") == []

    def test_plain_hashes_are_of_what_nobody_can_guess(self):
        """Amounts and account numbers can be: for those there is the keyed `credentials.digest`."""
        unguessable = {
            "wallgent.credentials",  # secrets of 256 bits, and the keyed digest itself
            "wallgent.api.idempotency",  # the id of a key, stored beside the key
            "wallgent.api.public",  # a path with a secret, in Redis for a minute
            "wallgent.localdev.sockets",  # a folder's path
            "wallgent.events.chain",  # events, in which nothing is secret
            "wallgent.events.recording",  # salted for each row
            "wallgent.web.templatetags.wallgent",  # files that everybody may read
            "accounts.organizations.pages.organizations",  # as wallgent.api.idempotency
            "accounts.transfers.rails.simulator",  # an order's id
            "links.payment_links.services.import_uploads",  # which keys what comes out
        }

        def hashes(node):
            return isinstance(node, ast.Import) and node.names[0].name == "hashlib"

        assert places(hashes, lambda module: module not in unguessable) == []


def api_views() -> list[type[ApiView]]:
    found = []

    def walk(patterns):
        for entry in patterns:
            if isinstance(entry, URLResolver):
                walk(entry.url_patterns)
            elif isinstance(entry, URLPattern):
                view = getattr(entry.callback, "cls", None)
                if view and issubclass(view, ApiView) and view not in found:
                    found.append(view)

    walk(get_resolver().url_patterns)
    return found


@pytest.mark.parametrize("view", api_views(), ids=lambda view: view.__name__)
class TestEndpoints:
    def test_every_method_has_a_permission_and_every_permission_a_method(self, view):
        methods = {method.upper() for method in HTTP if hasattr(view, method)}

        assert set(view.permissions) == methods
        known = {""} if issubclass(view, PublicView) else set(permissions.ALL)
        assert set(view.permissions.values()) <= known

    def test_every_write_is_a_command(self, view):
        for method in set(HTTP) - {"get"}:
            handler = getattr(view, method, None)
            assert handler is None or hasattr(handler, "__wrapped__"), method


def test_every_route_of_the_api_is_an_api_view():
    strange = []

    def walk(patterns, prefix):
        for entry in patterns:
            path = prefix + str(entry.pattern)
            if isinstance(entry, URLResolver):
                walk(entry.url_patterns, path)
            elif path.startswith("v1/") and not issubclass(
                getattr(entry.callback, "cls", object), ApiView
            ):
                strange.append(path)

    walk(get_resolver().url_patterns, "")
    assert not strange


def test_models_and_migrations_agree(db):
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)

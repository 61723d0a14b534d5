"""The directions of imports, and the coding rules that a test can check."""

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command
from django.urls import URLResolver, get_resolver

from accounts.organizations import permissions
from wallgent.api import operations
from wallgent.api.public import PublicView
from wallgent.api.views import ApiView

ROOT = Path(__file__).resolve().parent.parent

# The packages from the bottom up, each with the packages it may import, and so all that those may
# import. Nothing else is allowed. A dependency in the other direction is registered in
# AppConfig.ready.
PACKAGES = {
    "wallgent": set(),  # its packages are below
    "accounts.ledger": {"wallgent"},
    "accounts.organizations": {"accounts.ledger"},
    "accounts.wallets": {"accounts.organizations"},
    "accounts.controls": {"accounts.wallets"},
    "accounts.payments": {"accounts.controls"},
    "accounts.transfers": {"accounts.controls"},
    "accounts.activity": {"accounts.payments", "accounts.transfers"},
    "accounts.agents": {"accounts.payments", "accounts.transfers"},
    "accounts.pay_ins": {"accounts.payments", "accounts.transfers"},
    "accounts": {"accounts.activity", "accounts.agents", "accounts.pay_ins"},
    "billing": {"accounts"},
    "issuing": {"accounts"},
    "links.payment_links": {"accounts"},
    "links.pay_page": {"links.payment_links"},
    "links": {"links.pay_page"},
}
# The same inside the platform. The modules directly in it, such as wallgent.money, have two kinds:
# those that need only each other, and those that assemble the platform.
PLATFORM = {
    "wallgent": set(),
    "wallgent.localdev": {"wallgent"},
    "wallgent.due_work": {"wallgent"},
    "wallgent.http": {"wallgent"},
    "wallgent.api": {"wallgent.http"},
    "wallgent.events": {"wallgent.api"},
    "wallgent.web": {"wallgent.api"},
    "wallgent.mail": {"wallgent.web"},
    "wallgent.imports": {"wallgent.due_work", "wallgent.events", "wallgent.mail"},
    "wallgent.staff": {"wallgent.events", "wallgent.web"},
    "wallgent.management": {"wallgent.localdev", "wallgent.events"},
}
ASSEMBLY = {
    f"wallgent.{name}"
    for name in (
        *(
            "admin",
            "apps",
            "asgi",
            "celery",
            "models",
            "openapi",
            "service_runner",
            "settings",
            "tasks",
        ),
        *("urls", "wsgi"),
    )
}
TOPS = {name.split(".")[0] for name in PACKAGES}
APPS = TOPS - {"wallgent"} | {"accounts.ledger"}
# The modules directly in a Django app, which only collect those of its packages.
COLLECTING = {"accounts", "links"}

# The modules of the platform that the ledger may import. They import only each other.
BASICS = {f"wallgent.{name}" for name in ("ids", "money", "errors", "clock", "environments")}

# The layers inside a package, from the bottom up. A module imports its own layer or a lower one.
LAYERS = (
    {"errors", "permissions", "__init__"},
    {"models"},
    {"events", "checks"},
    {"services", "rails"},
    {"api", "pages", "admin", "tasks", "forms", "sign_in"},
)
RANKS = {layer: rank for rank, layers in enumerate(LAYERS) for layer in layers}
SERVICES = RANKS["services"]  # the rank of any other module
ENTRY_POINTS = {"api", "pages", "tasks", "admin"}
HTTP = ("get", "post", "put", "patch", "delete")


@cache
def modules() -> list[str]:
    """Return the dotted names of all our modules, except tests."""
    paths = [path for top in TOPS for path in _python(ROOT / top)]
    return sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths)


def _python(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*.py") if "migrations" not in path.parts)


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text())


@cache
def imports_of(module: str) -> list[str]:
    """Return our own modules that a module imports, anywhere in its code."""
    names = []
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports relatively"
            # `from accounts.payments.services import payments` imports the module, if it is one.
            names += [
                f"{node.module}.{alias.name}"
                if _is_module(f"{node.module}.{alias.name}")
                else node.module
                for alias in node.names
            ]
    return [name for name in names if name.split(".")[0] in TOPS]


def _is_module(name: str) -> bool:
    path = name.replace(".", "/")
    return (ROOT / f"{path}.py").exists() or (ROOT / path / "__init__.py").exists()


def package_of(module: str, packages=PACKAGES) -> str:
    """Return the innermost package of a table that contains the module."""
    return max((name for name in packages if f"{module}.".startswith(f"{name}.")), key=len)


@cache
def allowed_for(package: str) -> set[str]:
    """Return the packages that a package may import, itself included."""
    table = PACKAGES if package in PACKAGES else PLATFORM
    return {package}.union(*(allowed_for(name) for name in table[package]))


def layer_of(module: str) -> str:
    """Return the name after the package: `services` of accounts.payments.services.payments."""
    return module.removeprefix(package_of(module)).split(".")[1]


def rank_of(module: str) -> int:
    return RANKS.get(layer_of(module), SERVICES)


def forbidden(allowed: Callable[[str, str], bool], package: str = "") -> list[str]:
    """Return the imports, of one package or all, that `allowed(importer, imported)` refuses."""
    return [
        f"{module} imports {name}"
        for module in modules()
        if not package or package_of(module) == package
        for name in imports_of(module)
        if not allowed(module, name)
    ]


def nodes(matches: Callable[[ast.AST], bool], within: Callable[[str], bool]) -> list[str]:
    """Return the matching syntax nodes of our modules, each with its module and line."""
    return [
        f"{module}:{node.lineno}: {ast.unparse(node)}"
        for module in modules()
        if within(module)
        for node in ast.walk(tree_of(module))
        if matches(node)
    ]


class TestUrls:
    """The sender chooses the Host header, so no URL and no decision depends on it."""

    HOST_NAMES = {
        *("build_absolute_uri", "get_host", "get_port", "get_raw_uri", "_current_scheme_host"),
        *("get_current_site", "HTTP_HOST", "HTTP_X_FORWARDED_HOST", "SERVER_NAME"),
    }

    def test_are_never_built_from_a_request(self):
        def names_the_host(node):
            name = getattr(node, "attr", None) or getattr(node, "id", None)
            name = name or getattr(node, "value", None) or getattr(node, "name", None)
            return isinstance(name, str) and name in self.HOST_NAMES

        assert nodes(names_the_host, lambda module: True) == []

    def test_are_not_built_from_a_request_in_templates(self):
        found = [
            f"{path.relative_to(ROOT)}: {name}"
            for path in (ROOT / "templates").rglob("*.*")
            for name in self.HOST_NAMES
            if name in path.read_text()
        ]

        assert found == []


class TestImports:
    def test_every_package_is_in_the_table(self):
        folders = {
            f"{top}.{path.parent.name}"
            for top in ("accounts", "links", "wallgent")
            for path in (ROOT / top).glob("*/__init__.py")
            if path.parent.name not in ("management", "migrations")
        }

        assert folders <= PACKAGES.keys() | PLATFORM.keys()

    def test_packages_import_only_what_the_table_allows(self):
        def allowed(module, name):
            return package_of(name) in allowed_for(package_of(module))

        assert forbidden(allowed) == []

    def test_packages_of_the_platform_import_only_what_the_table_allows(self):
        def allowed(module, name):
            if package_of(module) != "wallgent" or module in ASSEMBLY:
                return True
            below = allowed_for(package_of(module, PLATFORM))
            return package_of(name, PLATFORM) in below or name == "wallgent.service_runner"

        assert forbidden(allowed) == []

    def test_inside_a_package_imports_go_from_entry_points_to_services_to_models(self):
        def allowed(module, name):
            package = package_of(module)
            if package != package_of(name) or package in COLLECTING or name == package:
                return True
            if package in ("wallgent", "accounts.ledger", "links.pay_page"):
                return True  # not divided into layers
            return rank_of(name) <= rank_of(module)

        assert forbidden(allowed) == []

    def test_entry_points_do_not_import_each_other(self):
        def allowed(module, name):
            package = package_of(module)
            if package != package_of(name) or package in {*COLLECTING, "wallgent"}:
                return True
            layers = {layer_of(module), layer_of(name)}
            return len(layers) == 1 or not layers <= ENTRY_POINTS

        assert forbidden(allowed) == []

    def test_are_not_hidden_in_functions(self):
        hidden = [
            f"{module}: {function.name}"
            for module in modules()
            for function in ast.walk(tree_of(module))
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
            and function.name != "ready"  # an app imports there what needs all apps to be loaded
            for node in ast.walk(function)
            if isinstance(node, ast.Import | ast.ImportFrom)
        ]

        assert hidden == []


class TestTheLedger:
    def test_imports_only_the_basics_of_the_platform(self):
        def allowed(module, name):
            if package_of(name) != "wallgent" or name in BASICS:
                return True
            return module == "accounts.ledger.admin" and name == "wallgent.admin"

        assert forbidden(allowed, "accounts.ledger") == []

    def test_the_basics_import_nothing_else(self):
        assert forbidden(lambda module, name: module not in BASICS or name in BASICS) == []

    def test_has_no_foreign_key_to_another_app(self):
        for model in apps.get_app_config("ledger").get_models():
            for field in model._meta.fields:
                if field.is_relation:
                    assert field.related_model._meta.app_label == "ledger", field

    def test_only_the_journal_posts_to_it(self):
        def posts(node):
            return isinstance(node, ast.Constant) and "ledger_post" in str(node.value)

        callers = {node.split(":")[0] for node in nodes(posts, lambda module: True)}
        assert callers == {"accounts.ledger.journal"}


class TestCodingRules:
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

        assert nodes(names_a_module, of_the_platform) == []

    def test_no_float_is_used_near_money(self):
        def is_float(node):
            return (
                (isinstance(node, ast.Name) and node.id == "float")
                or (isinstance(node, ast.Constant) and isinstance(node.value, float))
                or (isinstance(node, ast.Attribute) and node.attr == "FloatField")
            )

        def near_money(module):
            return package_of(module) != "wallgent" or module == "wallgent.money"

        assert nodes(is_float, near_money) == []

    def test_the_clock_is_the_only_source_of_time(self):
        clock_calls = {
            *("datetime.now", "datetime.utcnow", "datetime.today"),
            *("timezone.now", "date.today"),
        }

        def is_clock_call(node):
            return isinstance(node, ast.Attribute) and ast.unparse(node) in clock_calls

        assert nodes(is_clock_call, lambda module: module != "wallgent.clock") == []

    def test_plain_hashes_are_only_of_values_that_cannot_be_guessed(self):
        """Amounts and account numbers can be guessed; they need the keyed `credentials.digest`."""
        unguessable = {
            "wallgent.credentials",  # secrets of 256 bits, and the keyed digest itself
            "wallgent.api.idempotency",  # the id of a key, stored with the key
            "wallgent.api.public",  # a path with a secret, in Redis for a minute
            "wallgent.localdev.sockets",  # a folder's path
            "wallgent.events.chain",  # events, which have no secrets
            "wallgent.events.recording",  # salted for each row
            "wallgent.web.templatetags.wallgent",  # public files
            "accounts.organizations.pages.organizations",  # as wallgent.api.idempotency
            "accounts.transfers.rails.simulator",  # the id of an order
            "wallgent.imports.uploads",  # its hash goes into the keyed digest
        }

        def hashes(node):
            return isinstance(node, ast.Import) and node.names[0].name == "hashlib"

        assert nodes(hashes, lambda module: module not in unguessable) == []


@pytest.mark.parametrize("operation", operations.declared(), ids=str)
class TestOperations:
    def test_needs_a_permission_unless_its_path_is_public(self, operation):
        view = next(v for v in operations.views if operation in v.operations.values())

        assert (operation.permission in permissions.ALL) != issubclass(view, PublicView)

    def test_every_parameter_of_the_path_is_loaded(self, operation):
        named = set(re.findall("{(.*?)}", operation.path)) - {"slug"}  # of public paths

        assert named <= {loader.source for loader in operation.loaders}


def test_every_method_of_an_api_view_is_an_operation():
    assert operations.views
    for view in operations.views:
        assert set(view.operations) == {m.upper() for m in HTTP if hasattr(view, m)}, view


def test_every_route_of_the_api_is_an_api_view():
    others = []

    def walk(patterns, prefix):
        for entry in patterns:
            path = prefix + str(entry.pattern)
            if isinstance(entry, URLResolver):
                walk(entry.url_patterns, path)
            elif path.startswith("v1/") and not issubclass(
                getattr(entry.callback, "cls", object), ApiView
            ):
                others.append(path)

    walk(get_resolver().url_patterns, "")
    assert not others


def test_models_and_migrations_agree(db):
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)

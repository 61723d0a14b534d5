"""Wallgent as a person meets it: in Chromium, on a screen of some size, with or without scripts."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, Playwright

PHONE, DESKTOP = (360, 740), (1280, 900)
PASSWORD = "correct horse battery staple"

# A closed machine answers none of the calls that Chromium makes for itself.
_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def executable() -> str | None:
    """Where this machine has a Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


def launch(playwright: Playwright) -> Browser:
    """A Chromium without a window."""
    return playwright.chromium.launch(executable_path=executable(), args=_OPTIONS)


@dataclass
class Visit:
    """One person's browser. What goes wrong in it unseen is kept in `complaints`."""

    context: BrowserContext
    page: Page
    origin: str
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        """Open a path of the site, or an address."""
        self.page.goto(path if "://" in path else self.origin + path)
        return self.page

    def tab(self, path: str) -> Page:
        """Open a path of the site in one more tab."""
        page = self.context.new_page()
        page.goto(self.origin + path)
        return page

    def path(self) -> str:
        return self.page.url.removeprefix(self.origin)

    def photograph(self, path: Path) -> None:
        """The whole page as a picture."""
        self.page.screenshot(path=path, full_page=True)

    def is_wider_than_its_screen(self, page: Page | None = None) -> bool:
        """Whether one would have to scroll sideways."""
        return (page or self.page).evaluate(
            "document.scrollingElement.scrollWidth > document.scrollingElement.clientWidth"
        )


@contextmanager
def visit(
    browser: Browser,
    origin: str,
    *,
    scripts: bool = True,
    dark: bool = False,
    screen: tuple[int, int] = DESKTOP,
    **options,
) -> Iterator[Visit]:
    """A browser of somebody's own. Afterwards nothing in it has complained.

    A refused script, a lost file, a request to anybody else: each is a complaint.
    """
    width, height = screen
    context = browser.new_context(
        java_script_enabled=scripts,
        color_scheme="dark" if dark else "light",
        viewport={"width": width, "height": height},
        **options,
    )
    context.set_default_timeout(30_000)
    visit = Visit(context, context.new_page(), origin)
    context.on("page", lambda page: _listen(page, visit))
    _listen(visit.page, visit)
    context.on("request", lambda request: _note_stranger(request, visit))
    try:
        yield visit
    finally:
        context.close()
    assert not visit.complaints, visit.complaints


def _listen(page: Page, visit: Visit) -> None:
    page.on("pageerror", lambda error: visit.complaints.append(f"script error: {error}"))
    page.on("console", lambda message: _note_message(message, visit))


def _note_message(message, visit: Visit) -> None:
    # The browser reports each answer of 4xx by itself: those are refusals, which tests look at.
    expected = "the server responded with a status of 4"
    if message.type == "error" and expected not in message.text:
        visit.complaints.append(f"console: {message.text}")


def _note_stranger(request, visit: Visit) -> None:
    if not request.url.startswith((visit.origin, "data:", "blob:")):
        visit.complaints.append(f"asked a stranger: {request.url}")

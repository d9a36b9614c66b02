"""A real browser, pages open in it, and what must not happen while they are."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe import AXE
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def _without(reason: str) -> None:
    """Skip a test, or let it fail where all tests have to run."""
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        pytest.fail(f"{reason}: .ci/browser installs it")
    pytest.skip(f"{reason}: see .ci/browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, without a window.

    It closes with the module: an event loop runs as long as it is open, and would be in the way of
    tests that start one.
    """
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        _without(f"there is none of {', '.join(PROGRAMS)}")
    if not AXE.is_file():
        _without("axe-core is not there")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Open a page, given as HTML or as a file, in a window of its own.

    Keywords are those of `Browser.new_context`. The test fails where a page asks for anything that
    does not lie beside it, prints an error, or opens a dialogue.
    """
    complaints: list[str] = []
    folders: list[str] = []
    contexts = []

    def on_request(request: Request) -> None:
        if not request.url.startswith(("data:", "blob:", *folders)):
            complaints.append(f"asked for {request.url}")

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"console: {message.text}")

    def open_page(page: str | Path, fragment: str = "", **options: Any) -> Page:
        if isinstance(page, str):
            path = tmp_path / f"page-{len(contexts)}" / "page.html"
            path.parent.mkdir()
            path.write_text(page, encoding="utf-8")
        else:
            path = page
        folders.append(path.parent.as_uri())
        context = browser.new_context(**options)
        contexts.append(context)
        tab = context.new_page()
        tab.on("request", on_request)
        tab.on("console", on_console)
        tab.on("pageerror", lambda error: complaints.append(f"script: {error}"))
        tab.on("dialog", lambda dialog: complaints.append(f"dialogue: {dialog.message}"))
        tab.goto(path.as_uri() + fragment)
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []

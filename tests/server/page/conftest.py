"""A page at work, and a browser that looks at it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from reunet.server.models import Models
from reunet.server.security import Rules
from reunet.server.service import Service

from ..asking import Asked, serving

CHROMIUM = (Path("/usr/bin/chromium"), Path("/usr/bin/chromium-browser"), Path("/usr/bin/google-chrome"))


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Asked]]:
    """A function of runs and a dataset that serves their page."""
    with ExitStack() as stack:

        def started(*runs: Path, data: Path | None = None) -> Asked:
            models, scratch = Models(), tmp_path / "scratch"
            for run in runs:
                models.add(run)
            scratch.mkdir()
            service = Service(models, scratch, data=data)
            return Asked(service, stack.enter_context(serving(service, Rules())))

        yield started


@pytest.fixture
def discs(make_dataset: Callable[..., Path], make_bright_run: Callable[..., Path], tmp_path: Path) -> Path:
    """A dataset of bright discs; `discs-run` beside it finds what is bright."""
    data = make_dataset(tmp_path / "discs", train=3, test=1)
    facts = json.loads((data / "dataset.json").read_text())
    facts["classes"][1]["name"] = "bright"
    (data / "dataset.json").write_text(json.dumps(facts))
    make_bright_run(tmp_path / "discs-run")
    return data


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless browser, shared by all tests."""
    api = pytest.importorskip("playwright.sync_api")
    found = next((path for path in CHROMIUM if path.is_file()), None)
    if found is None:
        pytest.skip("no chromium is installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


class Eye:
    """A window of the browser, and what went wrong in it: errors, and requests to others."""

    def __init__(self, browser: Any, server: Asked, *, lang: str = "en", width: int = 1280) -> None:
        address = f"http://127.0.0.1:{server.port}"
        context = browser.new_context(viewport={"width": width, "height": 800})
        self.page, self.wrong = context.new_page(), []
        self.page.set_default_timeout(20_000)
        self.page.on("console", lambda one: self.wrong.append(one.text) if one.type == "error" else None)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda one: self._check(one.url, address))
        self.page.goto(f"{address}/?lang={lang}")
        self.page.wait_for_selector("body[data-ready]")

    def _check(self, url: str, address: str) -> None:
        if not url.startswith((address, "blob:", "data:")):
            self.wrong.append(f"asks {url}")

    def settled(self) -> None:
        """Wait until what was asked for is there."""
        self.page.wait_for_selector("#stage:not([aria-busy])")

    def correct(self, name: str) -> None:
        """Take an image for correction, by its name in the list."""
        self.page.click(f"#images button[title='{name}']")
        self.settled()
        self.page.click("#tab-correct")
        self.page.wait_for_selector("#edit-tools:not([hidden])")

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the picture lies in the window."""
        box = self.page.locator("#view").bounding_box()
        place = self.page.evaluate("import('/static/js/stage.js').then((m) => m.viewer.place(0))")
        return box["x"] + place["left"] + x * place["scale"], box["y"] + place["top"] + y * place["scale"]

    def drag(self, *points: tuple[float, float]) -> None:
        """Draw from point to point of the picture with the button held."""
        for number, point in enumerate(points):
            self.page.mouse.move(*self.at(*point), steps=4)
            if not number:
                self.page.mouse.down()
        self.page.mouse.up()

    def wait_said(self, text: str) -> None:
        """Wait until the page says something in its last line."""
        self.page.wait_for_selector(f"#said:has-text('{text}')")


@pytest.fixture
def look(chromium: Any, serve: Any) -> Iterator[Callable[..., Eye]]:
    """A function that opens a window at an address; nothing may have gone wrong in it in the end."""
    eyes: list[Eye] = []

    def opened(server: Asked, **options: Any) -> Eye:
        eyes.append(Eye(chromium, server, **options))
        return eyes[-1]

    yield opened
    for eye in eyes:
        eye.page.context.close()
        assert eye.wrong == []

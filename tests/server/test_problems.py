"""Errors in the language of whoever asks."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.asking import Asked

import reunet
from reunet.texts import translator

HOUSE = Path(reunet.__file__).parent
STARTING = {"serve.py", "open.py", "running.py"}
"""What these say is said on the terminal."""


def sentences(file: Path) -> Iterator[str]:
    """What errors are and how they are mended, of those that are made in a file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Error"):
            told = [*node.args, *(word.value for word in node.keywords if word.arg == "fix")]
            for part in told:
                if isinstance(part, ast.Constant) and isinstance(part.value, str) and " " in part.value:
                    yield part.value


def test_what_people_read_on_the_page_is_translated() -> None:
    say = translator("zh")
    files = [*(HOUSE / "server").rglob("*.py"), *(HOUSE / "corrections").rglob("*.py")]
    found = {text for file in files if file.name not in STARTING for text in sentences(file)}
    assert len(found) > 80
    assert not [text for text in found if say(text) == text and not text.startswith("curl ")]


@pytest.mark.parametrize("path", ["/v1/jobs/none", "/nothing", "/page/images/none/edit"])
def test_errors_speak_the_language_that_is_accepted(ask: Asked, path: str) -> None:
    english, chinese = (ask("GET", path, headers={"Accept-Language": one}) for one in ("en", "zh-CN,en"))
    assert english.status == chinese.status == 404
    assert english.json["title"].isascii()
    assert not chinese.json["title"].isascii()
    assert ask("GET", path).json == english.json
    refused = ask("GET", path, headers={"Accept-Language": "zh", "Host": "other.example"})
    assert refused.status == 421
    assert not refused.json["title"].isascii()


def test_all_methods_of_an_address_are_named(ask: Asked) -> None:
    answer = ask("PATCH", "/v1/jobs/none", b"{}")
    assert answer.status == 405
    assert {"GET", "DELETE"} <= set(answer.headers["allow"].split(", "))

"""Many files by HTTP: sent, followed, fetched; archives that would do harm."""

from __future__ import annotations

import io
import json
import stat
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reunet.server import uploads
from reunet.server.problems import RefusedError
from reunet.server.uploads import safe_name, unpack

from .asking import Answer, Asked, png


def packed(*files: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files:
            opened.writestr(name, content)
    return archive.getvalue()


def followed(ask: Asked, begun: Answer) -> list[dict[str, Any]]:
    """All that is told of a job, up to its end."""
    assert begun.status == 202, begun.body
    text = ask("GET", f"{begun.headers['location']}/events").body.decode()
    events = [event.split("\n") for event in text.strip().split("\n\n") if not event.startswith(":")]
    assert [lines[0] for lines in events[:-1]] == ["event: progress"] * (len(events) - 1)
    assert events[-1][0] == "event: end"
    return [json.loads(lines[1].removeprefix("data: ")) for lines in events]


def test_a_job_from_post_to_results(ask: Asked, bright: np.ndarray) -> None:
    sent = packed(("wells/a.png", png(bright)), ("wells/b.png", png(bright)), ("wells/c.png", b"no image"))
    begun = ask("POST", "/v1/jobs", sent, {"Content-Type": "application/zip"})
    *_, last = followed(ask, begun)
    assert (last["state"], last["done"], last["total"]) == ("partly", 3, 3)
    assert list(last["failures"]) == ["wells/c.png"]
    assert str(ask.service.scratch) not in json.dumps(last)
    with zipfile.ZipFile(io.BytesIO(ask("GET", last["results"]).body)) as results:
        assert {"masks/wells/a.png", "masks/wells/b.png"} <= set(results.namelist())
    assert ask("DELETE", begun.headers["location"]).status == 204
    assert ask("GET", begun.headers["location"]).status == 404
    assert not [*ask.service.scratch.iterdir()]


@pytest.mark.parametrize("kind", ["application/octet-stream", "image/png", "application/zip"])
def test_a_body_without_a_name_is_told_by_its_content(ask: Asked, bright: np.ndarray, kind: str) -> None:
    archive = packed(("a.png", png(bright)))
    for body, place in ((png(bright), "masks/image.png"), (archive, "masks/a.png")):
        *_, last = followed(ask, ask("POST", "/v1/jobs", body, {"Content-Type": kind}))
        assert last["state"] == "done", last
        with zipfile.ZipFile(io.BytesIO(ask("GET", last["results"]).body)) as results:
            assert place in results.namelist()


def test_two_clients_with_one_name(ask: Asked, bright: np.ndarray) -> None:
    both = [ask.send("/v1/jobs", ("cell.png", png(pixels))) for pixels in (bright, 255 - bright)]
    masks = []
    for begun in both:
        *_, last = followed(ask, begun)
        with zipfile.ZipFile(io.BytesIO(ask("GET", last["results"]).body)) as results:
            masks.append(results.read("masks/cell.png"))
    assert masks[0] != masks[1]
    twice = ask.send("/v1/jobs", ("cell.png", png(bright)), ("cell.png", png(bright)))
    assert (twice.status, twice.json["title"]) == (422, "two files have one name")


def test_a_job_without_images_fails_with_a_sentence(ask: Asked) -> None:
    *_, last = followed(ask, ask.send("/v1/jobs", ("notes.txt", b"hello")))
    assert last["state"] == "failed"
    assert "no images" in last["message"]
    assert str(ask.service.scratch) not in last["message"]
    assert not [path for path in ask.service.scratch.rglob("*") if path.is_file()]
    answer = ask("GET", f"/v1/jobs/{last['id']}/results")
    assert (answer.status, answer.json["title"]) == (409, "this job has no results")


def test_a_job_that_is_cancelled_leaves_nothing(
    ask: Asked, bright: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reunet.server.jobs.MOST_OPEN", 1)
    parts = [(f"{i}.png", png(np.tile(bright, (8, 8)))) for i in range(40)]
    begun = ask.send("/v1/jobs", *parts)
    full = ask.send("/v1/jobs", ("a.png", png(bright)))
    assert (full.status, "retry-after" in full.headers) == (429, True)
    assert ask("DELETE", begun.headers["location"]).status == 204
    end = time.monotonic() + 20
    while [*ask.service.scratch.iterdir()] and time.monotonic() < end:
        time.sleep(0.05)
    assert not [*ask.service.scratch.iterdir()]


@pytest.mark.parametrize(
    "name",
    [
        "../a.png",
        "a/../../b.png",
        "/etc/passwd",
        "C:\\a.png",
        "..\\a.png",
        "\\\\host\\a",
        "",
        ".",
        "a\0b",
        "x" * 300,
    ],
)
def test_names_that_lead_elsewhere(name: str) -> None:
    with pytest.raises(RefusedError, match="name that cannot be used"):
        safe_name(name)


def test_names_that_are_kept() -> None:
    for name, kept in (("a b.png", "a b.png"), ("./x/ü.png", "x/ü.png"), ("x\\y.png", "x/y.png")):
        assert str(safe_name(name)) == kept


def link(name: str) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.create_system, made.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return made


@pytest.mark.fault(
    "a zip archive with .., absolute names, links, or a bomb is sent to the server",
    "nothing is written outside",
)
@pytest.mark.parametrize(
    ("files", "says"),
    [
        ([("../../evil.png", b"x")], "name that cannot be used"),
        ([("/tmp/evil.png", b"x")], "name that cannot be used"),
        ([(link("a.png"), b"/etc/passwd")], "no file"),
        ([("a", b"x"), ("a/b.png", b"x")], "one name"),
        ([("zeros.tif", bytes(10**7))], "too large"),
        ([(f"{i}", b"") for i in range(20)], "too large"),
    ],
)
def test_archives_that_would_do_harm(
    files: list[Any], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MOST_ENTRIES", 10)
    archive, folder = tmp_path / "in.zip", tmp_path / "deep" / "in"
    archive.write_bytes(packed(*files))
    folder.mkdir(parents=True)
    with pytest.raises(RefusedError, match=says):
        unpack(archive, folder)
    assert {path.name for path in tmp_path.rglob("*")} <= {"in.zip", "deep", "in", "a"}


def test_an_archive_that_lies_about_its_sizes(tmp_path: Path) -> None:
    """The size in the directory counts, whatever is packed."""
    content = bytearray(packed(("a.png", bytes(5000))))
    place = content.rindex(b"PK\x01\x02") + 24
    content[place : place + 4] = (10).to_bytes(4, "little")
    archive = tmp_path / "in.zip"
    archive.write_bytes(bytes(content))
    with pytest.raises(RefusedError, match="cannot be unpacked"):
        unpack(archive, tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < len(content) + 100


def test_a_damaged_archive(ask: Asked, bright: np.ndarray) -> None:
    sent = packed(("a.png", png(bright)))[:-40]
    *_, last = followed(ask, ask("POST", "/v1/jobs", sent, {"Content-Type": "application/zip"}))
    assert last["state"] == "failed"
    assert "cannot be unpacked" in last["message"]


def test_old_results_go(
    start: Callable[..., Asked], bright: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reunet.server.jobs.KEPT", 1)
    ask = start()
    begun = [ask.send("/v1/jobs", ("a.png", png(bright))) for _ in range(2)]
    for one in begun:
        followed(ask, one)
    assert [ask("GET", one.headers["location"]).status for one in begun] == [404, 200]

"""What the page asks of its server, and what nobody should ask."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reunet.errors import UsageError
from reunet.server.page.entries import levels
from reunet.server.page.library import runs_of
from reunet.server.page.packing import packed, unpacked
from reunet.server.page.train_child import Report
from reunet.server.page.training import next_run

from ..asking import png

Server = Callable[..., Any]


def test_packs_come_back_as_they_were() -> None:
    arrays = {
        "ids": np.arange(5, dtype=np.int32), "classes": np.full((3, 7), 200, np.uint8), "none": None,
        "wide": np.array([65535], np.uint16),
    }  # fmt: skip
    told, found = unpacked(packed({"name": "a\u00b5"}, arrays))
    assert told == {"name": "a\u00b5"}
    assert {name: array.tolist() for name, array in found.items()} == {
        "ids": [0, 1, 2, 3, 4], "classes": [200] * 21, "wide": [65535],
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: b"",
        lambda data: b"\xff" * 40,
        lambda data: data.replace(b"uint8", b"uintX"),
        lambda data: data.replace(b'"count": 21', b'"count": 99'),
        lambda data: data.replace(b'"count": 21', b'"count": -9'),
    ],
)
def test_what_is_no_pack_is_refused(change: Callable[[bytes], bytes]) -> None:
    data = packed({}, {"classes": np.zeros((3, 7), np.uint8)})
    with pytest.raises(UsageError):
        unpacked(change(data))


def test_levels_end_in_one_tile() -> None:
    assert [levels((side, 10)) for side in (1, 512, 513, 1024, 1025, 40_000)] == [1, 1, 2, 2, 3, 8]


def test_runs_are_found_by_the_name_of_their_dataset(tmp_path: Path) -> None:
    for name in ("cells-run", "cells-run-2", "cells-run-10", "cells-runner", "other-run", "cells-run-3"):
        engine = tmp_path / name / "engine"
        engine.mkdir(parents=True)
        if name != "cells-run-3":  # has not finished
            (engine / "model.xml").touch()
    found = [run.name for run in runs_of(tmp_path / "cells")]
    assert found == ["cells-run", "cells-run-2", "cells-run-10"]
    assert next_run(tmp_path / "cells-run-10").name == "cells-run-4"
    assert next_run(tmp_path / "new-run").name == "new-run"


def test_what_a_training_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are drawn when the score is the best so far, once its weights are written."""
    report, drawn = Report(tmp_path, tmp_path, tmp_path), []
    monkeypatch.setattr(
        Report, "_pictures", lambda self: drawn.append(1) or [{"name": "a", "file": "0-0.png"}]
    )
    report.start("training", 10)
    report.advance(1, loss=0.5)
    report.advance(0, val_score=np.float32(0.5))
    assert drawn == []
    report.advance(1)
    assert drawn == [1]
    told = json.loads((tmp_path / "report.json").read_text())
    assert (told["task"], told["steps"], told["pictures"][0]["name"]) == ("training", 10, "a")
    report.advance(0, val_score=None)
    report.advance(0, val_score=np.float32(0.4))
    report.start("exporting the engine", None)
    assert drawn == [1]


def test_labels_are_sent_and_saved(serve: Server, discs: Path) -> None:
    ask = serve(data=discs)
    state = ask("GET", "/page/state").json
    assert [run["name"] for run in state["runs"]] == ["discs-run"]
    images = ask("GET", "/page/images").json["images"]
    first = next(one for one in images if one["name"] == "train_00")
    path = f"/page/images/{first['id']}"
    facts = ask("GET", path).json
    assert (facts["height"], facts["width"], facts["tiles"]) == (64, 64, None)
    told, arrays = unpacked(ask("GET", f"{path}/edit").body)
    assert told["kinds"] == ["masks"]
    before = arrays["classes"].copy()
    mended = before.copy()
    mended[:64] = 1
    body = packed({"version": told["version"], "by": "Ada", "objects": None}, {"classes": mended})
    saved = ask("PUT", f"{path}/edit", body)
    assert saved.status == 200
    assert saved.json["image"]["corrected"] is True
    assert ask("PUT", f"{path}/edit", body).status == 409  # it is no longer what was opened
    _, arrays = unpacked(ask("GET", f"{path}/layers?of=truth").body)
    assert np.array_equal(arrays["classes"], mended)


def test_labels_that_do_not_fit_are_refused(serve: Server, discs: Path) -> None:
    ask = serve(data=discs)
    files = {path: path.read_bytes() for path in discs.rglob("*") if path.is_file()}
    image = ask("GET", "/page/images").json["images"][0]["id"]
    path = f"/page/images/{image}/edit"
    told, _ = unpacked(ask("GET", path).body)
    version = told["version"]
    bad = [
        packed({"version": version}, {"classes": np.zeros(5, np.uint8)}),
        packed({"version": version}, {"classes": np.full(64 * 64, 7, np.uint8)}),
        packed(
            {"version": version, "objects": [{"id": 2**40, "class": 1}]}, {"ids": np.zeros(4096, np.int32)}
        ),
        packed({"version": version, "boxes": [{"box": [0, 0, 1], "class": 0}]}, {}),
        packed({"version": version, "category": "x"}, {}),
        b"nothing",
    ]
    for body in bad:
        answer = ask("PUT", path, body)
        assert 400 <= answer.status < 500, body[:80]
        assert answer.json["title"]
    assert files == {path: path.read_bytes() for path in discs.rglob("*") if path.is_file()}


def test_what_is_not_there_is_told(serve: Server, discs: Path) -> None:
    ask = serve(data=discs)
    image = ask("GET", "/page/images").json["images"][0]["id"]
    for path in (
        "/page/images/i999999",
        f"/page/images/{image}/picture?page=3",
        f"/page/images/{image}/tile?level=0&x=5&y=0",
        f"/page/images/{image}/layers?of=prediction&run=other",
        "/page/training/pictures/..%2f..%2freport.json",
    ):
        assert ask("GET", path).status == 404, path
    assert ask("GET", f"/page/images/{image}/layers?of=prediction&box=a").status == 400
    assert ask("DELETE", f"/page/images/{image}").status == 400
    assert ask("POST", "/page/training/resume", b"{}").status == 400
    assert ask("POST", "/page/training/start?minutes=nan", b"{}").status in (400, 422)


def test_unlabelled_images_are_ranked(serve: Server, discs: Path) -> None:
    ask = serve(data=discs)
    sure, unsure = np.full((40, 40), 10, np.uint8), np.full((40, 40), 128, np.uint8)
    names = {}
    for name, image in (("sure.png", sure), ("unsure.png", unsure)):
        found = ask("POST", f"/page/images?name={name}", png(image)).json["images"]
        names[found[0]["id"]] = name
    answer = ask("POST", "/page/suggest?run=discs-run", b"{}", {"Accept-Language": "zh-CN"})
    assert answer.status == 200, answer.json
    assert answer.json["confidence"] == "raw"
    ranked = answer.json["suggestions"]
    assert [names[one["image"]] for one in ranked] == ["unsure.png", "sure.png"]
    assert not ranked[0]["reason"].isascii()


def test_zips_and_wrong_files_that_are_dropped(serve: Server, discs: Path) -> None:
    ask = serve(data=discs)
    image = png(np.zeros((8, 9), np.uint8))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("one.png", image)
        archive.writestr("sub/two.png", b"no image")
    answer = ask("POST", "/page/images?name=several.zip", file.getvalue()).json
    assert [one["name"] for one in answer["images"]] == ["several/one.png"]
    assert [one["name"] for one in answer["refused"]] == ["several/sub/two.png"]
    scratch = ask.service.scratch
    before = sorted(scratch.iterdir())
    for name, content in (("a.txt", b"text"), ("a.png", image[:30]), ("../a.png", image), ("a.png", b"")):
        refused = ask("POST", f"/page/images?name={name}", content)
        assert refused.status == 422
        assert str(scratch) not in json.dumps(refused.json)
    assert sorted(scratch.iterdir()) == before
    taken = answer["images"][0]["id"]
    assert ask("DELETE", f"/page/images/{taken}").status == 204
    assert ask("GET", f"/page/images/{taken}").status == 404

"""The page in a browser: images dropped, looked at, corrected and saved; in both languages, for everybody."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ..asking import png

Looker = Callable[..., Any]


def coloured(eye: Any) -> int:
    """How many pixels are drawn over the picture."""
    return int(
        eye.page.evaluate(
            """() => { const c = document.querySelector("canvas.found");
            const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
            let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; }"""
        )
    )


def test_from_drop_to_correction(look: Looker, serve: Looker, discs: Path) -> None:
    image = np.full((64, 96), 40, np.uint8)
    image[20:40, 30:60] = 220
    eye = look(serve(data=discs))
    assert eye.page.text_content("#run") == "discs-run"
    eye.page.set_input_files("#files", {"name": "new.png", "mimeType": "image/png", "buffer": png(image)})
    eye.page.wait_for_selector("#images button[title='new.png'][aria-current='true']")
    eye.settled()
    shown = coloured(eye)
    assert shown > 1000
    eye.page.fill("#threshold", "1")  # nothing is as sure as that
    eye.page.wait_for_selector("#found-rows tr:last-child td:last-child:text-is('0.0 %')")
    assert coloured(eye) < shown / 10

    eye.correct("new.png")
    assert "discs" in eye.page.text_content("#from")
    eye.page.fill("#by", "Ada")
    eye.page.click("#tools [data-tool=polygon]")
    for x, y in ((70, 5), (90, 5), (90, 15), (70, 15)):
        eye.page.mouse.click(*eye.at(x, y))
    eye.page.keyboard.press("Enter")
    eye.page.click("#tools [data-tool=eraser]")
    eye.drag((30, 30), (60, 30))
    eye.page.click("#save")
    eye.wait_said("Saved")
    (saved,) = (discs / "train" / "masks").glob("new*")
    mask = np.asarray(Image.open(saved))
    assert mask.shape == image.shape
    assert mask[6:14, 71:89].all()
    assert not mask[28:33, 30:60].any()
    assert mask[21, 45]  # what was predicted and not touched
    rows = list(csv.DictReader((discs / "corrections.csv").read_text("utf-8").splitlines()))
    assert [row["by"] for row in rows] == ["Ada"]


def test_undo_two_windows_and_leaving(look: Looker, serve: Looker, discs: Path) -> None:
    label = discs / "train" / "masks" / "train_00.png"
    before = label.read_bytes()
    server = serve(data=discs)
    one, other = look(server), look(server)
    for eye in (one, other):
        eye.correct("train_00")
        eye.page.click("#tools [data-tool=brush]")
        eye.drag((5, 5), (20, 5))
    one.page.keyboard.press("Control+z")
    assert one.page.is_enabled("#redo")
    one.page.keyboard.press("Control+y")
    one.page.keyboard.press("Control+s")
    one.wait_said("Saved")
    mended = label.read_bytes()
    assert mended != before
    assert (discs / "corrections" / "train" / "masks" / "train_00.png").read_bytes() == before
    other.page.click("#save")
    other.page.wait_for_selector("#conflict[open]")
    other.page.click("#conflict [value=stay]")
    other.page.click("#images button[title='train_01']")
    other.page.wait_for_selector("#unsaved[open]")
    other.page.click("#unsaved [value=discard]")
    other.page.wait_for_selector("#images button[title='train_01'][aria-current='true']")
    other.wrong = [text for text in other.wrong if "409" not in text]
    assert label.read_bytes() == mended


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_for_everybody(look: Looker, serve: Looker, discs: Path, lang: str) -> None:
    """Nothing serious is found by axe-core, on any tab, wide and narrow; every text is there."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    eye = look(serve(data=discs), lang=lang)
    eye.settled()
    for tab, width in (("look", 1280), ("correct", 400), ("suggest", 1280), ("continue", 400)):
        eye.page.set_viewport_size({"width": width, "height": 800})
        eye.page.click(f"#tab-{tab}")
        eye.page.wait_for_timeout(100)
        found = axe.Axe().run(eye.page).response["violations"]
        serious = [
            (one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")
        ]
        assert serious == []
        wide = eye.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width
    missing = eye.page.evaluate(
        """[...document.querySelectorAll("[data-t]")].map((one) => [one.dataset.t, one.textContent])
        .filter(([key, text]) => key === text)"""
    )
    assert missing == []


def test_texts_of_both_languages_are_the_same() -> None:
    folder = Path(__file__).parents[3] / "src/reunet/server/page/static/texts"
    english, chinese = (json.loads((folder / f"{name}.json").read_text("utf-8")) for name in ("en", "zh"))
    assert {key for key in english if not key.endswith(".one")} == set(chinese)
    for key, text in chinese.items():
        names = [{part.split("}")[0] for part in one.split("{")[1:]} for one in (text, english[key])]
        assert names[0] == names[1], key


def test_shapes(look: Looker, serve: Looker, discs: Path) -> None:
    """What the tools change is what they say: centres inside of an outline, objects in two, whole regions."""
    eye = look(serve(data=discs))
    told = eye.page.evaluate(
        """async () => {
        const { polygon, connected, cut, stroke } = await import("/static/js/shapes.js");
        const size = { width: 12, height: 10 };
        const inside = [];
        polygon(size, [[1.2, 1.2], [9.4, 1.2], [9.4, 7.6]], (i) => inside.push(i));
        const ids = new Int32Array(120);
        for (let y = 2; y < 8; y++) for (let x = 1; x < 11; x++) ids[y * 12 + x] = 3;
        const split = cut(size, ids, 3, { x: 6, y: 0 }, { x: 6, y: 10 });
        const none = cut(size, ids, 3, { x: 6, y: 0 }, { x: 6, y: 4 });
        const line = [];
        stroke(size, { x: 2, y: 5 }, { x: 9, y: 5 }, 1.5, (i) => line.push(i));
        return { inside, split, none, line, region: connected(size, ids, 2 * 12 + 1).length };
        }"""
    )
    y, x = np.mgrid[:10, :12] + 0.5
    expected = (x >= 1.2) & (x < 9.4) & (y >= 1.2) & (y - 1.2 < (x - 1.2) * 6.4 / 8.2)
    assert sorted(told["inside"]) == np.flatnonzero(expected).tolist()
    (part,) = told["split"]
    assert len(part) == 30
    assert told["none"] == []
    assert told["region"] == 60
    near = np.hypot(x - np.clip(x, 2, 9), y - 5) <= 1.5
    assert sorted(told["line"]) == np.flatnonzero(near).tolist()


@pytest.mark.slow
def test_the_whole_loop(
    look: Looker, serve: Looker, tiny_dataset: Path, tiny_run: Path, tmp_path: Path
) -> None:
    """Images are dropped, ranked, corrected and saved; the model trains on, can be stopped, and is used."""
    data, run = tmp_path / "discs", tmp_path / "discs-run"
    shutil.copytree(tiny_dataset, data)
    shutil.copytree(tiny_run, run)
    eye = look(serve(run))
    page = eye.page
    page.set_default_timeout(180_000)
    rng = np.random.default_rng(0)
    files = []
    for number in range(2):
        image = rng.normal(60, 12, (64, 64))
        image[10:30, 10 + number : 40] += 90
        file = {"name": f"new{number}.png", "mimeType": "image/png"}
        files.append(file | {"buffer": png(image.clip(0, 255).astype(np.uint8))})
    page.set_input_files("#files", files)
    page.wait_for_selector("#said:has-text('2 files added')")
    page.click("#tab-suggest")
    page.click("#suggest")
    page.wait_for_selector("#suggestions li")
    assert page.locator("#suggestions li").count() == 2
    page.click("#suggestions li:first-child button")
    page.wait_for_selector("#edit-tools:not([hidden])")
    page.click("#tools [data-tool=polygon]")
    for corner in ((10, 10), (40, 10), (40, 30), (10, 30)):
        page.mouse.click(*eye.at(*corner))
    page.keyboard.press("Enter")
    page.click("#save")
    eye.wait_said("Saved")
    page.click("#tab-continue")
    assert "1 here" in page.text_content("#train-plan")
    page.fill("#minutes", "2")
    page.click("#train")
    page.wait_for_selector("#curves:not([hidden])")
    page.click("#stop")
    page.wait_for_selector("#go-on:not([hidden])")
    page.click("#go-on")
    page.wait_for_selector("#use-new:not([hidden])")
    assert page.locator("#validation-pictures img").count() > 0
    page.click("#use-new")
    eye.wait_said("discs-run-2")
    assert page.input_value("#run") == "discs-run-2"
    plan = json.loads((tmp_path / "discs-run-2" / "plan.json").read_text())
    assert "correct" in json.dumps(plan["reasons"])

"""The page of a plan."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import reunet
from reunet.errors import UsageError
from reunet.report import planned
from reunet.report.page import choices_of


def test_the_page_shows_data_patches_and_choices(tiny_dataset: Path, tmp_path: Path) -> None:
    plan = reunet.plan(tiny_dataset, minutes=3, page=tmp_path / "plan.html")
    page = (tmp_path / "plan.html").read_text(encoding="utf-8")
    assert page.count('alt="training patch') == planned.CROPS
    assert page.count("<svg") >= 2
    for name, value, reason in choices_of(plan):
        assert f"<code>{name}</code>" in page
        assert all(text in page.replace("&#39;", "'") for text in (value, reason))
    assert "3 minutes" in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert "[]" not in "".join(value for _, value, _ in choices_of(plan))


def test_a_patch_is_drawn_with_its_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data" / "train"
    for number in range(2):
        image = np.full((64, 64), 90 + 10 * number, np.uint8)
        image[20:40, 10:50] = 200
        for kind, pixels in (("images", image), ("masks", (image == 200).astype(np.uint8))):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / kind / f"{number}.png")
    kept: list[planned.Planned] = []
    monkeypatch.setattr("reunet.flows.plan.write_plan_page", lambda path, given: kept.append(given))
    plan = reunet.plan(tmp_path / "data", minutes=1, page=tmp_path / "plan.html")
    still = plan.augmentation.model_copy(update={"geometry_probability": 0.0, "intensity_probability": 0.0})
    still = plan.model_copy(update={"augmentation": still})
    for picture in planned.crops(kept[0].train, still, count=3):
        colored = picture.max(axis=-1).astype(int) - picture.min(axis=-1) > 20
        assert 0.05 < colored.mean() < 0.5
        rows, columns = np.nonzero(colored)
        block = colored[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert block.mean() > 0.9  # the rectangle, and nothing else


def test_a_page_is_html(tiny_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="page is HTML"):
        reunet.plan(tiny_dataset, page=tmp_path / "plan.pdf")
    assert not (tmp_path / "plan.pdf").exists()

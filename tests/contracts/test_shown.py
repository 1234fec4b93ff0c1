"""Results in a notebook: tables of what there is, safe to show, and no longer than one wants to read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from reunet.contracts.shown import MOST_ROWS, Shown, picture_html, table_html


@dataclass(frozen=True)
class Result(Shown):
    where: Path
    mean_score: float
    nothing: tuple[str, ...] = ()
    parts: object = None


def test_a_result_is_a_table_of_what_it_holds() -> None:
    told = Result(Path("a/<b>"), 0.123456, parts=[Result(Path("c"), 1.0), {"x": "<y>"}])._repr_html_()
    assert told.startswith("<b>Result</b>")
    assert '<a href="a/&lt;b&gt;">a/&lt;b&gt;</a>' in told
    assert ">mean score</th>" in told
    assert "0.1235" in told
    assert "nothing" not in told
    assert told.count("<table>") == 3
    assert "&lt;y&gt;" in told
    assert "<y>" not in told


@pytest.mark.parametrize("count", [MOST_ROWS - 1, MOST_ROWS, MOST_ROWS + 3])
def test_long_ones_are_cut_and_say_so(count: int) -> None:
    more = max(count - MOST_ROWS, 0)
    for told in (table_html({str(i): "row" for i in range(count)}), table_html({"a": ["row"] * count})):
        assert told.count("row") == min(count, MOST_ROWS)
        assert ("more" in told) == (more > 0)
        assert not more or f"and {more} more" in told
    assert "<th>heading</th>" in table_html({}, ("heading",))


def test_a_picture_is_made_as_wide_as_asked_and_no_wider() -> None:
    for width, expected in ((30, (30, 15)), (200, (60, 30))):
        told = picture_html(Image.new("L", (60, 30)), width)
        encoded = told.partition("base64,")[2].partition('"')[0]
        assert opened(encoded).size == expected


def opened(encoded: str) -> Image.Image:
    import base64
    import io

    return Image.open(io.BytesIO(base64.b64decode(encoded)))

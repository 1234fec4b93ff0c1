"""What results look like in a notebook: a table, a picture."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import fields
from html import escape
from pathlib import Path
from typing import Any

MOST_ROWS = 50
"""Of a table in a notebook."""


class Shown:
    """A frozen dataclass that a notebook shows as a table of its fields."""

    def _repr_html_(self) -> str:
        told = {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]
        return f"<b>{escape(type(self).__name__)}</b>" + table_html(
            {name.replace("_", " "): value for name, value in told.items() if value not in (None, (), {}, "")}
        )


def table_html(facts: Mapping[str, object], head: Sequence[str] = ()) -> str:
    """Facts as a table of HTML, a row each; lists of results below each other, paths as links."""
    rows = [f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr>"] if head else []
    left = "style='text-align:left'"
    rows += [
        f"<tr><th {left}>{escape(name)}</th><td {left}>{_cell(value)}</td></tr>"
        for name, value in list(facts.items())[:MOST_ROWS]
    ]
    more = len(facts) - MOST_ROWS
    return f"<table>{''.join(rows)}</table>" + (f"<p>and {more} more</p>" if more > 0 else "")


def picture_html(picture: Any, width: int) -> str:
    """A picture of Pillow as HTML that needs no other file, at most `width` pixels wide."""
    if picture.width > width:
        picture = picture.resize((width, max(1, round(picture.height * width / picture.width))))
    content = io.BytesIO()
    picture.save(content, format="PNG")
    encoded = base64.b64encode(content.getvalue()).decode()
    return f'<img alt="what was found" src="data:image/png;base64,{encoded}">'


def _cell(value: object) -> str:
    match value:
        case Path():
            text = escape(value.as_posix())
            return f'<a href="{text}">{text}</a>'
        case float():
            return f"{value:.4g}"
        case Shown():
            return value._repr_html_()
        case dict():
            return table_html({str(name): entry for name, entry in value.items()})
        case list() | tuple():
            shown = "<br>".join(_cell(entry) for entry in value[:MOST_ROWS])
            more = len(value) - MOST_ROWS
            return shown + (f"<br>and {more} more" if more > 0 else "")
    return escape(str(value))

"""Texts of pages and reports in English and Chinese: the English one is the name of its translation.

`zh.json` has them by the English text; numbers and names stand in braces, as in "{count} of {total} objects".
"""

import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Literal

Language = Literal["en", "zh"]

Translate = Callable[..., str]
"""Gives a text with its values, as `translate("{count} objects", count=3)`."""


def translator(language: Language) -> Translate:
    """The texts in a language; one that is not translated stays English."""
    known = _translations() if language == "zh" else {}

    def translate(text: str, **values: object) -> str:
        told = known.get(text, text)
        return told.format(**values) if values else told

    return translate


@cache
def _translations() -> dict[str, str]:
    found: dict[str, str] = json.loads(files(__name__).joinpath("zh.json").read_text(encoding="utf-8"))
    return found

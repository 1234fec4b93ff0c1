"""Hooks of mkdocs for the book: what docs/ does not hold itself, and what a browser should not have to fetch.

- SECURITY.md, CONTRIBUTING.md and CHANGELOG.md become pages, and links to them lead there.
- A link from a page to a file outside docs/ becomes the text of the link: the book stands alone.
- Equations, `$...$` and `$$...$$` as on GitHub, become MathML, which browsers draw without script or font.
"""

from __future__ import annotations

import html
import posixpath
import re
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

OUTSIDE = {
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "README.md": "index.md",
    "README.zh-CN.md": "zh/index.md",
}
"""Files of the repository that are pages of the book, or are told there by a page of its own."""
TAKEN = ("SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]\n]*(?:\n[^\]\n]+)?)\]\((?P<target>[^)\s]+)\)")
FENCE = re.compile(r"^(```.*?^```)", re.M | re.S)
EQUATION = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\(?P<open>[(\[])(?P<latex>.*?)\\[)\]]</(?P=tag)>', re.S
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie in the root of the repository."""
    root = posixpath.dirname(config.config_file_path)
    for name in TAKEN:
        files.append(File.generated(config, OUTSIDE[name], abs_src_path=f"{root}/{name}"))
    return files


def on_page_markdown(markdown: str, page: Page, files: Files, **_: Any) -> str:
    """Lead every link to a page of the book, or nowhere; fenced blocks stay as they are."""
    uri = page.file.src_uri
    place = "" if uri in map(OUTSIDE.get, TAKEN) else posixpath.dirname(f"docs/{uri}")

    def lead(match: re.Match[str]) -> str:
        target, _, anchor = match["target"].partition("#")
        if not target or ":" in target:
            return match[0]
        path = posixpath.normpath(posixpath.join(place, target))
        inside = OUTSIDE.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
        if inside is None or (path in OUTSIDE and files.get_file_from_path(inside) is None):
            return match["text"]
        relative = posixpath.relpath(inside, posixpath.dirname(uri) or ".")
        return f"[{match['text']}]({relative}{'#' + anchor if anchor else ''})"

    parts = FENCE.split(markdown)
    return "".join(part if part.startswith("```") else LINK.sub(lead, part) for part in parts)


def on_page_content(content: str, **_: Any) -> str:
    """Draw the equations."""

    def draw(match: re.Match[str]) -> str:
        display = "inline" if match["open"] == "(" else "block"
        return convert(html.unescape(match["latex"]).strip(), display=display)

    return EQUATION.sub(draw, content)

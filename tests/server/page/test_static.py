"""What the page is made of, and what of it is by others."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

VENDOR = files("reunet.server.page") / "static" / "vendor"


def test_libraries_of_others_are_named_with_their_licences() -> None:
    told = (VENDOR / "THIRD_PARTY.txt").read_text("utf-8")
    shipped = {one.name for one in VENDOR.iterdir()}
    scripts = {name for name in shipped if name.endswith(".js")}
    assert scripts
    for script in scripts:
        line = next(one for one in told.splitlines() if one.startswith(script))
        licence = line.split()[-1]
        assert licence in shipped
        assert "Redistribution" in (VENDOR / licence).read_text("utf-8")
        version = re.search(r"\d+\.\d+\.\d+", line)
        assert version is not None
        assert version.group() in (VENDOR / script).read_text("utf-8")[:200]


def test_the_wheel_holds_the_page() -> None:
    """The build takes everything below src/reunet, unless it is told to leave something out."""
    import tomllib

    root = Path(__file__).parents[3]
    wheel = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    assert wheel == {"packages": ["src/reunet"]}
    ignored = (root / ".gitignore").read_text("utf-8").split()  # which the build leaves out, too
    assert not {"vendor", "vendor/", "static", "static/", "*.js", "*.min.js", "*.txt"} & set(ignored)


def test_the_page_speaks_to_its_server_alone() -> None:
    static = VENDOR.parent
    for file in (*(static / "js").iterdir(), static / "index.html", static / "style.css"):
        text = file.read_text("utf-8")
        assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)\S+", text) == [], file.name

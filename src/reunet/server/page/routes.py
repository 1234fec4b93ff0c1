"""The page's files, and what only the page asks."""

from __future__ import annotations

from fastapi import FastAPI


def add_to(app: FastAPI) -> None:
    """Add the page to what answers."""

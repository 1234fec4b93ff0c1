"""What a user is told while something runs."""

from __future__ import annotations

from reunet.progress import NullProgress


class Messages(NullProgress):
    """Keeps the messages."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)

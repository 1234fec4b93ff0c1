"""The verb `serve`: runs that predict for other programs, and for many people."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from reunet.backend import import_extra
from reunet.contracts.options.records import ServeOptions
from reunet.contracts.options.verb import verb
from reunet.errors import UsageError
from reunet.progress import NullProgress

SHORTEST = 16
"""Characters of a token."""


@verb(ServeOptions)
def serve(options: ServeOptions) -> None:
    """Answer requests for predictions, by HTTP, until a signal ends the process.

    `GET /docs` describes what can be asked; the page of `reunet open` is there too. An address that other
    machines reach wants a token; programs send it as `Authorization: Bearer TOKEN`. What is in hand when the
    signal comes is finished first. Raises UsageError for an address that cannot be listened at and for two
    runs of one name, BackendError without the extra `serve`, and what `reunet.load` raises.
    """
    progress = options.on_progress or NullProgress()
    token = None if options.token_file is None else _token(options.token_file)
    if options.token_file is not None and _is_shown(options.token_file):
        file = options.token_file
        progress.message(f"warning: others on this machine may read the token; chmod 600 {file}")
    import_extra("uvicorn", "serve")
    import_extra("fastapi", "serve")
    from reunet.server.models import Models
    from reunet.server.running import (
        address_of,
        is_loopback,
        listening_at,
        make_server,
        own_scratch,
        run_server,
    )
    from reunet.server.security import MOST_BYTES, Rules
    from reunet.server.service import Service

    if token is None and not is_loopback(options.host):
        raise UsageError(
            "other machines reach this address: the server wants a token",
            where=f"--host {options.host}",
            fix="write a secret into a file and give it with --token-file, or leave --host out",
        )
    public = frozenset() if options.public is None else frozenset({origin_of(options.public)})
    names = frozenset({options.host, *(urlsplit(origin).hostname or "" for origin in public)})
    rules = Rules(names, public, token, options.max_upload or MOST_BYTES)
    models = Models(**options.how)
    with listening_at(options.host, options.port) as listening, own_scratch() as scratch:
        for run in options.runs:
            progress.message(f"loaded {models.add(run).id}")
        service, address = Service(models, scratch), address_of(listening, options.host)
        server = make_server(service, rules, lambda: progress.message(f"answering at {address}"))
        run_server(server, service, listening)


def _token(file: Path) -> str:
    """The secret in a file. Raises UsageError where there is none that would keep anybody out."""
    try:
        if file.stat().st_size > 4096:
            raise UsageError("this is no token, but a larger file", where=f"--token-file {file}")
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as cause:
        received = getattr(cause, "strerror", None) or "characters that are not ASCII"
        raise UsageError(
            "the token cannot be read", where=f"--token-file {file}", received=received
        ) from cause
    if len(token) < SHORTEST or not token.isprintable() or " " in token:
        raise UsageError(
            "the token is not one",
            where=f"--token-file {file}",
            expected=f"at least {SHORTEST} letters and digits in one line",
            received=f"{len(token)} characters",
            fix='python -c "import secrets; print(secrets.token_urlsafe())" > FILE',
        )
    return token


def _is_shown(file: Path) -> bool:
    """Whether others on this machine may read a file; containers get their secrets like that."""
    return os.name == "posix" and bool(file.stat().st_mode & 0o077)


def origin_of(url: str) -> str:
    """The origin of an address: scheme, name and port. Raises UsageError."""
    try:
        parts = urlsplit(url)
        is_site = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query
    except ValueError:  # brackets that no address of version 6 is in
        is_site = False
    if not is_site or parts.path not in ("", "/"):
        raise UsageError(
            "this is not the address of a site",
            where=f"--public {url}",
            expected="such as https://cells.example.org",
        )
    return f"{parts.scheme}://{parts.netloc.lower()}"

"""The verb `open`: the page for a run or a dataset, in the browser of this machine."""

from __future__ import annotations

import secrets
import webbrowser
from pathlib import Path
from threading import Thread

from reunet.backend import import_extra
from reunet.contracts.options.records import OpenOptions
from reunet.contracts.options.verb import verb
from reunet.contracts.run import RunFolder
from reunet.errors import UsageError, beside
from reunet.progress import NullProgress

HOST = "127.0.0.1"


@verb(OpenOptions)
def open(options: OpenOptions) -> None:  # noqa: A001  (the verb's name)
    """Look at images, correct what was found and train on, in the browser, until a signal ends the process.

    The page is for this machine alone, and for whoever has the address that is printed. Raises UsageError,
    BackendError without the extra `serve`, and what `reunet.load` raises.
    """
    progress = options.on_progress or NullProgress()
    run, data = _run_or_data(options.path)
    import_extra("uvicorn", "serve")
    import_extra("fastapi", "serve")
    from reunet.server.models import Models
    from reunet.server.running import address_of, listening_at, make_server, own_scratch, run_server
    from reunet.server.security import Rules
    from reunet.server.service import Service

    models = Models()
    token = secrets.token_urlsafe()
    with listening_at(HOST, options.port) as listening, own_scratch() as scratch:
        if run is not None:
            models.add(run)
        address = f"{address_of(listening, HOST)}/?token={token}"

        def opened() -> None:
            progress.message(f"open in your browser: {address}")
            progress.message("Ctrl-C ends the server")
            if not options.no_browser:  # some browsers are waited for
                Thread(target=webbrowser.open, args=(address,), daemon=True).start()

        service = Service(models, scratch, data=data)
        run_server(make_server(service, Rules(token=token), opened), service, listening)


def _run_or_data(path: Path | None) -> tuple[Path | None, Path | None]:
    """What a folder is. Raises UsageError for what is none."""
    if path is None:
        return None, None
    if not path.is_dir():
        raise UsageError(
            "there is no such folder", where=path, expected="a run or a dataset", fix=beside(path)
        )
    return (path, None) if RunFolder(path).plan_file.is_file() else (None, path.resolve())

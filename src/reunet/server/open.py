"""The verb `open`: the page for a run or a dataset, in the browser of this machine."""

import secrets
import webbrowser
from pathlib import Path
from threading import Thread

from reunet.backend import import_extra
from reunet.contracts.options.records import OpenOptions
from reunet.contracts.options.verb import verb
from reunet.contracts.pack import SUFFIX
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
    run, data = _run_and_data(options.path, options.data)
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


def _run_and_data(path: Path | None, data: Path | None) -> tuple[Path | None, Path | None]:
    """Which of what is given is a run, and which is data. Raises UsageError for what is not there."""
    for one in (path, data):
        if one is not None and not one.exists():
            expected = "a run, a dataset, a folder of images or an image"
            raise UsageError("there is nothing to open", where=one, expected=expected, fix=beside(one))
    is_run = path is not None and (path.suffix == SUFFIX or RunFolder(path).plan_file.is_file())
    if path is not None and data is not None and not is_run:
        what, fix = "the first of two folders is to be a run", "give the run first, then the dataset"
        raise UsageError(what, where=path, expected="a folder that `reunet train` wrote", fix=fix)
    found = data if is_run else path
    return (path if is_run else None), (None if found is None else found.resolve())

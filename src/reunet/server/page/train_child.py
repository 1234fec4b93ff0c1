"""The process that trains for the page: `python -m reunet.server.page.train_child JSON`.

JSON: data, output, report (a folder), and either init and minutes, or resume. In the folder it writes
report.json: task, step, steps, message, and pictures of held-out images as the best weights see them.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any, SupportsFloat

from reunet import signals
from reunet.errors import InterruptedRunError, ReunetError

EVERY_S = 0.5
"""Seconds between two reports."""

PICTURES = 4
SIDE = 320
"""Pixels of the longer side of a picture."""

SHARE = 0.05
"""Of the time that passes, for pictures at most."""


class Report:
    """Receives the progress of a training and writes it where the page reads it."""

    def __init__(self, folder: Path, run: Path, data: Path) -> None:
        self._folder, self._run, self._data = folder, run, data
        self._told: dict[str, Any] = {"task": "", "step": 0, "steps": None, "message": None, "pictures": []}
        self._written, self._best, self._due = 0.0, float("-inf"), False
        self._began, self._spent, self._drawn = time.monotonic(), 0.0, 0

    def start(self, task: str, total: int | None) -> None:
        self._draw_if_due()
        self._told |= {"task": task, "steps": total, "step": 0}
        self._write()

    def advance(self, n: int = 1, **info: object) -> None:
        if n:
            self._draw_if_due()
        score = info.get("val_score")
        if isinstance(score, SupportsFloat) and float(score) >= self._best:
            self._best, self._due = float(score), True  # the weights are written before the next step
        self._told["step"] += n
        if time.monotonic() - self._written > EVERY_S:
            self._write()

    def message(self, text: str) -> None:
        self._told["message"] = text
        self._write()

    def _write(self) -> None:
        from reunet.storage import write_json

        self._written = time.monotonic()
        write_json(self._folder / "report.json", self._told)

    def _draw_if_due(self) -> None:
        """Pictures of a few held-out images, unless those before took too long."""
        began, due, self._due = time.monotonic(), self._due, False
        if not due or (self._drawn and self._spent > SHARE * (began - self._began)):
            return
        try:
            self._told["pictures"] = list(self._pictures())
        except ReunetError as cause:
            self._told["message"] = cause.what
        self._drawn += 1
        self._spent += time.monotonic() - began
        self._write()

    def _pictures(self) -> Any:
        import cv2

        from reunet.contracts.run import RunFolder
        from reunet.datasets.scan import open_dataset
        from reunet.datasets.splits import Splits, split_cases
        from reunet.inference.load import load
        from reunet.inference.predictor import Predictor
        from reunet.io.images import read_channel_files
        from reunet.tasks.work import draw_results

        run = RunFolder(self._run)
        plan, splits = run.plan(), Splits.read(run.splits_file)
        model = load(self._run, engine="keras")
        if not isinstance(model, Predictor) or model.rank != 2:
            return
        cases = split_cases(open_dataset(self._data, None, plan.labels, plan.categories), splits, "val")
        for number, case in enumerate(cases[:PICTURES]):
            image = read_channel_files((case.image, *case.files.channels), page=case.page)[1]
            drawn = draw_results(image, model(image, where=case.id), plan.labels)
            if drawn is None:
                return
            scale = min(1.0, SIDE / max(drawn.shape[:2]))
            small = cv2.resize(drawn, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            name = f"{self._drawn}-{number}.png"
            cv2.imwrite(str(self._folder / name), cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
            yield {"name": case.id, "file": name}


def main() -> int:
    """Train; the exit code is that of `reunet train`."""
    signals.watch()
    told = json.loads(sys.argv[1])
    folder, data, output = (Path(told.pop(name)) for name in ("report", "data", "output"))
    report = Report(folder, output, data)
    from reunet.flows.train.train import train

    try:
        train(data, output=output, started=time.monotonic(), on_progress=report, **told)
    except InterruptedRunError as stopped:
        report.message(stopped.what)
        return stopped.exit_code
    except signals.Interruption:
        return 128 + (signals.received() or 2)
    except ReunetError as cause:
        report.message(" ".join(filter(None, (cause.what, cause.fix))))
        return cause.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

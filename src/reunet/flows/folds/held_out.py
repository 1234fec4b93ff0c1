"""Out-of-fold predictions: what each network says of the images that it was not trained on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.run import RunFolder
from reunet.contracts.truth import Truth
from reunet.datasets.case_arrays import CaseArrays
from reunet.flows.folds.ledger import Choice
from reunet.inference.load import load
from reunet.progress import Progress
from reunet.storage import atomic_path
from reunet.tasks.base import Maps
from reunet.tasks.work import Work
from reunet.training.validation import maps_of


@dataclass(frozen=True)
class HeldOut:
    """Maps of all training cases, each by a network that has not seen it, as files of half precision.

    folder: where they lie, in one folder by network. cases: in the order of the dataset.
    """

    folder: Path
    cases: Sequence[CaseArrays]
    work: Work

    def predict(self, name: str, run: RunFolder, cases: Sequence[CaseArrays], progress: Progress) -> None:
        """Let the network of a fold, one of `name`, predict what it held out; what is there stays."""
        numbers = {case.id: number for number, case in enumerate(self.cases)}
        files = {case.id: self._file(name, numbers[case.id]) for case in cases}
        if all(file.exists() for file in files.values()):
            return
        for case, maps in maps_of(load(run.path, engine="keras"), cases):
            with atomic_path(files[case.id]) as temporary, temporary.open("wb") as file:
                half: dict[str, Any] = {head: x.astype(np.float16) for head, x in maps.heads.items()}
                np.savez(file, **half)
            progress.advance(1)

    def _file(self, name: str, number: int) -> Path:
        return self.folder / name / f"{number:06d}.npz"

    def maps(self, names: Sequence[str], number: int) -> Maps:
        """Of one case: the mean of what these networks say."""
        found = [self._read(self._file(name, number)) for name in names]
        heads = {head: np.mean([one[head] for one in found], axis=0) for head in found[0]}
        return Maps(heads, self.cases[number].image.shape[:-1])

    def _read(self, file: Path) -> dict[str, np.ndarray]:
        with np.load(file, allow_pickle=False) as stored:
            return {head: stored[head].astype(np.float32) for head in stored.files}

    def pairs(self, names: Sequence[str], every: int = 1) -> Iterator[tuple[Truth, Maps]]:
        """What is known and what they say, of each case that tells something, or of one of `every`."""
        for number, case in enumerate(self.cases):
            if case.truth and number % every == 0:
                yield case.truth, self.maps(names, number)

    def choices(self, finalists: Sequence[str]) -> list[Choice]:
        """Each network alone and the mean of each two, by their score, the best first."""
        return ranked(finalists, lambda names: self.work.validation_score(self.pairs(names)))


def ranked(finalists: Sequence[str], score: Callable[[Sequence[str]], float]) -> list[Choice]:
    """Each alone and each two together with their scores (nan for none), the best first; of equals the
    smaller and earlier one.
    """
    tried = [(one,) for one in finalists] + list(combinations(finalists, 2))
    scores = [score(names) for names in tried]
    order = sorted(range(len(tried)), key=lambda i: -scores[i] if scores[i] == scores[i] else 2.0)
    return [Choice(names=tried[i], score=scores[i] if scores[i] == scores[i] else None) for i in order]

"""A dataset as each of several trainings sees it."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from reunet.datasets.case_arrays import CaseArrays
from reunet.datasets.folds import fold_splits
from reunet.datasets.splits import Splits
from reunet.flows.prepare import Prepared
from reunet.planning import take_fingerprint


@dataclass(frozen=True)
class FoldedData:
    """A dataset as each training sees it. folds: 0 where its one split is used."""

    prepared: Prepared
    folds: int
    seed: int

    @cached_property
    def splits(self) -> tuple[Splits, ...]:
        """One per fold."""
        if not self.folds:
            return (self.prepared.splits,)
        return fold_splits(self.prepared.dataset, self.folds, self.seed)

    @cached_property
    def _cases(self) -> dict[str, CaseArrays]:
        given = () if self.prepared.splits.source == "given" else self.prepared.val
        return {case.id: case for case in (*self.prepared.train, *given)}

    @cached_property
    def whole(self) -> Prepared:
        """All that the folds are made of, as training cases; the one split where there are none."""
        if not self.folds:
            return self.prepared
        ids = [case.id for case in self.prepared.dataset.split("train")]
        cases = tuple(self._cases[one] for one in ids)
        notes = (f"{self.folds} folds: each image was held out of one training", *self.splits[0].notes[1:])
        splits = self.splits[0].model_copy(update={"train": tuple(ids), "val": (), "notes": notes})
        fingerprint = take_fingerprint(self.prepared.dataset, cases, ())
        return replace(self.prepared, splits=splits, train=cases, val=(), fingerprint=fingerprint)

    def fold(self, number: int) -> Prepared:
        """As the training of a fold sees it; its fingerprint has the numbers of all cases."""
        if not self.folds:
            return self.prepared
        splits, whole = self.splits[number], self.whole
        held = set(splits.val)
        facts = tuple(
            one.model_copy(update={"split": "val" if one.id in held else "train"})
            for one in whole.fingerprint.cases
        )
        update = {"cases": facts, "n_train": len(splits.train), "n_val": len(splits.val)}
        return replace(
            whole,
            splits=splits,
            train=tuple(self._cases[one] for one in splits.train),
            val=tuple(self._cases[one] for one in splits.val),
            fingerprint=whole.fingerprint.model_copy(update=update),
        )

    def unseen(self) -> list[str]:
        """A sentence for each class of pixels that a training would not see, though others do."""
        labels = self.prepared.dataset.labels
        shown = {
            name: np.bincount(np.ravel(case.labels), minlength=256)[: len(labels.classes)] > 0
            for name, case in self._cases.items()
            if case.labels is not None
        }
        found = []
        for number, splits in enumerate(self.splits if shown else ()):
            seen = np.any([shown[one] for one in splits.train if one in shown], axis=0)
            for index in np.flatnonzero(np.any(list(shown.values()), axis=0) & ~seen):
                found.append(
                    f"fold {number + 1} is trained without the class {labels.names[index]}: all images that "
                    "show it are held out together; label it in more images, or give more --folds"
                )
        return found

"""What came of predicting files: which failed and why, and what else there is to tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from reunet.flows.predict.outputs import Job
from reunet.progress import Progress


@dataclass
class Attempt:
    """How the prediction of one file or sequence went.

    reason: why it has no results, None if it has them. latencies: seconds from asking for a frame to what is
    found in it, of all sequences, stacks and videos. unstated: volumes that tell no spacing. doubts: what
    files state twice, differently, and what counts.
    """

    reason: str | None = None
    latencies: list[float] = field(default_factory=list)
    unstated: list[Path] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


def failures_of(
    groups: Sequence[Sequence[Job]], attempts: Mapping[int, Attempt], progress: Progress
) -> dict[str, str]:
    """{input: reason} of those that failed, by what came of the groups of these numbers; what else there is
    to tell goes to `progress`.
    """
    if seconds := [one for attempt in attempts.values() for one in attempt.latencies]:
        progress.message(latency_of(seconds))
    if unstated := [path for attempt in attempts.values() for path in attempt.unstated]:
        names = ", ".join(path.name for path in unstated[:5])
        progress.message(f"{len(unstated)} volume(s) state no voxel size and count as 1 mm: {names}")
    if doubts := [one for attempt in attempts.values() for one in attempt.doubts]:
        for doubt in (*doubts[:5], *([f"and {len(doubts) - 5} more such files"] if len(doubts) > 5 else [])):
            progress.message(f"warning: {doubt}")
    return {
        str(job.source.path): attempt.reason
        for number, attempt in sorted(attempts.items())
        if attempt.reason is not None
        for job in groups[number]
    }


def latency_of(seconds: Sequence[float]) -> str:
    """Of frames, in a line."""
    median, most = (1000 * value for value in np.quantile(seconds, [0.5, 0.95]))
    return f"{len(seconds)} frames: {median:.0f} ms each (median), 95 % within {most:.0f} ms"

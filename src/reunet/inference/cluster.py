"""Work spread over the workers of a Dask cluster, a few pieces at a time in hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import reunet
from reunet.backend import import_extra
from reunet.errors import ClusterError, UsageError
from reunet.machine import cores
from reunet.progress import Progress
from reunet.storage import scratch_folder

T = TypeVar("T")
R = TypeVar("R")

PATIENCE_S = 10.0
"""Until an address that does not answer is given up."""

ALONE_S = 60.0
"""Until work is given up that no worker is left for."""

QUEUED = 2
"""Pieces given out per thread of the cluster: one is worked on, others wait where they will be."""


class Cluster:
    """A scheduler and its workers; use it as a context manager.

    address: `tcp://HOST:PORT` of a scheduler, or `local:N` for N processes of one thread on this machine;
    `local` for one per core.

    Raises BackendError without the package, UsageError for another kind of address, ClusterError when nothing
    answers or there are no workers.
    """

    def __init__(self, address: str, progress: Progress) -> None:
        distributed = import_extra("distributed", "cluster", "--cluster")

        self.address, self._local = address, None
        if address.partition(":")[0] == "local":
            self._local = _local_cluster(address)
        elif "://" not in address:
            raise UsageError(
                "this is no address of a cluster",
                where="--cluster",
                expected="tcp://HOST:PORT of a scheduler, local, or local:N",
                received=address,
            )
        try:
            self._client = distributed.Client(
                self._local or address, timeout=PATIENCE_S, set_as_default=False
            )
        except (OSError, TimeoutError, ValueError) as cause:
            raise ClusterError(
                "the cluster does not answer",
                where=address,
                received=str(cause).splitlines()[0] if str(cause) else type(cause).__name__,
                fix="start `dask scheduler` and `dask worker tcp://HOST:8786`, or use --cluster local",
            ) from cause
        with suppress(TimeoutError):
            self._client.wait_for_workers(1, timeout=PATIENCE_S)
        if not self.threads:
            self.close()
            raise ClusterError(
                "the cluster has no workers", where=address, fix=f"start some: `dask worker {address}`"
            )
        progress.message(f"{len(self._workers())} worker(s); dashboard: {self._client.dashboard_link}")

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the cluster; one on this machine ends."""
        self._client.close()
        if self._local is not None:
            self._local.close()

    @property
    def threads(self) -> int:
        """Of all workers together."""
        return sum(worker["nthreads"] for worker in self._workers().values())

    def _workers(self) -> dict[str, Any]:
        workers: dict[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
        return workers

    def check(self, run: Path, output: Path) -> None:
        """Raise ClusterError unless every worker has this version and sees the run and the output folder."""
        with scratch_folder(output.absolute()) as scratch:
            try:
                found = self._client.run(_probe, run.absolute(), scratch, reunet.__version__)
            except Exception as cause:  # whatever keeps a worker from running a function of ours
                raise ClusterError(
                    "the workers cannot run reunet",
                    where=self.address,
                    received=f"{type(cause).__name__}: {cause}",
                    fix=f"install reunet {reunet.__version__} with its dependencies on every worker",
                ) from cause
        wrong = {worker: problem for worker, problem in found.items() if problem}
        for worker, problem in wrong.items():
            raise ClusterError(
                f"{len(wrong)} of {len(found)} worker(s) cannot take part",
                where=worker,
                expected=f"reunet {reunet.__version__}, and the same files under the same paths as here",
                received=problem,
                fix="put the run, the images and the output on a file system that all share",
            )

    def run(self, function: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[int, R | ClusterError]]:
        """The result for each item with its number, as they come; functions and items must be picklable.

        What a function raises is raised here. A worker that dies costs what it had in hand, which others do
        again; an item that several workers died of gives a ClusterError instead of a result. Raises
        ClusterError when no worker is left.
        """
        from distributed import Future, wait

        open_items = iter(enumerate(items))
        waiting: dict[Future, int] = {}
        alone_since: float | None = None
        try:
            while True:
                while len(waiting) < QUEUED * max(self.threads, 1):
                    if (following := next(open_items, None)) is None:
                        break
                    waiting[self._client.submit(function, following[1], pure=False)] = following[0]
                if not waiting:
                    return
                try:
                    with self._client.as_current():
                        done = wait(list(waiting), timeout=1, return_when="FIRST_COMPLETED").done
                except TimeoutError:
                    done = set()
                alone_since = None if done or self.threads else alone_since or time.monotonic()
                if alone_since is not None and time.monotonic() - alone_since > ALONE_S:
                    raise ClusterError("no worker of the cluster is left", where=self.address)
                for future in done:
                    yield waiting.pop(future), self._result(future)
        finally:
            self._client.cancel(list(waiting), force=True)

    def all_of(
        self, function: Callable[[T], R], items: Sequence[T], noted: Callable[[int, R], None]
    ) -> list[R]:
        """The results for all items in their order; `noted` gets each with its number as it comes.

        Raises what `run` does, and ClusterError for an item that several workers died of.
        """
        found: dict[int, R] = {}
        for number, result in self.run(function, items):
            if isinstance(result, ClusterError):
                raise result
            found[number] = result
            noted(number, result)
        return [found[number] for number in range(len(items))]

    def _result(self, future: Any) -> Any:
        from distributed import KilledWorker

        try:
            return future.result()
        except KilledWorker as cause:
            return ClusterError(
                "several workers died of this",
                where=self.address,
                received=str(cause).splitlines()[0],
                fix="give the workers more memory, or fewer threads",
            )


def _local_cluster(address: str) -> Any:
    from distributed import LocalCluster

    count = address.partition(":")[2] or str(cores())
    if not count.isdecimal() or int(count) < 1:
        raise UsageError(
            "this is no number of workers", where="--cluster", expected="local:N, N from 1", received=address
        )
    return LocalCluster(
        n_workers=int(count), threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50
    )


def _probe(run: Path, folder: Path, version: str) -> str | None:
    """What keeps the worker that runs this from taking part; None if nothing does."""
    if reunet.__version__ != version:
        return f"reunet {reunet.__version__}"
    unseen = [path for path in (run, folder) if not path.is_dir()]
    return f"no folder {unseen[0]}" if unseen else None

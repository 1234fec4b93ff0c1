"""A training step that needs more memory than there is: batches become smaller, and training goes on."""

from collections.abc import Iterator
from contextlib import contextmanager

from reunet.backend import is_out_of_memory
from reunet.errors import TrainingError, shortened
from reunet.progress import Progress
from reunet.sampling.patches import PatchSampler


class TooLargeStep(Exception):  # noqa: N818 - it is mended, or told as a TrainingError
    """A step for which there was not enough memory; its text is the framework's. Whatever the step was to
    change may be changed in part, or gone: JAX gives the memory of a model to its steps.
    """


@contextmanager
def watched_memory() -> Iterator[None]:
    """Inside, what a framework raises for want of memory is a TooLargeStep."""
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise TooLargeStep(str(error).strip().partition("\n")[0] or type(error).__name__) from error
        raise


def halve(sampler: PatchSampler, step: int, error: TooLargeStep, *, alone: bool, progress: Progress) -> None:
    """From batch `step` on, have the sampler draw half as many patches as it would have.

    What was shown before stays shown, so batch k is still a function of (seed, k), and of `sampler.halved`,
    which the run folder records. alone: whether one process trains. Raises TrainingError where batches cannot
    become smaller: one patch is a whole batch, several processes share them, or states are carried from one
    to the next.
    """
    size = sampler.size(step)
    if size < 2 or sampler.carry > 1 or not alone:
        raise TrainingError(
            "a training step needs more memory than there is",
            where=f"step {step + 1}, a batch of {size} patch(es)",
            received=shortened(error),
            fix="plan with less memory (--max-memory), or on another device (--device cpu)",
        ) from error
    sampler.halved = (*(entry for entry in sampler.halved if entry[0] < step), (step, size // 2))
    progress.message(f"not enough memory for {size} patches at once: batches of {size // 2} from here on")

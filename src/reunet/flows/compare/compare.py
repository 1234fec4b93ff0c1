"""`reunet compare`: several networks on the same data, splits, seeds and minutes, and how they did."""

import subprocess
import sys
from collections import deque

from reunet.backend import choose_backend, use_backend
from reunet.contracts.options.records import CompareOptions, DataOptions, EvaluateOptions
from reunet.contracts.options.verb import verb
from reunet.contracts.results import ComparedRun, CompareResult
from reunet.errors import InterruptedRunError, ReunetError, TrainingError
from reunet.flows.compare.contest import Contender, Contest, is_scored, make_plans, parse_contenders
from reunet.flows.compare.standings import read_run, summarise, write_standings
from reunet.flows.evaluate.evaluate import evaluate
from reunet.flows.plan import check_wishes
from reunet.planning import PlanRequest
from reunet.progress import NullProgress, Progress
from reunet.signals import ends_with_us
from reunet.storage import folder_lock, refuse_foreign


@verb(CompareOptions)
def compare(options: CompareOptions) -> CompareResult:
    """Train every preset with every seed for the same time, score them, and say how sure the difference is.

    What is finished in the folder of the comparison is kept and an interrupted training is resumed, so the
    same call goes on; more seeds and presets may be asked for later. Of the presets, at least two names
    with commas between them, the first is what the others are compared with; `NAME:control` is the control
    of a recurrent preset at equal parameters, `control` that of the first. The budget is that of each
    training, ten minutes when nothing is given. Each seed has one split of the data, the same for all
    presets. Scored is `val`, held out of each training, or `test`.

    Each training is a process of its own. One that fails is in `failures` of the result, the others go on.
    Raises UsageError, PlanError, DataError and StorageError before anything is trained, TrainingError when
    none succeeded; InterruptedRunError after Ctrl-C or SIGTERM, when the state is saved.
    """
    progress = options.on_progress or NullProgress()
    contest = _contest(options)
    refuse_foreign(options.output, contest.settings_file, "comparison")
    use_backend(contest.request.backend)
    with folder_lock(options.output):
        settings = make_plans(contest, progress)
        runs: list[ComparedRun] = []
        failures: dict[str, str] = {}
        turns = contest.order()
        progress.start("comparing", len(turns))
        for contender, seed in turns:
            name = f"{contender.name}, seed {seed}"
            try:
                train_and_score(contest, contender, seed, progress)
                runs.append(read_run(contest, contender, seed))
                write_standings(summarise(contest, runs, failures), settings)
                score = "undefined" if runs[-1].dice is None else f"{runs[-1].dice:.4f}"
                progress.message(f"{name}: Dice {score} on {options.split}")
            except InterruptedRunError:
                raise
            except ReunetError as error:
                failures[name] = str(error)
                progress.message(f"{name} failed: {error}")
            progress.advance(1)
        if not runs:
            raise TrainingError(
                "no training succeeded", where=options.output, received=next(iter(failures.values()))
            )
        summary = summarise(contest, runs, failures)
        write_standings(summary, settings)
        return summary


def _contest(options: CompareOptions) -> Contest:
    """What is compared. Raises UsageError, PlanError and BackendError before any data is read."""
    request = PlanRequest(
        task=("semantic",),
        minutes=options.minutes,
        steps=options.steps,
        backend=choose_backend(options.backend),
        max_memory=options.max_memory,
    )
    check_wishes(request)
    return Contest(options, parse_contenders(options.presets), request)


def train_and_score(contest: Contest, contender: Contender, seed: int, progress: Progress) -> None:
    """Train one network, or go on with its training, and score it; nothing where that has been done."""
    run, plan = contest.run(contender, seed), contest.plan_file(contender, seed)
    if is_scored(run, contest.options.split):
        return
    if not is_scored(run, "val"):  # which is the last thing that a training does
        how = ["--plan", str(plan)]
        if run.has_checkpoint:
            how = ["--resume"]
        elif run.plan_file.is_file():
            how.append("--overwrite")
        words = ["train", *data_words(contest), "-o", str(run.path), *how]
        run_process(words, f"{contender.name}-{seed}", progress)
    if contest.options.split != "val":
        known = DataOptions.OPTIONS.keys() & EvaluateOptions.OPTIONS.keys()
        options = {name: getattr(contest.options, name) for name in known}
        split, output = contest.options.split, run.evaluation(contest.options.split)
        evaluate(run.path, contest.options.data, split=split, output=output, overwrite=True, **options)


def data_words(contest: Contest) -> list[str]:
    """The dataset and its options as words of the command line."""
    words = [] if contest.options.data is None else [str(contest.options.data)]
    for name, option in DataOptions.OPTIONS.items():
        value = getattr(contest.options, name)
        if value is True:
            words.append(option.flag)
        elif value:
            words += [option.flag, str(value)]
    return words


def run_process(words: list[str], name: str, progress: Progress) -> None:
    """Run one command of ours as a process of its own; what it says goes on as progress.

    Raises TrainingError with the last lines when it fails; InterruptedRunError when this process or that
    one was told to stop, after that one has saved its state.
    """
    command = [sys.executable, "-m", "reunet", *words]
    last: deque[str] = deque(maxlen=12)
    with (
        subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as process,
        ends_with_us(process),
    ):
        try:
            for line in process.stderr or ():
                last.append(line.rstrip())
                progress.message(f"{name}: {last[-1]}")
            code = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if code > 128:
        raise InterruptedRunError(f"{name} was interrupted; its state is saved", signal_number=code - 128)
    if code != 0:
        ended = f"exit code {code}" if code > 0 else f"ended by signal {-code}; was there enough memory?"
        lines = [line for line in last if not line.startswith("  where:")]  # results may be passed on
        errors = [number for number, line in enumerate(lines) if line.startswith("error:")]
        told = " ".join(line.strip() for line in lines[errors[-1] :]) if errors else ended
        raise TrainingError("the training did not finish", received=told)

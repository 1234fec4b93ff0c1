"""Fuzz every reader: files that are nearly right are read until one does something else than be refused.

    make fuzz                                        a minute
    python benchmarks/fuzz.py --executions 300000    as many for each reader; --reader NAME for some of them

Every execution is to end well or with a ReunetError, within 2 s of processor time and 500 MB, in a process
whose limit of pixels is a hundredth of the real one. Where atheris is installed, it looks for what reaches
new branches of reunet and keeps them in the corpus; further executions change what is there without looking,
which is twice as fast. Elsewhere hypothesis changes the seeds. What is found
is in build/fuzz/, a line per run in benchmarks/results/fuzz.jsonl. `tests/fuzzing` knows the readers.

atheris stays out of the extras; an environment beside the usual one that sees its packages:

    .venv/bin/python -m venv build/fuzzing
    printf '%s\\n' src .venv/lib/python3.11/site-packages | sed "s|^|$PWD/|" \\
        > build/fuzzing/lib/python3.11/site-packages/house.pth
    build/fuzzing/bin/pip install atheris coverage
    build/fuzzing/bin/python benchmarks/fuzz.py
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import records

ROOT = Path(__file__).resolve().parents[1]
FOUND = ROOT / "build" / "fuzz"
MEMORY = Path("/dev/shm")
OF_A_PROCESS = 20_000
"""Executions of a process: what atheris keeps of them grows."""
GUIDED = 60_000
"""Executions of a reader that atheris traces."""
HUNG = 300
"""Seconds of real time without a new execution after which a process is hanging outside of Python."""

sys.path.insert(0, str(ROOT))
ENGINE = "atheris" if importlib.util.find_spec("atheris") else "hypothesis"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--reader", action="append", metavar="NAME", help="only this one; may be repeated")
    parser.add_argument("--executions", type=int, default=1500, help="of each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", action="store_true", help="add lines to benchmarks/results/fuzz.jsonl")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--untraced", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    options = parse()
    if options.child:
        return child(options.child, options.executions, options.seed, "" if options.untraced else ENGINE)
    if options.measure:
        print(json.dumps(branches(options.measure)))
        return 0
    from tests.fuzzing.readers import READERS

    findings = 0
    for name in options.reader or READERS:
        result = fuzz(name, options.executions, options.seed)
        findings += len(result["findings"])
        print(f"{name}: {result}", flush=True)
        if options.record:
            records.append("fuzz", {"reader": name, "engine": ENGINE, "seed": options.seed}, result)
    return min(findings, 1)


def fuzz(name: str, executions: int, seed: int) -> dict[str, Any]:
    """Run one reader in processes of its own, a new one where one dies; the numbers of all of them."""
    total: dict[str, Any] = {"executions": 0, "seconds": 0.0, "slowest_s": 0.0, "most_mb": 0, "findings": []}
    began = time.monotonic()
    while (left := executions - total["executions"]) > 0:
        untraced = ENGINE == "atheris" and total["executions"] >= GUIDED
        with tempfile.TemporaryDirectory(prefix="fuzz-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
            words = [name, "--executions", str(min(left, OF_A_PROCESS)), *["--untraced"] * untraced]
            words += ["--seed", str(seed + total["executions"])]
            status = run_child(words, Path(folder))
            told = read_status(Path(folder))
            if status and told["executions"] < min(left, OF_A_PROCESS):
                told["findings"].append(keep_last(name, status, Path(folder)))
        total["executions"] += max(told["executions"], 1)
        total["slowest_s"] = max(total["slowest_s"], told["slowest_s"])
        total["most_mb"] = max(total["most_mb"], told["most_mb"])
        total["findings"] = sorted({*total["findings"], *told["findings"]})
    total["seconds"] = round(time.monotonic() - began, 1)
    if importlib.util.find_spec("coverage"):
        total |= json.loads(output("--measure", name))
    return total


def arguments(*words: str) -> list[str]:
    return [sys.executable, str(Path(__file__).resolve()), *words]


def output(*words: str) -> str:
    said = subprocess.run(
        arguments(*words), check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    return said.stdout.splitlines()[-1]


def run_child(words: list[str], folder: Path) -> str:
    """Wait for a process that fuzzes in `folder`; how it died, empty when it did not."""
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            arguments("--child", *words),
            stdout=log,
            stderr=log,
            env={**os.environ, "FUZZ_FOLDER": str(folder)},
        )
        while process.poll() is None:
            time.sleep(0.5)
            if (folder / "beat").exists() and time.time() - (folder / "beat").stat().st_mtime > HUNG:
                process.kill()
                process.wait()
                return "hangs"
    return f"dies with status {process.returncode}: {(folder / 'log').read_text(errors='replace')[-300:]}"


def read_status(folder: Path) -> dict[str, Any]:
    nothing: dict[str, Any] = {"executions": 0, "slowest_s": 0.0, "most_mb": 0, "findings": []}
    return json.loads((folder / "beat").read_text()) if (folder / "beat").exists() else nothing


def keep_last(name: str, status: str, folder: Path) -> str:
    """Keep what was read when a process died."""
    from tests.fuzzing.mutations import pack

    inputs = folder / "input"
    files = {
        one.relative_to(inputs).as_posix(): one.read_bytes() for one in inputs.rglob("*") if one.is_file()
    }
    FOUND.mkdir(parents=True, exist_ok=True)
    place = FOUND / f"{name}-died-{hashlib.sha256(pack(files)).hexdigest()[:8]}"
    place.with_suffix(".folder").write_bytes(pack(files))
    place.with_suffix(".txt").write_text(status + "\n")
    return f"{name} {status.splitlines()[0]} ({place.name})"


# -- In a process of its own -------------------------------------------------------------------------


def child(name: str, executions: int, seed: int, engine: str) -> int:
    warnings.simplefilter("ignore")
    os.environ["XDG_CACHE_HOME"] = f"{os.devnull}/none"  # nothing that is decoded is to be kept
    if engine == "atheris":
        import atheris

        with atheris.instrument_imports(include=["reunet"]):
            from tests.fuzzing.readers import READERS
    else:
        from tests.fuzzing.readers import READERS
    from tests.fuzzing.trial import Trials, fewer_pixels

    fewer_pixels()
    folder = Path(os.environ["FUZZ_FOLDER"])
    trials = Trials(READERS[name], folder / "input", FOUND, is_traced=engine == "atheris")

    def beat(*, now: bool = False) -> None:
        if now or trials.executions % 50 == 0:
            told = {
                "executions": trials.executions,
                "slowest_s": round(trials.slowest, 2),
                "most_mb": trials.most_bytes >> 20,
                "findings": list(trials.what),
            }
            (folder / "beat.new").write_text(json.dumps(told))
            os.replace(folder / "beat.new", folder / "beat")

    beat(now=True)
    corpus = corpus_of(name)
    ways = {"atheris": with_atheris, "hypothesis": with_hypothesis}
    ways.get(engine, without_looking)(trials, corpus, executions, seed, beat)
    return 0


def with_atheris(trials: Any, corpus: Path, executions: int, seed: int, beat: Any) -> None:
    """Coverage of reunet's code guides it; half of the changes are libFuzzer's own."""
    import atheris
    from tests.fuzzing.mutations import MOST_BYTES, mutate

    most = min(MOST_BYTES, max(4096, *(2 * file.stat().st_size for file in corpus.glob("seed-*"))))

    def one(data: bytes) -> None:
        trials(data)
        beat(now=trials.executions == executions)

    def change(data: bytes, size: int, number: int) -> bytes:
        random = Random(number)
        return mutate(bytes(data), random, lambda inner, _: atheris.Mutate(inner, most), min(most, size))

    flags = [f"-runs={2 * executions}", f"-max_len={most}", f"-seed={seed + 1}", "-len_control=0"]
    flags += ["-rss_limit_mb=0", "-timeout=600", "-verbosity=0"]

    def until_done(data: bytes) -> None:
        one(data)
        if trials.executions >= executions:
            os._exit(0)  # libFuzzer counts what is no file, too

    atheris.Setup([sys.argv[0], str(corpus), *flags], until_done, custom_mutator=change)
    atheris.Fuzz()


def with_hypothesis(trials: Any, corpus: Path, executions: int, seed: int, beat: Any) -> None:
    """Changes of the seeds, and of what was found before."""
    import hypothesis
    from hypothesis import strategies as st
    from tests.fuzzing.mutations import mutate

    seeds = [file.read_bytes() for file in sorted(corpus.iterdir())]

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=executions,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(st.sampled_from(seeds), st.integers(0, 2**64 - 1))
    def one(data: bytes, number: int) -> None:
        trials(mutate(data, Random(number)))
        beat()

    one()
    trials.executions = max(trials.executions, executions)  # it leaves out what it has tried
    beat(now=True)


def without_looking(trials: Any, corpus: Path, executions: int, seed: int, beat: Any) -> None:
    """Changes of all that is in the corpus."""
    from tests.fuzzing.mutations import mutate

    files, random = [file.read_bytes() for file in sorted(corpus.iterdir())], Random(seed)
    while trials.executions < executions:
        trials(mutate(random.choice(files), random))
        beat(now=trials.executions == executions)


def corpus_of(name: str) -> Path:
    """The folder of the corpus, which holds the seeds and what was found to reach more."""
    from tests.fuzzing.readers import READERS

    corpus = FOUND / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in READERS[name].seeds():
        (corpus / f"seed-{hashlib.sha1(seed).hexdigest()[:16]}").write_bytes(seed)
    return corpus


# -- What the corpus reaches -------------------------------------------------------------------------


def branches(name: str) -> dict[str, Any]:
    """The share of the branches in the reading functions of the reader's modules that its corpus reaches, and
    those of other readers that share a module with it.
    """
    import coverage

    counter = coverage.Coverage(branch=True, include=["*/reunet/*"], data_file=None, config_file=False)
    counter.start()
    from tests.fuzzing.readers import READERS
    from tests.fuzzing.trial import Trials

    warnings.simplefilter("ignore")
    os.environ["XDG_CACHE_HOME"] = f"{os.devnull}/none"
    reader, files = READERS[name], sorted(corpus_of(name).iterdir())
    together = [one for one in READERS.values() if {*one.modules} & {*reader.modules}]
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        for one in together:
            trials = Trials(one, Path(folder) / one.name)
            for file in sorted(corpus_of(one.name).iterdir()):
                trials(file.read_bytes())
        counter.stop()
        counter.json_report(outfile=f"{folder}/report.json")
        report = json.loads(Path(folder, "report.json").read_text())
    counts = [count for module in reader.modules for count in of_reading(report, module)]
    reached, there = map(sum, zip(*counts, strict=True))
    return {"corpus": len(files), "branches": there, "branches_reached": round(reached / there, 3)}


WRITING = ("write", "save", "publish", "add_row", "outline_feature", "region_features", "box_features")
"""How the names of functions begin that no reader calls, nor what is defined inside of them."""


def of_reading(report: dict[str, Any], module: str) -> Iterator[tuple[int, int]]:
    """Branches reached and there, of the functions of a module that do not write."""
    ending = f"reunet/{module.replace('.', '/')}.py"
    (file,) = (told for path, told in report["files"].items() if path.endswith(ending))
    for function, told in file["functions"].items():
        names = [name.lstrip("_") for name in function.split(".")]
        if function and not any(name.startswith(WRITING) for name in names):
            yield told["summary"]["covered_branches"], told["summary"]["num_branches"]


if __name__ == "__main__":
    sys.exit(main())

"""Do the tests notice? Random small faults are put into the code, and the tests of the room run on each.

    python benchmarks/mutants.py --seed 1 --count 400

The faults: another comparison or operation, a condition turned around, a constant one off, a statement left
out, arguments exchanged, nothing returned; a quarter of them in each room. What is changed is a copy in
build/mutants/: a process that holds the libraries is forked for every mutant, which alone is changed. A line
per mutant goes to benchmarks/results/mutants.jsonl; the same command goes on where it ended.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import importlib.abc
import importlib.machinery
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "mutants.jsonl"

ROOMS = {
    "contracts": (("contracts/**/*.py",), ("tests/contracts",)),
    "metrics": (("metrics/*.py",), ("tests/metrics",)),
    "tiling": (("inference/tiling.py", "inference/large/*.py", "slices.py"),
               ("tests/test_slices.py", *(f"tests/inference/test_{name}.py" for name in
                ("tiling", "resized_parts", "sections")))),
    "storage": (("storage.py", "locks.py"), ("tests/storage",)),
}  # fmt: skip
"""Sources below src/reunet, and the tests that are to notice."""

LIBRARIES = ("numpy", "scipy.ndimage", "scipy.spatial", "scipy.optimize", "skimage.measure",
             "skimage.morphology", "skimage.segmentation", "pydantic", "tifffile", "cv2", "PIL.Image",
             "nibabel", "sklearn.metrics", "faster_coco_eval", "openvino", "pytest")  # fmt: skip

MOST_TIMES = 5
PATIENCE = 20.0
"""A mutant counts as noticed when its tests take MOST_TIMES as long and so many seconds more."""


# -- Faults ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mutant:
    """A changed module. told: what was changed, before and after."""

    room: str
    file: str
    line: int
    kind: str
    before: str
    after: str
    source: str


_OTHER: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.Add: ast.Sub,
    ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


def changes(node: ast.AST) -> Iterator[tuple[str, Callable[[Any], ast.AST]]]:
    """What can be changed about a node: the kind of fault, and what changes a copy of the node."""

    def operator(field: str) -> Callable[[Any], ast.AST]:
        def change(one: Any) -> ast.AST:
            setattr(one, field, _OTHER[type(getattr(one, field))]())
            return one

        return change

    def comparison(one: ast.Compare) -> ast.AST:
        one.ops[0] = _OTHER[type(one.ops[0])]()  # type: ignore[assignment]
        return one

    if isinstance(node, ast.Compare) and type(node.ops[0]) in _OTHER:
        yield "comparison", comparison
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in _OTHER:
        yield "operation", operator("op")
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.Invert):
        yield "sign", lambda one: one.operand
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "constant", lambda one: ast.Constant(not one.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield "constant", lambda one: ast.Constant(one.value + 1)
        yield "constant", lambda one: ast.Constant(one.value - 1)
    if isinstance(node, ast.Return) and node.value is not None and ast.unparse(node.value) != "None":
        yield "nothing returned", lambda one: ast.Return(ast.Constant(None))
    if isinstance(node, ast.Raise | ast.AugAssign | ast.Continue | ast.Break):
        yield "left out", lambda one: ast.Pass()
    if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
        yield "left out", lambda one: ast.Pass()
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        yield "condition", lambda one: _negated(one)
    if isinstance(node, ast.Call) and len(node.args) > 1 and not isinstance(node.args[0], ast.Starred):
        yield "arguments", _exchanged


def _negated(one: Any) -> ast.AST:
    one.test = ast.UnaryOp(ast.Not(), one.test)
    return one


def _exchanged(one: ast.Call) -> ast.AST:
    one.args[0], one.args[1] = one.args[1], one.args[0]
    return one


Path_ = tuple[tuple[str, int | None], ...]
"""Fields and places in them, from the root of a tree to a node."""


def mutant_at(room: str, source: Path, package: Path, path: Path_, number: int) -> Mutant | None:
    """The module with the change of that number at a node; None where that leaves it as it is."""
    tree = ast.parse(source.read_text("utf-8"))
    node = _at(tree, path)
    before = ast.unparse(node)
    kind, change = list(changes(node))[number]
    new = ast.copy_location(change(copy.deepcopy(node)), node)
    parent, (field, index) = _at(tree, path[:-1]), path[-1]
    if index is None:
        setattr(parent, field, new)
    else:
        getattr(parent, field)[index] = new
    after, file = ast.unparse(new), source.relative_to(package).as_posix()
    text = ast.unparse(ast.fix_missing_locations(tree))
    return None if before == after else Mutant(room, file, node.lineno, kind, before[:200], after[:200], text)


def _places(node: ast.AST, path: Path_) -> Iterator[Path_]:
    """The ways to all nodes that may be changed; types, imports and texts are left alone."""
    if path and hasattr(node, "lineno"):
        yield path
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_params", "type_comment"):
            continue
        for index, one in enumerate(value if isinstance(value, list) else [value]):
            told = isinstance(one, ast.JoinedStr | ast.Import | ast.ImportFrom)
            if isinstance(one, ast.AST) and not told and not _is_type(one):
                yield from _places(one, (*path, (field, index if isinstance(value, list) else None)))


def _is_type(node: ast.AST) -> bool:
    """Whether it is an alias of types, or imports for types: nothing of it is run."""
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript | ast.BinOp):
        return ast.unparse(node.targets[0])[:1].isupper() and not ast.unparse(node.targets[0]).isupper()
    return False


def _at(tree: ast.AST, path: Path_) -> Any:
    node: Any = tree
    for field, index in path:
        node = getattr(node, field) if index is None else getattr(node, field)[index]
    return node


# -- Tests -------------------------------------------------------------------------------------------


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module from changed source, and leaves all others to Python."""

    def __init__(self, name: str, source: str, file: Path) -> None:
        self._name, self._source, self._file = name, source, file

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        if name != self._name:
            return None
        package = [str(self._file.parent)] if self._file.name == "__init__.py" else None
        spec = importlib.machinery.ModuleSpec(
            name, self, origin=str(self._file), is_package=package is not None
        )
        spec.has_location = True
        if package:
            spec.submodule_search_locations = package
        return spec

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._source, str(self._file), "exec"), module.__dict__)


class FirstFailure:
    """A plugin of pytest: which test failed first."""

    name = ""

    def pytest_configure(self) -> None:
        from hypothesis import HealthCheck, settings

        quiet = {"deadline": None, "derandomize": True, "database": None}
        settings.register_profile("mutants", suppress_health_check=list(HealthCheck), **quiet)
        settings.load_profile("mutants")

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.name:
            self.name = report.nodeid

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and not self.name:
            self.name = f"import of {report.nodeid}"


def noticed(mutant: Mutant | None, room: str, copied: Path, seconds: float = 300) -> tuple[str, float]:
    """Which test notices a mutant (empty: none), and the seconds it took."""
    began = time.monotonic()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(int(seconds))
        _run_tests(mutant, room, copied, writing)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as told:
        name = told.read()
    _, status = os.waitpid(child, 0)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what its tests have started
    if status:
        name = "does not come to an end" if os.WIFSIGNALED(status) else "Python itself"
    return name, time.monotonic() - began


def _run_tests(mutant: Mutant | None, room: str, copied: Path, answer: int) -> None:
    import pytest

    os.setsid()
    quiet = os.open(copied / f"last-{room}.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    os.chdir(copied)
    sys.path.insert(0, str(copied / "src"))
    os.environ["PYTHONPATH"] = str(copied / "src")
    if mutant is not None:
        file = copied / "src" / "reunet" / mutant.file
        name = ".".join(("reunet", *Path(mutant.file).with_suffix("").parts)).removesuffix(".__init__")
        sys.meta_path.insert(0, Changed(name, mutant.source, file))
    first = FirstFailure()
    same = [] if mutant is None else _named_like(mutant, copied)
    paths = [*same, *ROOMS[room][1]]
    words = [
        "-x",
        "-q",
        "-m",
        "not slow and not keras and not keras_slow",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
    ]
    status = pytest.main(
        [*words, "-p", "no:randomly", f"--rootdir={copied}", *dict.fromkeys(paths)], plugins=[first]
    )
    os.write(answer, (first.name or ("" if status == 0 else f"status {status}")).encode())
    os._exit(0)


def _named_like(mutant: Mutant, copied: Path) -> list[str]:
    """Test files of the module's name: they are likely to notice."""
    found = []
    for place in ROOMS[mutant.room][1]:
        folder = copied / place
        files = folder.rglob("test_*.py") if folder.is_dir() else [folder]
        found += [
            str(one.relative_to(copied)) for one in files if one.stem == f"test_{Path(mutant.file).stem}"
        ]
    return found


# -- The run -----------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--room", action="append", choices=ROOMS, help="only this one; may be repeated")
    options = parser.parse_args()
    sys.dont_write_bytecode = True
    for library in LIBRARIES:
        try:
            importlib.import_module(library)
        except ImportError:
            continue
    for room in options.room or ROOMS:
        copied = copy_sources(options.seed, room)
        done = {line["number"] for line in lines() if (line["seed"], line["room"]) == (options.seed, room)}
        chosen = choose(copied, room, options.seed, options.count // len(ROOMS))
        todo = [number for number in range(len(chosen)) if number not in done]
        failing, seconds = noticed(None, room, copied) if todo else ("", 0.0)
        if failing:
            print(f"{room}: {failing} fails without any fault")
            return 1
        for number in todo:
            run(number, chosen[number], options.seed, copied, MOST_TIMES * seconds + PATIENCE)
    summary([line for line in lines() if line["seed"] == options.seed])
    return 0


def copy_sources(seed: int, room: str) -> Path:
    """Sources and tests as they were when they were first asked for."""
    copied = ROOT / "build" / "mutants" / f"{seed}-{room}"
    if not copied.is_dir():
        fresh = copied.with_name(f"new-{copied.name}")
        shutil.rmtree(fresh, ignore_errors=True)
        for name in ("src", "tests"):
            shutil.copytree(ROOT / name, fresh / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", fresh)
        fresh.rename(copied)
    return copied


def choose(copied: Path, room: str, seed: int, count: int) -> list[Mutant]:
    """So many of all mutants of a room, each as likely as any other."""
    package = copied / "src" / "reunet"
    files = [file for pattern in ROOMS[room][0] for file in sorted(package.glob(pattern))]
    everything = []
    for file in files:
        tree = ast.parse(file.read_text("utf-8"))
        for path in _places(tree, ()):
            everything += [(file, path, number) for number, _ in enumerate(changes(_at(tree, path)))]
    random.Random(f"{seed} {room}").shuffle(everything)
    found = (mutant_at(room, file, package, path, number) for file, path, number in everything)
    return list(islice(filter(None, found), count))


def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RESULTS.read_text("utf-8").splitlines()] if RESULTS.is_file() else []


def run(number: int, mutant: Mutant, seed: int, copied: Path, most_seconds: float) -> None:
    test, seconds = noticed(mutant, mutant.room, copied, most_seconds)
    told = {key: value for key, value in vars(mutant).items() if key != "source"}
    line = {"seed": seed, "number": number, **told, "noticed": test, "seconds": round(seconds, 1)}
    print(line, flush=True)
    with open(RESULTS, "a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def summary(done: list[dict[str, Any]]) -> None:
    for room in ROOMS:
        of_room = [line for line in done if line["room"] == room]
        killed = sum(bool(line["noticed"]) for line in of_room)
        if of_room:
            print(f"{room}: {killed} of {len(of_room)} noticed, {killed / len(of_room):.0%}")
    killed = sum(bool(line["noticed"]) for line in done)
    print(f"all: {killed} of {len(done)} noticed, {killed / max(len(done), 1):.1%}")


if __name__ == "__main__":
    sys.exit(main())

"""Packages that may be missing, and the framework under Keras, which is chosen before Keras is imported."""

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from threading import Lock
from types import ModuleType
from typing import Any, Literal, get_args

from reunet.errors import BackendError, installing

Backend = Literal["tensorflow", "jax", "torch"]

BACKENDS: tuple[Backend, ...] = get_args(Backend)
"""In order of preference: TensorFlow trains fastest on a CPU (docs/benchmarks.md)."""

_one_table = Lock()
"""Held while OpenVINO fills its table of dtypes, which it does at the first use, and lets other threads go on
meanwhile: two that need it first would wait for each other for ever.
"""


SETTINGS = {
    # ONNX Runtime keeps an id of this machine and a queue of events in the user's cache, and sends them.
    "ORT_DISABLE_TELEMETRY": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
"""Environment variables that keep libraries private and quiet; whoever has set them keeps what they set."""


def keep_private() -> None:
    """Have libraries tell nobody of their use and write no more than they must; before they are imported."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    # What OpenVINO and NNCF tell their maker with; as if it was not installed.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    if "KERAS_HOME" not in os.environ and not os.path.isdir(os.path.expanduser("~/.keras")):
        import platformdirs

        # Keras writes its settings there, and the weights it downloads.
        os.environ["KERAS_HOME"] = str(platformdirs.user_cache_path("reunet", appauthor=False) / "keras")
    # The lines that it writes to the terminal before its log level counts.
    _import_within("tensorflow", _silent_terminal)


def after_import(name: str, action: Callable[[], object]) -> None:
    """Do something as soon as a module has been imported: now, where it has been."""
    if name in sys.modules:
        action()
        return

    @contextmanager
    def before() -> Iterator[None]:
        yield
        action()

    _import_within(name, before)


def _import_within(name: str, around: Callable[[], AbstractContextManager[None]]) -> None:
    """Have a module imported within a context; once is enough."""
    if not any(isinstance(finder, _Within) and finder.name == name for finder in sys.meta_path):
        sys.meta_path.insert(0, _Within(name, around))


class _Within(MetaPathFinder):
    """Imports one module within a context."""

    def __init__(self, name: str, around: Callable[[], AbstractContextManager[None]]) -> None:
        self.name, self._around = name, around

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self.name:
            return None
        others = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, others), None)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def within(module: ModuleType) -> None:
            with self._around():
                execute(module)

        setattr(spec.loader, "exec_module", within)  # noqa: B010
        return spec


@contextmanager
def _silent_terminal() -> Iterator[None]:
    """Inside, what is written to file descriptor 2, also by C++, goes nowhere."""
    with ExitStack() as stack:
        with suppress(OSError):  # it may be closed
            before = os.dup(2)
            stack.callback(os.close, before)
            stack.callback(os.dup2, before, 2)
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), 2)
        yield


def import_extra(module: str, extra: str, where: object = None) -> Any:
    """A module that comes with one of reunet's extras.

    where: the option that asks for it. Raises BackendError with what to install where it is missing.
    """
    keep_private()
    try:
        return importlib.import_module(module)
    except ImportError as cause:
        raise _missing(module, extra, where) from cause


def require_extra(module: str, extra: str, where: object = None) -> None:
    """Raise what `import_extra` would for a missing package, without the seconds that some imports take."""
    if importlib.util.find_spec(module) is None:
        raise _missing(module, extra, where)


def _missing(module: str, extra: str, where: object) -> BackendError:
    name = module.partition(".")[0]
    return BackendError(f"the package {name} is not installed", where=where, fix=installing(extra))


def import_openvino() -> Any:
    """The module `openvino`, which would tell its maker over the network that it was imported.

    What is predicted here, and when, is nobody's business.
    """
    keep_private()
    openvino = importlib.import_module("openvino")
    with _one_table:
        openvino.Type.f32.to_dtype()
    return openvino


def installed_backends() -> tuple[Backend, ...]:
    """The backends that could be used here. Nothing is imported."""
    return tuple(name for name in BACKENDS if importlib.util.find_spec(name) is not None)


def choose_backend(wanted: str | None) -> Backend:
    """`wanted`, or the one Keras already runs on, or the first installed.

    Raises BackendError when it is not installed, or when this process loaded Keras on another one.
    """
    keras = sys.modules.get("keras")
    loaded = None if keras is None else str(keras.backend.backend())
    installed = installed_backends()
    name = wanted or loaded or next(iter(installed), None)
    chosen = next((backend for backend in installed if backend == name), None)
    if chosen is None or importlib.util.find_spec("keras") is None:
        raise BackendError(
            f"the backend {name} is not installed" if name else "no training framework is installed",
            where="--backend",
            expected=f"one of {', '.join(installed) or ', '.join(BACKENDS)}",
            received=name,
            fix=installing(name or "tensorflow"),
        )
    if loaded not in (None, name):
        raise BackendError(
            "Keras is already loaded on another backend in this process",
            where="--backend",
            expected=loaded,
            received=name,
            fix="start a new Python process, or choose the backend that is loaded",
        )
    return chosen


def use_backend(name: str) -> None:
    """Make Keras run on `name` in this process; call before anything imports Keras."""
    choose_backend(name)
    keep_private()
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = name


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a framework, or Python, raised this for want of memory, of a GPU or of the machine."""
    if isinstance(error, MemoryError) or type(error).__name__ in (
        "ResourceExhaustedError",
        "OutOfMemoryError",
    ):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and ("RESOURCE_EXHAUSTED" in text or "out of memory" in text)


def use_any_backend(preferred: Backend) -> None:
    """Make Keras run on `preferred` where it is installed, else on another one.

    For predictions: the same weights give the same network on each. A Keras that is loaded, or that the
    environment has chosen a backend for, stays as it is. Raises BackendError when there is none.
    """
    keep_private()
    if "keras" not in sys.modules and "KERAS_BACKEND" not in os.environ:
        use_backend(preferred if preferred in installed_backends() else choose_backend(None))

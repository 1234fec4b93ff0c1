"""`reunet doctor`: what belongs in a bug report, without host or user names."""

import os
import platform
import shutil
import sys
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement

from reunet import __version__, machine
from reunet.backend import BACKENDS, import_openvino
from reunet.contracts.options.records import DoctorOptions
from reunet.contracts.options.verb import verb
from reunet.contracts.pack import packs_folder
from reunet.devices import use_of
from reunet.errors import installing

NEEDED_FOR_TRAINING = ("keras", "grain")


@verb(DoctorOptions)
def doctor(options: DoctorOptions) -> str:
    """Facts about this installation, or the cache of images, as text. Imports no training framework."""
    if options.cache or options.clear:
        return "\n".join(_cache(clear=options.clear))
    sections = {
        "reunet": _installation(),
        "machine": _machine(),
        "prediction engines": _engines(),
        "training backends": _backends(),
        "optional packages": _extras(),
        "folders": _folders(),
        "packages": [f"{name} {version}" for name, version in machine.versions().items()],
    }
    lines: list[str] = []
    for title, facts in sections.items():
        lines += [title, *(f"  {fact}" for fact in facts)]
    return "\n".join(lines)


def _installation() -> list[str]:
    inside = sys.prefix != sys.base_prefix
    return [
        f"version {__version__}",
        f"python {platform.python_version()} ({platform.python_implementation()}), "
        f"{'virtual environment' if inside else 'no virtual environment'}",
        f"encoding: files {sys.getfilesystemencoding()}, output {sys.stdout.encoding}",
    ]


def _machine() -> list[str]:
    memory = machine.memory_bytes()
    return [
        f"{platform.system()} {platform.release()}, {platform.machine()}",
        f"processor: {machine.processor()}, {machine.cores()} core(s) usable",
        f"native bfloat16: {_yes(machine.has_cpu_bfloat16())}",
        f"memory: {'unknown' if memory is None else f'{memory / 2**30:.1f} GiB'}",
        f"gpu: {machine.gpu() or 'no NVIDIA driver answers (nvidia-smi)'}",
    ]


def _engines() -> list[str]:
    try:
        ov = import_openvino()
        core = ov.Core()
        abilities = ", ".join(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
        return [f"openvino: loads; devices {', '.join(core.available_devices)}; CPU computes {abilities}"]
    except Exception as cause:  # a broken installation is exactly what is to be reported here
        return [f"openvino: cannot be loaded ({type(cause).__name__}: {cause})"]


def _backends() -> list[str]:
    facts = []
    for name in BACKENDS:
        missing = [package for package in (name, *NEEDED_FOR_TRAINING) if not find_spec(package)]
        hint = f"missing {', '.join(missing)}: {installing(name)}" if missing else use_of(name)
        facts.append(f"{name}: {hint}")
    chosen = os.environ.get("KERAS_BACKEND")
    if chosen is not None:
        facts.append(f"KERAS_BACKEND is set to {chosen}")
    return facts


def _extras() -> list[str]:
    """What each extra of reunet brings, and what of it is missing here."""
    try:
        told = [Requirement(line) for line in metadata.requires("reunet") or ()]
        extras = metadata.metadata("reunet").get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        return ["unknown: reunet is not installed, it runs from its source"]
    return [_extra(name, told) for name in sorted(extras) if name not in ("dev", "docs", *BACKENDS)]


def _extra(name: str, told: Sequence[Requirement]) -> str:
    wanted = [
        one for one in told
        if one.name != "reunet" and one.marker and not one.marker.evaluate({"extra": ""})
        and one.marker.evaluate({"extra": name})
    ]  # fmt: skip
    if not wanted:
        return f"{name}: not for this system"
    missing = [one for wish in wanted for one in _missing(wish)]
    return f"{name}: " + (f"missing {', '.join(missing)}: {installing(name)}" if missing else "installed")


def _missing(wish: Requirement) -> list[str]:
    """The package that is wished for, where it is not installed, or what its own extras lack."""
    try:
        told = [Requirement(line) for line in metadata.requires(wish.name) or ()]
    except metadata.PackageNotFoundError:
        return [wish.name]
    brought = (
        one for extra in wish.extras for one in told
        if one.marker and not one.marker.evaluate({"extra": ""}) and one.marker.evaluate({"extra": extra})
    )  # fmt: skip
    return [name for one in brought for name in _missing(one)]


def _cache(*, clear: bool) -> list[str]:
    from reunet.datasets.cache import LIMIT, cache_folder, cached_cases, prune

    removed = [f"removed: {prune(0, spare_seconds=0):,} bytes"] if clear else []
    if clear:
        shutil.rmtree(packs_folder(), ignore_errors=True)
    packs = [file.stat().st_size for file in packs_folder().rglob("*") if file.is_file()]
    found = list(cached_cases())
    size = sum(case.size for case in found)
    return [
        *removed,
        f"folder: {_shown(cache_folder())}",
        f"cases: {len(found)}",
        f"size: {size:,} bytes, {size / 2**30:.2f} GiB; above {LIMIT / 2**30:.0f} GiB the oldest are removed",
        f"unpacked runs: {sum(packs):,} bytes in {_shown(packs_folder())}",
    ]


def _folders() -> list[str]:
    from reunet.datasets.cache import cache_folder

    cache = cache_folder().parent
    nearest = next((folder for folder in (cache, *cache.parents) if folder.is_dir()), Path("/"))
    return [
        f"working folder: {_free(Path.cwd())}",
        f"cache: {_shown(cache)}, writable {_yes(os.access(nearest, os.W_OK))}, {_free(nearest)}",
    ]


def _shown(folder: Path) -> str:
    return str(folder).replace(str(Path.home()), "~")


def _free(folder: Path) -> str:
    try:
        return f"{shutil.disk_usage(folder).free / 2**30:.1f} GiB free"
    except OSError as cause:
        return f"free space unknown ({cause.strerror})"


def _yes(value: bool) -> str:
    return "yes" if value else "no"

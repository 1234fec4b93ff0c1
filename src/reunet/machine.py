"""Facts about the machine that planning, records and bug reports need. Never a host or user name."""

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "reunet", "numpy", "keras", "tensorflow", "tensorflow-cpu", "jax", "torch", "grain", "openvino",
    "opencv-python-headless", "pillow", "tifffile", "imagecodecs", "pydantic", "typer", "scipy",
    "scikit-image",
)  # fmt: skip

CONTAINER_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where Linux tells how much memory a container may use (control groups version 2 and 1)."""


M_ARENA_MAX = -8
"""Of glibc's mallopt(3)."""


def cores() -> int:
    """Processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> int | None:
    """Memory this process may use: physical, or what its container is allowed; None where nothing tells."""
    limits = []
    if sys.platform == "win32":
        limits.append(_memory_of_windows())
    with suppress(AttributeError, ValueError, OSError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for file in CONTAINER_LIMITS:
        with suppress(ValueError, OSError):  # "max", or no such file
            limits.append(int(file.read_text(encoding="ascii")))
    return min(limits, default=None)


def _memory_of_windows() -> int:
    """Physical bytes, as MEMORYSTATUSEX tells them."""
    names = ("length", "load", "physical", "free", "pages", "free_pages", "address", "free_address", "more")
    kinds = (ctypes.c_uint32,) * 2 + (ctypes.c_uint64,) * 7
    status = type("Status", (ctypes.Structure,), {"_fields_": list(zip(names, kinds, strict=True))})()
    status.length = ctypes.sizeof(status)
    windows: Any = getattr(ctypes, "windll", None)
    windows.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
    return int(status.physical)


def resident_bytes() -> int | None:
    """Memory that this process has now; None where the system does not tell (other than Linux)."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def share_one_heap() -> None:
    """Let all threads of this process allocate from one heap, where the C library is GNU's.

    It gives each a heap of its own, and what one thread frees no other can use: predicting large images would
    take half as much memory again. To be called before there are threads.
    """
    with suppress(
        OSError, AttributeError, TypeError
    ):  # another C library has no such option, Windows no name
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


@cache
def _of_processor(fact: str) -> str:
    """What Linux tells of the first processor, such as its "model name"; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(fact)), "")


def processor() -> str:
    """The processor's name."""
    return _of_processor("model name") or platform.processor() or "unknown"


def has_cpu_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 natively; without it bfloat16 only costs time."""
    return bool({"avx512_bf16", "amx_bf16"} & set(_of_processor("flags").split()))


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU, as its driver tells. capability: of its arithmetic; bfloat16 from 8.0 on."""

    name: str
    memory_bytes: int
    capability: float
    driver: str

    def __str__(self) -> str:
        return f"{self.name} ({self.memory_bytes / 2**30:.1f} GiB, driver {self.driver})"


@cache
def gpu() -> Gpu | None:
    """The first NVIDIA GPU, asked of its driver; None where there is none, or no driver answers."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    facts = "--query-gpu=name,memory.total,compute_cap,driver_version"
    try:
        answer = subprocess.run(
            [tool, facts, "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=20, check=True,
        ).stdout  # fmt: skip
        name, megabytes, capability, driver = answer.splitlines()[0].rsplit(", ", 3)
        return Gpu(name, int(megabytes) * 2**20, float(capability), driver)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def versions() -> dict[str, str]:
    """Versions of the packages that results depend on, of those installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def describe() -> dict[str, object]:
    """The machine in a few words, for environment.json and benchmark lines."""
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": cores(),
        "memory_gib": round((memory_bytes() or 0) / 2**30, 1),
        "cpu_bfloat16": has_cpu_bfloat16(),
        "gpu": str(gpu() or "none"),
    }

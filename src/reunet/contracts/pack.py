"""A packed run: one file that holds what a run needs to predict, and nothing that could be executed.

A ZIP archive without compression. Its entry pack.json has the SHA-256 of each of the others; their names are
those of a run folder, and no other name is taken. Where a run is named, a pack may be: it is unpacked once,
into the user's cache, under the hash of its content.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from reunet.contracts.base import Contract, check_schema_version
from reunet.contracts.facts import Hash
from reunet.contracts.run import MOST_BYTES, RunFolder
from reunet.contracts.zoo import from_zoo
from reunet.errors import ModelFileError, ReunetError, shortened
from reunet.storage import atomic_path, publish_folder, sha256_file

SUFFIX = ".reunet"
MANIFEST = "pack.json"

NEEDED = ("plan.json", "weights/best.weights.h5", "weights/weights.json")
"""What every pack holds."""

TAKEN = re.compile(
    r"plan\.json|calibration\.json|model_card\.md|weights/(best\.weights\.h5|weights\.json)"
    r"|engine/(engine\.json|(model|int8)\.(xml|bin))|test/(input|expected_\w{1,60})\.npy"
)
"""Names of the files of a pack."""

MOST_FILES = 64


class Manifest(Contract):
    """pack.json: the hash of every file."""

    error: ClassVar[type[ReunetError]] = ModelFileError

    schema_version: int = 1
    files: dict[str, Hash]


def run_at(path: Path) -> RunFolder:
    """The run that a folder or a pack is, or that a name of the zoo stands for. Raises ModelFileError for a
    file that is no pack, or is damaged, and for a checkpoint that is not installed.
    """
    path = from_zoo(path)
    return RunFolder(_unpacked(path) if path.is_file() else path)


def packs_folder() -> Path:
    """Where packs are unpacked."""
    import platformdirs

    return platformdirs.user_cache_path("reunet", appauthor=False) / "packs"


def write_pack(run: Path, output: Path) -> tuple[str, ...]:
    """Write the files of a run as one, atomically; their names. Raises StorageError."""
    files = {one.relative_to(run).as_posix(): one for one in sorted(run.rglob("*")) if one.is_file()}
    files = {name: file for name, file in files.items() if TAKEN.fullmatch(name)}
    manifest = Manifest(files={name: sha256_file(file) for name, file in files.items()})
    with atomic_path(output) as temporary, ZipFile(temporary, "w", ZIP_STORED) as archive:
        archive.writestr(_entry(MANIFEST), manifest.model_dump_json(indent=2))
        for name, file in files.items():
            with archive.open(_entry(name), "w", force_zip64=True) as to, file.open("rb") as content:
                while block := content.read(1 << 20):
                    to.write(block)
    return tuple(files)


def _entry(name: str) -> ZipInfo:
    """Of no time and for everybody to read: the same run gives the same file."""
    entry = ZipInfo(name)
    entry.external_attr = 0o644 << 16
    return entry


def _unpacked(file: Path) -> Path:
    folder = packs_folder() / sha256_file(file)[:32]
    try:
        with ZipFile(file) as archive:
            if not _is_whole(folder, archive):
                entries = _checked(file, archive)
                publish_folder(folder, lambda to: _fill(file, archive, entries, to))
    except (BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, RecursionError) as cause:
        raise _damaged(file, "this file is not a run that `reunet pack` wrote", str(cause)) from cause
    return folder


def _is_whole(folder: Path, archive: ZipFile) -> bool:
    """Whether all of an archive is in its folder still: who clears a cache may leave parts of it."""
    sizes = {info.filename: info.file_size for info in archive.infolist() if info.filename != MANIFEST}
    return folder.is_dir() and all(
        (folder / name).is_file() and (folder / name).stat().st_size == size for name, size in sizes.items()
    )


def _checked(file: Path, archive: ZipFile) -> Mapping[str, str]:
    """The names of the entries and their hashes, after looking at all that a ZIP archive can say."""
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if MANIFEST not in names or len(infos) > MOST_FILES or len(set(names)) != len(names):
        raise _damaged(file, "this file is not a run that `reunet pack` wrote", f"{len(infos)} entries")
    for info in infos:
        if info.compress_type != ZIP_STORED or info.flag_bits & 1 or info.compress_size != info.file_size:
            raise _damaged(
                file, "a pack holds its files as they are", f"{shortened(info.filename)}, compressed"
            )
        if info.filename != MANIFEST and not TAKEN.fullmatch(info.filename):
            raise _damaged(file, "a pack holds the files of a run only", shortened(info.filename))
    if sum(info.file_size for info in infos) > MOST_BYTES or archive.getinfo(MANIFEST).file_size > 2**20:
        raise _damaged(file, "the pack is too large", "more than 16 GiB")
    told = json.loads(archive.read(MANIFEST))
    check_schema_version(told, 1, where=file, error=ModelFileError)
    hashes = Manifest.parse(told, where=f"{file}, {MANIFEST}").files
    if set(hashes) != set(names) - {MANIFEST} or not set(NEEDED) <= set(hashes):
        raise _damaged(file, "the pack is not complete", ", ".join(sorted(set(hashes) ^ set(names))))
    return hashes


def _fill(file: Path, archive: ZipFile, hashes: Mapping[str, str], folder: Path) -> None:
    for name, known in hashes.items():
        path, found = folder / name, hashlib.sha256()
        path.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(name) as content, path.open("wb") as to:
            while block := content.read(1 << 20):
                found.update(block)
                to.write(block)
        if found.hexdigest() != known:
            raise _damaged(file, f"{name} in this pack is damaged or was exchanged", found.hexdigest(), known)


def _damaged(file: Path, what: str, received: str, expected: str | None = None) -> ModelFileError:
    return ModelFileError(
        what, where=file, expected=expected, received=received, fix="copy the file again from its source"
    )

"""Changes of a file as accidents and attackers make them: of its bytes, and of what its format is made of.

`mutate` sees by the content what it has before it: JSON is changed in its values, a table in its cells, a PNG
in its chunks (whose checksums are made right again), a packed file in what is inside.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

INTEGERS = (0, 1, -1, 2, 3, 4, 5, 7, 8, 12, 16, 24, 32, 64, 127, 128, 255, 256, 1000, 32767, 65535, 65536,
            2**24, 2**31 - 1, -(2**31), 2**32 - 1, 2**48, 2**63 - 1)  # fmt: skip
VALUES = tuple(json.dumps(value) for value in (
    None, True, False, 0, 1, -1, 2, 255, 256, 2**31, 10**18, 1e300, -1e-300, 0.5, float("nan"), float("inf"),
    "", "a", "0", "1e400", "\ud800", "\0", "../a", "/etc/passwd", "C:\\a", "a\\b", "é", "x" * 300, "=1+1",
    [], [0], [1, 2], [[]], {}, {"id": 1}, {"name": "a"}, 10**400,
))  # fmt: skip
CELLS = ("", " ", "0", "1", "-1", "1e9", "nan", "inf", "9" * 30, "²", "\0", '"', "'", ";", "\t", ",", "\r",
         "\n", "\r\n", "\ufeff", "é", "x" * 300, "../a", "a\\b", "#", "[", "{", "true", "null", "<", "&amp;",
         "%", "9" * 5000)  # fmt: skip
MOST_BYTES = 1 << 16

Change = Callable[[bytes, Random], bytes]


def mutate(
    data: bytes, random: Random, change_bytes: Change | None = None, most_bytes: int = MOST_BYTES
) -> bytes:
    """Another file, at most so many bytes long. change_bytes: what changes bytes of no known form."""
    plain = change_bytes or of_bytes
    change = plain if random.random() < 0.2 else _CHANGES.get(form_of(data), plain)
    try:
        changed = change(data, random)
    except Exception:  # half a format: what a change before this one has left
        changed = plain(data, random)
    return changed[:most_bytes]


def form_of(data: bytes) -> str:
    """What a file is, as far as changes need to know it."""
    if data.startswith(FOLDER):
        return "folder"
    if data.startswith(b"\x89PNG"):
        return "png"
    if data.startswith(b"\x1f\x8b"):
        return "gzip"
    if data.startswith(b"PK"):
        return "zip"
    if data[:4] in (b"II*\0", b"MM\0*"):
        return "tiff"
    if data.lstrip()[:1] in (b"{", b"["):
        return "json"
    return "text" if b"\0" not in data and _is_text(data) else ""


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def of_bytes(data: bytes, random: Random) -> bytes:
    """One to four changes at random places."""
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randrange(len(data) + 1)
        size = random.choice((1, 2, 4, 8))
        kind = random.randrange(7)
        if kind == 0 and at < len(data):
            data = data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at] + _integer(random, size) + data[at + size :]
        elif kind == 2:
            data = data[:at] + data[at + random.choice((1, size, 64)) :]
        elif kind == 3:
            data = (
                data[:at]
                + data[at : at + random.choice((size, 64))] * random.choice((2, 2, 3, 50))
                + data[at:]
            )
        elif kind == 4:
            data = data[:at] + random.randbytes(size) + data[at:]
        elif kind == 5:
            data = data[:at]
        else:
            data = data[:at] + random.randbytes(size) + data[at + size :]
    return data


def _integer(random: Random, size: int, order: str = "") -> bytes:
    bits = random.choice(INTEGERS) & ((1 << 8 * size) - 1)
    return bits.to_bytes(size, "little" if (order or random.choice("<>")) == "<" else "big")


def of_tiff(data: bytes, random: Random) -> bytes:
    """A field of an entry of the first directory: tag, type, count or value."""
    order = "<" if data[:2] == b"II" else ">"
    (first,) = struct.unpack(order + "I", data[4:8])
    (count,) = struct.unpack(order + "H", data[first : first + 2])
    for _ in range(random.choice((1, 1, 2, 3))):
        at = first + 2 + 12 * random.randrange(max(count, 1))
        offset, size = random.choice(((0, 2), (2, 2), (4, 4), (8, 4), (8, 2), (8, 2), (8, 4)))
        value = random.choice(
            (
                _integer(random, size, order),
                random.randbytes(size),
                struct.pack(order + "H", random.choice(_TAGS))
                if size == 2 and not offset
                else _integer(random, size, order),
            )
        )
        data = data[: at + offset] + value + data[at + offset + size :]
    return data


_TAGS = (254, 256, 257, 258, 259, 262, 266, 270, 273, 274, 277, 278, 279, 282, 284, 296, 305, 317, 320, 322,
         323, 324, 325, 330, 338, 339, 347, 530, 50838, 50839)  # fmt: skip


def of_png(data: bytes, random: Random) -> bytes:
    """What is in a chunk, or which chunks there are; checksums and packed pixels stay whole."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    number = random.randrange(len(chunks))
    name, content = chunks[number]
    kind = random.randrange(6)
    if kind == 0:
        chunks.insert(number, chunks[random.randrange(len(chunks))])
    elif kind == 1:
        del chunks[number]
    elif name == b"IDAT" and kind < 4:
        chunks[number] = name, zlib.compress(of_bytes(zlib.decompress(content), random), 1)
    elif name == b"IHDR":
        places = random.choice(((0, 4), (4, 4), (8, 1), (9, 1), (12, 1)))
        fitting = (
            _integer(random, places[1], ">")
            if random.random() < 0.5
            else bytes([random.choice((0, 1, 2, 3, 4, 6, 8, 16))])
        )
        chunks[number] = name, content[: places[0]] + fitting.rjust(places[1], b"\0") + content[sum(places) :]
    else:
        chunks[number] = name, of_bytes(content, random)
    parts = (struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks)
    return data[:8] + b"".join(parts)


def of_gzip(data: bytes, random: Random) -> bytes:
    """What is packed."""
    return gzip.compress(mutate(gzip.decompress(data), random), 1)


def of_zip(data: bytes, random: Random) -> bytes:
    """What is in one of its files, or its name."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w") as new:
        names = old.namelist()
        chosen = random.choice(names)
        for name in names:
            content = old.read(name)
            if name == chosen:
                content = mutate(content, random)
                name = random.choice((name,) * 8 + ("../a", "/a", "x" * 300, name + "é"))
            new.writestr(name, content)
    return packed.getvalue()


def of_json(data: bytes, random: Random) -> bytes:
    """One to three values."""
    tree = json.loads(data)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        tree = _changed(tree, random)
    return json.dumps(tree, indent=random.choice((None, None, 1))).encode()


def _changed(tree: Any, random: Random) -> Any:
    places: list[tuple[Any, Any]] = []
    rest = [tree]
    while rest:
        node = rest.pop()
        inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in inside:
            places.append((node, key))
            rest.append(value)
    if not places:
        return json.loads(random.choice(VALUES))
    node, key = random.choice(places)
    kind = random.randrange(8)
    if kind == 0:
        del node[key]
    elif kind == 1 and isinstance(node, dict):
        node[random.choice((key + "s", key.upper(), "x", ""))] = node.pop(key)
    elif kind == 1 and isinstance(node, list):
        node.append(node[key])
    elif kind == 2:
        other, from_there = random.choice(places)
        if (isinstance(other, dict) and from_there in other) or (
            isinstance(other, list) and from_there < len(other)
        ):
            node[key] = json.loads(json.dumps(other[from_there]))
    elif kind == 3 and isinstance(node[key], int | float) and not isinstance(node[key], bool):
        node[key] = random.choice(
            (
                node[key] + 1,
                node[key] - 1,
                -node[key],
                node[key] * 1000,
                str(node[key]),
                float(node[key]) + 0.5,
                *INTEGERS,
            )
        )
    elif kind == 4:
        node[key] = [node[key]] if random.random() < 0.9 else _deep(random.choice((50, 500)))
    else:
        node[key] = json.loads(random.choice(VALUES))
    return tree


def _deep(levels: int) -> Any:
    tree: Any = 0
    for _ in range(levels):
        tree = [tree]
    return tree


def of_text(data: bytes, random: Random) -> bytes:
    """One to three words or signs between them, or the encoding."""
    parts = re.split(r"([\W_]+)", data.decode("utf-8"))
    for _ in range(random.choice((1, 1, 2, 3))):
        at = random.randrange(len(parts))
        kind = random.randrange(6)
        if kind == 0:
            del parts[at]
        elif kind == 1:
            parts.insert(at, parts[random.randrange(len(parts))])
        elif kind == 2:
            parts[at] = parts[random.randrange(len(parts))]
        elif kind == 3:
            parts[at:at] = parts[at : at + random.choice((2, 8))]
        else:
            parts[at] = random.choice(CELLS)
        parts = parts or [""]
    coding = "utf-8" if random.random() < 0.9 else random.choice(("latin-1", "utf-16", "utf-8-sig"))
    return "".join(parts).encode(coding, "replace")


FOLDER = b"folder\n"
"""How several files in a folder are written as one: names and contents, all characters of Latin-1."""


def pack(files: dict[str, bytes]) -> bytes:
    """Several files as one."""
    return FOLDER + json.dumps({name: content.decode("latin-1") for name, content in files.items()}).encode()


def unpack(data: bytes) -> dict[str, bytes]:
    """The files that `pack` was given. Raises ValueError."""
    told = json.loads(data.removeprefix(FOLDER))
    if not isinstance(told, dict) or not all(isinstance(one, str) for one in told.values()):
        raise ValueError("no folder of files")
    return {name: content.encode("latin-1") for name, content in told.items()}


def of_folder(data: bytes, random: Random) -> bytes:
    """One of the files, or which there are."""
    files = unpack(data)
    name = random.choice(sorted(files))
    if random.random() < 0.1:
        del files[name]
    else:
        files[name] = mutate(files[name], random)
    return pack(files)


_CHANGES: dict[str, Change] = {
    "folder": of_folder, "png": of_png, "gzip": of_gzip, "zip": of_zip, "tiff": of_tiff, "json": of_json,
    "text": of_text,
}  # fmt: skip

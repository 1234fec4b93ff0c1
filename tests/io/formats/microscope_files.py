"""Files as microscopes write them, small and by hand: planes go in, a file comes out."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile

Tile = tuple[dict[str, int], tuple[int, int], np.ndarray]
"""A block of a CZI: its place (T, Z, C, S, M), its corner (top, left), its pixels (h, w) or (h, w, 3) RGB."""

PIXEL_TYPES = {("uint8", 1): 0, ("uint16", 1): 1, ("float32", 1): 2, ("uint8", 3): 3, ("uint16", 3): 4}


def write_czi(
    path: Path, tiles: Sequence[Tile], *, compression: int = 0, facts: str = "", zoom: int = 1
) -> None:
    """zoom: above 1 each block is told to be stored smaller, as of a pyramid."""

    def segment(sign: bytes, content: bytes) -> bytes:
        return struct.pack("<16sqq", sign, len(content), len(content)) + content

    def entry(tile: Tile, offset: int) -> bytes:
        at, (top, left), pixels = tile
        kind = PIXEL_TYPES[str(pixels.dtype), pixels.shape[2] if pixels.ndim == 3 else 1]
        h, w = (side * zoom for side in pixels.shape[:2])
        sides = [
            ("X", left, w, w // zoom),
            ("Y", top, h, h // zoom),
            *((name, n, 1, 1) for name, n in at.items()),
        ]
        head = struct.pack("<2siqiiB5si", b"DV", kind, offset, 0, compression, 0, b"", len(sides))
        return head + b"".join(struct.pack("<4siifi", n.encode(), a, s, 0.0, t) for n, a, s, t in sides)

    body = bytearray(segment(b"ZISRAWFILE", bytes(512)))
    entries = []
    for tile in tiles:
        offset, pixels = len(body), tile[2][..., ::-1] if tile[2].ndim == 3 else tile[2]
        data = compressed(np.ascontiguousarray(pixels), compression)
        told = struct.pack("<iiq", 0, 0, len(data)) + entry(tile, offset)
        body += segment(b"ZISRAWSUBBLOCK", told.ljust(256, b"\0") + data)
        entries.append(entry(tile, offset))
    directory = len(body)
    body += segment(b"ZISRAWDIRECTORY", struct.pack("<i124x", len(entries)) + b"".join(entries))
    metadata = len(body)
    xml = f"<ImageDocument><Metadata>{facts}</Metadata></ImageDocument>".encode()
    body += segment(b"ZISRAWMETADATA", struct.pack("<i252x", len(xml)) + xml)
    body[32:112] = struct.pack("<iiii16s16siqqiq", 1, 0, 0, 0, b"", b"", 0, directory, metadata, 0, 0)
    path.write_bytes(body)


def compressed(pixels: np.ndarray, kind: int) -> bytes:
    import imagecodecs

    if kind == 5:
        return bytes(imagecodecs.zstd_encode(pixels.tobytes()))
    if kind == 6:  # the lower bytes of all samples, then the upper ones
        packed = pixels.view(np.uint8).reshape(-1, 2).T.tobytes()
        return b"\x03\x01\x01" + bytes(imagecodecs.zstd_encode(packed))
    return pixels.tobytes()


def czi_facts(channels: Sequence[str], scenes: Sequence[str] = (), pixel: float = 5e-7) -> str:
    told = "".join(f'<Channel Id="Channel:{i}" Name="{name}"/>' for i, name in enumerate(channels))
    places = "".join(f'<Scene Index="{i}" Name="{name}"/>' for i, name in enumerate(scenes))
    lengths = "".join(f'<Distance Id="{axis}"><Value>{pixel}</Value></Distance>' for axis in "XY")
    return (
        f"<Information><Image><Dimensions><Channels>{told}</Channels><S><Scenes>{places}</Scenes></S>"
        f"</Dimensions></Image></Information><Scaling><Items>{lengths}</Items></Scaling>"
    )


def write_lif(path: Path, images: dict[str, tuple[str, np.ndarray]], channels: Sequence[str]) -> None:
    """images: the axes, such as "TCYX", and pixels of each, by name."""
    numbers = {"X": 1, "Y": 2, "Z": 3, "T": 4, "M": 10}
    elements, blocks = "", b""
    for i, (name, (axes, pixels)) in enumerate(images.items()):
        strides = dict(zip(axes, pixels.strides, strict=True))
        bits = 8 * pixels.itemsize
        told = "".join(
            f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="{bits}" NameOfMeasuredQuantity="" '
            f'Min="0" Max="1" Unit="" LUTName="{one}" IsLUTInverted="0" BytesInc="{k * strides.get("C", 0)}" '
            'BitInc="0"/>'
            for k, one in enumerate(channels)
        )
        sides = "".join(
            f'<DimensionDescription DimID="{numbers[axis]}" NumberOfElements="{side}" Origin="0" '
            f'Length="{(side - 1) * 2e-7}" Unit="m" BytesInc="{strides[axis]}" BitInc="0"/>'
            for axis, side in zip(axes, pixels.shape, strict=True)
            if axis != "C"
        )
        elements += (
            f'<Element Name="{name}"><Data><Image><ImageDescription><Channels>{told}</Channels>'
            f"<Dimensions>{sides}</Dimensions></ImageDescription></Image></Data>"
            f'<Memory Size="{pixels.nbytes}" '
            f'MemoryBlockID="MemBlock_{i}"/></Element>'
        )
        label = f"MemBlock_{i}".encode("utf-16-le")
        head = struct.pack("<IIBQBI", 0x70, 14 + len(label), 0x2A, pixels.nbytes, 0x2A, len(label) // 2)
        blocks += head + label + pixels.tobytes()
    xml = (
        f'<LMSDataContainerHeader Version="2"><Element Name="all"><Children>{elements}</Children></Element>'
        "</LMSDataContainerHeader>"
    ).encode("utf-16-le")
    path.write_bytes(struct.pack("<IIBI", 0x70, len(xml) + 5, 0x2A, len(xml) // 2) + xml + blocks)


def write_nd2(
    path: Path, frames: np.ndarray, channels: Sequence[str], loops: Sequence[tuple[str, int]]
) -> None:
    """frames: (N, Y, X, C) uint16. loops: T or P and how often, the outermost first."""

    def variant(fields: dict[str, object]) -> str:
        kinds = {int: "lx_uint32", float: "double", str: "CLxStringW", bool: "bool"}
        return "".join(
            f"<{name}>{variant(value)}</{name}>"
            if isinstance(value, dict)
            else f'<{name} runtype="{kinds[type(value)]}" value="{value}"/>'
            for name, value in fields.items()
        )

    def loop(left: Sequence[tuple[str, int]]) -> dict[str, object]:
        (axis, count), *rest = left
        if axis == "T":
            facts: dict[str, object] = {
                "eType": 1,
                "uLoopPars": {"uiCount": count, "dStart": 0.0, "dPeriod": 1.0, "dDuration": 1.0},
            }
        else:
            points = {
                f"i{i:010}": {"dPosX": 0.0, "dPosY": 0.0, "dPosZ": 0.0, "dPosName": f"well {i}"}
                for i in range(count)
            }
            facts = {"eType": 2, "uLoopPars": {"uiCount": count, "Points": points}}
        return facts | ({"ppNextLevelEx": {"i0000000000": loop(rest)}} if rest else {})

    count, height, width, depth = frames.shape
    planes = {
        f"a{i}": {"uiCompCount": 1, "sDescription": name, "pFluorescentProbe": {"uiColor": 1}}
        for i, name in enumerate(channels)
    }
    attributes = {
        "uiWidth": width, "uiHeight": height, "uiComp": depth, "uiWidthBytes": width * depth * 2,
        "uiBpcInMemory": 16, "uiBpcSignificant": 16, "uiSequenceCount": count, "eCompression": 2,
    }  # fmt: skip
    picture = {
        "bCalibrated": True,
        "dCalibration": 0.25,
        "sPicturePlanes": {"uiCount": depth, "sPlaneNew": planes},
    }
    chunks = {
        "ImageAttributesLV!": f"<variant>{variant(attributes)}</variant>".encode(),
        "ImageMetadataSeqLV|0!": f"<variant>{variant(picture)}</variant>".encode(),
        "ImageMetadataLV!": f"<variant>{variant(loop(loops))}</variant>".encode(),
    }
    body = bytearray(
        struct.pack("<IIQ32s64s", 0x0ABECEDA, 32, 64, b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver3.0")
    )
    table = b""
    for name, data in chunks.items():
        table += name.encode() + struct.pack("<QQ", len(body), len(data))
        body += struct.pack("<IIQ", 0x0ABECEDA, len(name), len(data)) + name.encode() + data
    for i, frame in enumerate(frames):
        name = f"ImageDataSeq|{i}!".encode()
        table += name + struct.pack("<QQ", len(body), frame.nbytes)
        head = struct.pack("<IIQ", 0x0ABECEDA, 4072, 8 + frame.nbytes) + name.ljust(4072, b"\0")
        body += head + bytes(8) + np.ascontiguousarray(frame).tobytes()
    place = len(body)
    end = b"ND2 CHUNK MAP SIGNATURE 0000001!"
    table += end + struct.pack("<Q", place)
    name = b"ND2 FILEMAP SIGNATURE NAME 0001!"
    body += struct.pack("<IIQ", 0x0ABECEDA, len(name), len(table)) + name + table
    path.write_bytes(body)


def write_oib(path: Path, planes: dict[str, np.ndarray], order: str, dyes: Sequence[str]) -> None:
    """planes: by their names, such as s_C001Z002.tif. order: of the axes, such as XYCZ."""
    main = (
        f'[Axis Parameter Common]\nAxisOrder="{order}"\n[Reference Image Parameter]\nHeightConvertValue=0.5\n'
    )
    main += 'WidthConvertValue=0.5\nHeightUnit="um"\nWidthUnit="um"\n'
    main += "".join(
        f'[Channel {i} Parameters]\nDyeName="{dye}"\nCH Name="CH{i}"\n' for i, dye in enumerate(dyes, 1)
    )
    streams = {"Stream00000": main.encode("utf-16")}
    told = '[OibSaveInfo]\nMainFileName=Stream00000\nStream00000="a.oif"\n'
    for i, (name, pixels) in enumerate(planes.items(), 1):
        file = io.BytesIO()
        tifffile.imwrite(file, pixels)
        streams[f"Stream{i:05}"] = file.getvalue()
        told += f"Stream{i:05}=Storage00001/{name}\n"
    write_compound(path, {"OibInfo.txt": told.encode("utf-16")} | streams)


def write_compound(path: Path, streams: dict[str, bytes]) -> None:
    """An OLE document whose streams are all too long for its small ones (4096 bytes), in sectors of 512."""
    names = list(streams)
    padded = {
        name: content.ljust(4096, b"\0" if name != "OibInfo.txt" else b" ")
        for name, content in streams.items()
    }
    directory = -(-(len(names) + 1) // 4)
    lengths = [-(-len(padded[name]) // 512) for name in names]
    table = -(-(directory + sum(lengths)) // 127)
    fat = [0xFFFFFFFD] * table
    for length in (directory, *lengths):
        fat += [*range(len(fat) + 1, len(fat) + length), 0xFFFFFFFE]
    fat += [0xFFFFFFFF] * (table * 128 - len(fat))
    entries, first = [], table + directory
    for i, (name, length) in enumerate(zip(names, lengths, strict=True)):
        after = i + 2 if i + 1 < len(names) else 0xFFFFFFFF
        entries.append((name, 2, 0xFFFFFFFF, after, 0xFFFFFFFF, first, len(padded[name])))
        first += length
    root = ("Root Entry", 5, 0xFFFFFFFF, 0xFFFFFFFF, 1, 0xFFFFFFFE, 0)
    content = b""
    for name, kind, left, right, child, start, size in (root, *entries):
        text = (name + "\0").encode("utf-16-le")
        content += text.ljust(64, b"\0") + struct.pack("<HBBIII", len(text), kind, 1, left, right, child)
        content += bytes(36) + struct.pack("<IQ", start, size)
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    head += struct.pack("<IIIIIIIIII", 0, table, table, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0, 0)[: 4 * 9]
    head = head[:44] + struct.pack("<IIIIIIII", table, table, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
    head += struct.pack("<109I", *range(table), *[0xFFFFFFFF] * (109 - table))
    data = b"".join(
        padded[name].ljust(length * 512, b"\0") for name, length in zip(names, lengths, strict=True)
    )
    path.write_bytes(head + struct.pack(f"<{len(fat)}I", *fat) + content.ljust(directory * 512, b"\0") + data)

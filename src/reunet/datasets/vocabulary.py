"""What names say: the words for images, masks and splits that people use, in eight languages."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Role = Literal["images", "masks"]

SPLIT_NAMES = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test", "stage1_train": "train", "stage1_test": "test",
}  # fmt: skip

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "inputs")
MASK_FOLDERS = (
    "masks", "mask", "labels", "label", "annotations", "segmentations", "ground_truth", "gt", "targets",
)  # fmt: skip
"""The names that messages tell; those of `WORDS` are understood, too."""

WORDS: dict[Role, str] = {
    "images": "image images img imgs im input inputs picture pictures photo photos original originals raw "
    "bild bilder aufnahme aufnahmen eingabe originale foto fotos imagen imagenes imagem imagens "
    "immagine immagini entree entrees entrada entradas ingresso "
    "图像 图片 影像 原图 图 圖像 圖片 画像 原画像 写真",
    "masks": "mask masks label labels annotation annotations seg segs segmentation segmentations groundtruth "
    "gt gts truth target targets annot annots labelmap labelmaps labelids "
    "maske masken beschriftung beschriftungen segmentierung segmentierungen annotierung annotierungen "
    "masque masques etiquette etiquettes veriteterrain mascara mascaras etiqueta etiquetas segmentacion "
    "segmentaciones anotacion anotaciones verdadterreno segmentacao segmentacoes rotulo rotulos anotacao "
    "anotacoes maschera maschere etichetta etichette segmentazione segmentazioni annotazione annotazioni "
    "掩码 掩膜 掩模 蒙版 遮罩 标签 标注 分割 真值 掩碼 標籤 標註 "
    "マスク ラベル アノテーション セグメンテーション 正解",
}
"""English, German, French, Spanish, Portuguese, Italian, Chinese, Japanese; without accents and capitals."""

MAYBE_CLASSES = "picture pictures photo photos foto fotos original originals originale raw 写真".split()  # noqa: SIM905
"""Of these, words that folders of classes are called, too: photos beside drawings."""

LINKS = ("of for the de du des la le les del di do da dos della von der die das zu", "的 の cp")
"""Between a word and what it is about, after and before the word: `Mask of a`; cp is what Cellpose adds."""


def _plain(text: str) -> str:
    """In small letters, without accents."""
    letters = unicodedata.normalize("NFKD", text)
    return "".join(one for one in letters if not unicodedata.combining(one)).casefold()


_ROLES: dict[str, Role] = {_plain(word): role for role, words in WORDS.items() for word in words.split()}
_AFTER, _BEFORE = (frozenset(map(_plain, words.split())) for words in LINKS)
_UNSPACED = sorted((word for word in {*_ROLES, *_BEFORE} if not word.isascii()), key=len, reverse=True)
_PIECES = re.compile("|".join([*_UNSPACED, r"[^\W\d_]+?(?=" + "|".join(_UNSPACED) + r")|[^\W\d_]+|[0-9]+"]))
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True)
class Name:
    """A name in parts: `role` is what its words say that it is, `rest` all other words, in their order."""

    role: Role | None
    rest: tuple[str, ...]


def understand(name: str) -> Name:
    """What a name of a file (without suffix) or folder says; a path is one name."""
    words = _PIECES.findall(_plain(_CAPITAL.sub(" ", name)))
    pairs = {i: a + b for i, (a, b) in enumerate(pairwise(words)) if a + b in _ROLES}
    known = [i for i, word in enumerate(words) if word in _ROLES]
    told = [_ROLES[words[i]] for i in known] + [_ROLES[word] for word in pairs.values()]
    if not told:
        return Name(None, tuple(words))
    taken = {*known, *pairs, *(i + 1 for i in pairs)}
    for i in range(1, len(words) - 1):  # never the first or last word: these are names
        if (words[i] in _AFTER and i - 1 in taken) or (words[i] in _BEFORE and i + 1 in taken):
            taken.add(i)
    rest = tuple(word for i, word in enumerate(words) if i not in taken)
    return Name("masks" if "masks" in told else "images", rest)


def role_of(folder: str) -> Role | None:
    """What a folder holds, if its whole name says nothing else."""
    name = understand(folder)
    return None if name.rest else name.role


def split_of(words: Iterable[str]) -> str | None:
    """The split that words name, if it is one."""
    found = {SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES}
    return found.pop() if len(found) == 1 else None

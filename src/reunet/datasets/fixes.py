"""What to do about a problem, by its code, where the one who found it does not know better."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from reunet.contracts.results import Problem

FIXES = {
    "annotation": "draw this object again, or delete it from the file",
    "annotations-unreadable": "export the file again",
    "box-corners": "write boxes as x, y, width, height",
    "box-outline": "see which of both is right; reunet uses both as they are",
    "box-cut": "draw the box again, if that is no rounding",
    "box-reversed": "exchange its corners: x and y grow to the right and down",
    "channel-count": "add the missing files",
    "class-empty": "add images of the class, or remove the folder",
    "class-absent": "move images between the splits, or take the class out of the list",
    "doubled-file": "keep one of them",
    "doubled-id": "number them anew",
    "file-name": "name the file by its path below the folder of the images",
    "fov-without-image": "remove it, or add the image",
    "frame-missing": "add the missing frames, or number the frames without gaps",
    "ids-full": "save the ids as 16-bit PNG or 32-bit TIFF",
    "image-missing": "add the image, or correct or remove what names it",
    "image-not-listed": "annotate it, with no objects if it shows none, or move it away",
    "image-size": "write the size of the image into the file",
    "image-unreadable": "open and save the image anew, or remove it",
    "image-without-fov": "add it, or remove the folder fov/",
    "image-without-instances": "add it, without any object if the image shows none, or remove the image",
    "image-without-mask": "add it, all background if the image shows nothing, or remove the image",
    "instances-unreadable": "save whole numbers from 0: 16-bit PNG, or 32-bit TIFF above 65,535",
    "instances-without-image": "remove it, or add the image",
    "label-id": "give each label one number of its own",
    "label-row": "move the image into the folder of its class, or complete the row",
    "label-table": "name the columns in the first line: file,label",
    "mask-palettes": "save all masks with one palette, or give --colors FILE to read them by colour",
    "mask-unreadable": "save the mask anew as PNG or TIFF, one value per pixel",
    "mask-without-image": "remove it, or add the image",
    "no-objects": "annotate them, if they show objects",
    "no-foreground": "see whether the right files are annotated",
    "not-coco": 'export as COCO "instances": {"images": [], "annotations": [], "categories": []}',
    "object-empty": "remove the file",
    "object-overlap": "decide which object the pixels belong to, if that matters",
    "one-image": "keep one image in each folder images/",
    "page-count": "save image and mask with as many pages",
    "polygon-points": "draw the object again, or delete it",
    "shape-empty": "draw the object again, or delete it",
    "shape-mismatch": "find the annotation that belongs to this image; nothing is resized",
    "split-without-masks": "annotate it, if it is to be scored",
    "track-frames": "let man_track.txt say in which frames the track is",
    "track-line": "write it as: id begin end parent",
    "track-parent": "let the parent end before its children begin, or write 0 for no parent",
    "unknown-class": "add the class to the class list (without one: to train), or correct the name",
    "unknown-image": "correct its image_id, or delete it",
    "wrong-type": "correct the entry",
}


def with_fixes(problems: Iterable[Problem]) -> list[Problem]:
    """The problems, each with something to do about it."""
    return [replace(one, fix=one.fix or FIXES.get(one.code, "")) for one in problems]

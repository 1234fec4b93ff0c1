"""Label images of single objects from any program beside the true ones, or beside their outlines."""

from functools import partial
from pathlib import Path

from reunet.contracts.labels import Classes, LabelMap, default_classes
from reunet.contracts.options.records import DataOptions
from reunet.contracts.results import Prediction, Scored
from reunet.contracts.truth import Truth
from reunet.datasets.cases import Case
from reunet.datasets.coco_files import coco_file
from reunet.datasets.pairs import partners_of
from reunet.errors import DataError
from reunet.io.annotations.annotated_image import AnnotatedImage
from reunet.io.annotations.instances import read_instances
from reunet.io.images import volume_spacing
from reunet.io.listing import images_by_stem
from reunet.io.masks import check_shape, read_fov
from reunet.tasks.given import Given, fields_beside, label_folder, matched, paired, read_boxes
from reunet.tasks.unknown import Unknown, image_name, unknown_beside

OBJECTS = LabelMap(classes=default_classes([0, 1], ["background", "object"]))


def is_there(folder: Path) -> bool:
    """Whether a folder holds object ids: in a folder `instances`, or as such a folder."""
    return folder.name == "instances" or (folder / "instances").is_dir()


def read(pred: Path, truth: Path, options: DataOptions) -> Given:
    """Ids mean nothing but which pixels belong together. The truth are label images, else the outlines of a
    COCO file. Raises DataError.
    """
    if not is_there(truth) and (file := truth if truth.is_file() else coco_file(truth)) is not None:
        return _beside_outlines(pred, file, options)
    cases, warnings = paired(pred, truth, "instances", options.axes)
    folder = truth / "instances" if (truth / "instances").is_dir() else truth
    unknown = unknown_beside(folder, {image_name(case) for case in cases}, options)
    images = {case.id: partial(_load, case, options.axes, unknown) for case in cases}
    return Given(Classes(OBJECTS), images, [*warnings, *unknown.warnings])


def _load(case: Case, axes: str | None, unknown: Unknown) -> Scored:
    files = case.files
    truth = read_instances(files.mask or case.image, case.page, axes)
    known = None if files.fov is None else read_fov(files.fov, case.page, axes, truth.shape)
    found = Prediction(instances=read_instances(case.image, case.page, axes))
    told = unknown.without(Truth(objects=truth, known=known), image_name(case), truth.shape, case.page)
    return Scored(None, told, found, volume_spacing(files.mask or case.image))


def _beside_outlines(pred: Path, file: Path, options: DataOptions) -> Given:
    """The truth is a COCO file. Raises DataError where it tells no outlines, and for images without
    prediction.
    """
    _, true = read_boxes(file, None)
    if not any(one.shaped for one in true.values()):
        raise DataError(
            "the COCO file tells boxes without outlines: they are no numbers of objects",
            where=file,
            expected="the segmentation of each object, or a folder instances",
            fix="name the folder of the instances with --truth, or score boxes with --task detection",
        )
    folder = label_folder(pred, "instances", "--pred")
    files = images_by_stem(folder)
    own = {name: some[0] for name, some in partners_of(true, files).items() if some}
    warnings = matched(true, {*own, *files.keys() - own.values()}, folder)
    fields, unknown = fields_beside(file, true), unknown_beside(file, true, options)

    def load(name: str, one: AnnotatedImage) -> Scored:
        truth = unknown.without(_as_numbers(one), name, one.size)
        if name in fields:
            truth = truth.within(read_fov(fields[name], None, None, one.size))
        found = read_instances(files[own[name]], None, options.axes)
        check_shape(files[own[name]], found.shape, one.size, "prediction")
        return Scored(None, truth, Prediction(instances=found))

    images = {name: partial(load, name, one) for name, one in true.items()}
    return Given(Classes(OBJECTS), images, [*warnings, *unknown.warnings])


def _as_numbers(one: AnnotatedImage) -> Truth:
    """What a COCO file tells of an image, with numbers in place of outlines."""
    shapes = one.objects()
    return Truth() if shapes is None else Truth(objects=shapes.ids, known=shapes.known)

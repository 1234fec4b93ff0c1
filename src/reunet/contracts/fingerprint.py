"""What a dataset looks like in numbers: what the plan was made from, and by which images."""

from typing import ClassVar, Literal

from pydantic import Field

from reunet.contracts.base import Contract
from reunet.contracts.bounds import Length, Real, Share
from reunet.contracts.labels import LabelMap


class ImageFacts(Contract):
    """One case. `kind` is the channel count of the file, `size` is (height, width) in pixels, for volumes
    (depth, height, width); `spacing` is that of a volume in mm per axis, that of an image in
    micrometres, None where it is not stated. on_map: whether it tells a place on Earth.
    """

    id: str
    split: Literal["train", "val"]
    size: tuple[Length, ...] = Field(max_length=4)
    kind: Length
    content: str = Field(description="SHA-256 of the image, mask and field-of-view content")
    spacing: tuple[float, ...] | None = None
    on_map: bool = False


class ForegroundIntensity(Contract):
    """Per channel, of the voxels of all foreground classes: percentiles 0.5 and 99.5, mean, deviation."""

    low: tuple[Real, ...]
    high: tuple[Real, ...]
    mean: tuple[Real, ...]
    std: tuple[Real, ...]


class FrameFacts(Contract):
    """How much a frame of a sequence in time shows, from 0 to 1.

    noise: share of the variance of frames, once motion is taken out, that two in a row do not have in common.
    unseen: pixels whose label changes from a frame to the next where the image does not, per pixel of
    foreground. lost: share of the frames that are blank, though their labels show something.
    """

    noise: Share
    unseen: Share
    lost: Share


MANY_HUES = 0.9
"""`Fingerprint.one_hue` of images whose colours are many is below."""


class Fingerprint(Contract):
    """Facts of the cases trained on. Of the held-out ones only `channels`, `mixed_channels`, `n_val` and
    `cases` tell something, of test nothing does.

    channels: channel count the network will read (3 when grey and RGB are mixed).
    mixed_channels: grey and RGB files occur together, in train and val taken as one.
    dtype: widest sample type, such as uint8, uint16, float32.
    channel_names: what the channels are where dataset.json says it, such as CT. read_channels: those of the
    files that were chosen, by name or number; empty for all.
    median_size, min_size, max_size: (height, width) in pixels, for volumes (depth, height, width).
    mean, std: per channel, in raw pixel values.
    between_image_std: per channel, the standard deviation of the image means over `std`: how
    differently the images are lit.
    one_hue: of images with three channels, taken for red, green and blue, how far all pixels have one hue,
    in 0..1: 1 for greys and for a single stain, .46 to .80 for photographs. None for others.
    foreground: for volumes only.
    n_corrected: how many of those trained on a person corrected.
    sequences: number of frames of each sequence trained on. axis: what these run through, time (T) or
    depth (Z); None without any. frames: of images in time, None without any.
    class_fraction: per class, its share of the labelled pixels.
    thickness: per class, how wide its regions are across, in pixels: three of four images have wider ones.
    None for a class that no image shows; empty for volumes.
    kinds: of annotations: instances, boxes, masks, categories.
    category_counts: images of each class of whole images.
    depth_bias, vertical_bias, horizontal_bias: the largest distance, over the classes, of a class's mean
    position from the middle of the image, as a share of its depth, height or width, less three standard
    errors: a scene with an up and a down (sky above, road below) has a large one, cells on a slide have none.
    """

    most_bytes: ClassVar[int] = 2**30
    schema_version: int = 1
    dataset: str
    labels: LabelMap
    categories: LabelMap | None = None
    n_train: Length
    n_val: Length
    n_corrected: Length = 0
    channels: Length
    mixed_channels: bool
    dtype: str
    channel_names: tuple[str, ...] = ()
    read_channels: tuple[str, ...] = ()
    median_size: tuple[Length, ...]
    min_size: tuple[Length, ...]
    max_size: tuple[Length, ...]
    mean: tuple[Real, ...]
    std: tuple[Real, ...]
    between_image_std: tuple[Real, ...]
    one_hue: Share | None = None
    foreground: ForegroundIntensity | None = None
    class_fraction: tuple[Real, ...]
    kinds: tuple[str, ...] = ("masks",)
    thickness: tuple[Real | None, ...] = ()
    category_counts: tuple[Length, ...] = ()
    depth_bias: float = 0.0
    vertical_bias: float
    horizontal_bias: float
    has_fov: bool
    sequences: tuple[Length, ...] = ()
    axis: Literal["T", "Z"] | None = None
    frames: FrameFacts | None = None
    cases: tuple[ImageFacts, ...]

    @property
    def has_many_hues(self) -> bool:
        """As photographs have: their `one_hue` is .46 to .80, of stained tissue and retinas .97 to .99."""
        return self.one_hue is not None and self.one_hue < MANY_HUES

    @property
    def rank(self) -> int:
        """Axes of space: 2 for images, 3 for volumes."""
        return len(self.median_size)

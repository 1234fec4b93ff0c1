"""What a dataset looks like in numbers: everything the planning rules may look at."""

from __future__ import annotations

from pydantic import Field

from reunet.contracts.base import Contract
from reunet.contracts.labels import LabelMap


class ImageFacts(Contract):
    """One training case. `kind` is the channel count of the file, `size` is (height, width) in pixels."""

    id: str
    size: tuple[int, int]
    kind: int
    content: str = Field(description="SHA-256 of the image, mask and field-of-view content")


class Fingerprint(Contract):
    """Facts of the training cases (train and its held-out part; never of test).

    channels: channel count the network will read (3 when grey and RGB are mixed).
    mixed_channels: grey and RGB files occur together.
    dtype: widest sample type, such as uint8, uint16, float32.
    mean, std, minimum, maximum, percentile_005, percentile_995: per channel, in raw pixel values.
    between_image_std: per channel, the standard deviation of the image means over `std`: how
    differently the images are lit.
    class_fraction: per class, its share of the labelled pixels.
    foreground_images: share of the images that contain any foreground.
    median_thickness: median over images of the foreground's typical width in pixels (twice its area
    over its boundary length); None without foreground.
    vertical_bias, horizontal_bias: the largest distance, over the classes, of a class's mean position
    from the middle of the image, as a share of its height or width, less three standard errors: a scene
    with an up and a down (sky above, road below) has a large one, cells on a slide have none.
    """

    schema_version: int = 1
    dataset: str
    labels: LabelMap
    n_train: int
    n_val: int
    channels: int
    mixed_channels: bool
    dtype: str
    median_size: tuple[int, int]
    min_size: tuple[int, int]
    max_size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    minimum: tuple[float, ...]
    maximum: tuple[float, ...]
    percentile_005: tuple[float, ...]
    percentile_995: tuple[float, ...]
    between_image_std: tuple[float, ...]
    class_fraction: tuple[float, ...]
    foreground_images: float
    median_thickness: float | None
    vertical_bias: float
    horizontal_bias: float
    has_fov: bool
    cases: tuple[ImageFacts, ...]

"""Images of one's own, made like the training images of MNIST."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image
from scipy import ndimage

from fairvision.core.csv_files import write_csv
from fairvision.core.files import path_text, whole_folder
from fairvision.core.moved import renamed_arguments
from fairvision.datasets import read_image
from fairvision.datasets.images import Doubts

LIST = "prepared.csv"

SIDE = 28
BOX = 20
_SMALLEST_PIECE = 0.05  # of the ink of the largest piece: less is a speck
_ROUNDS = 3
_FINE = 4  # pixels for one of the result, while strokes are thickened
_STROKE = 2.3  # median stroke width of MNIST's training images, enlarged by _FINE
_LARGEST = 512  # pixels on the longer side that are looked at


@renamed_arguments(picture="image")
def prepare_digit(image: Image.Image) -> Image.Image:
    """Return an image of one digit as MNIST would show it: light on black, 28 × 28 pixels.

    MNIST's digits were scaled to fit a box of 20 × 20 pixels, keeping their shape, and placed in a
    field of 28 × 28 so that the centre of mass of their pixels is its centre (LeCun et al. 1998,
    section III.A). A photograph is brought there in these steps:

    1. The background is a plane in each colour, fitted to the edge of the image and then to all
       that is near it, so that a shadow across the paper does not matter.
    2. Ink is what differs from it, lighter, darker or of another colour, by more than Otsu's
       threshold. Pieces with less than 5% of the ink of the largest one are specks.
    3. Strokes that are thinner than the median of MNIST (2.3 pixels, at a height of 20) are
       thickened to it: a ball-point pen on a large sheet leaves next to nothing otherwise.
    4. The box around the ink is scaled to 20 pixels on its longer side, the strength of the ink to
       255, and moved by its centre of mass.

    The third step is ours: MNIST was made without it.

    An image that is laid out so already (grey, 28 × 28, black but for a box of at most 20 pixels,
    its centre of mass within a pixel of the middle) is returned as it is, as are all of MNIST.

    Parameters
    ----------
    image : one digit, dark on light or light on dark, that does not fill the image's edge

    Returns
    -------
    Image
        Grey (mode "L"). Black throughout where the image has one colour only.

    References
    ----------
    Y. LeCun et al., "Gradient-based learning applied to document recognition", Proceedings of the
    IEEE 86(11), 1998. N. Otsu, "A threshold selection method from gray-level histograms", IEEE
    Transactions on Systems, Man, and Cybernetics 9(1), 1979.

    Examples
    --------
    >>> paper = Image.new("RGB", (90, 120), "ivory")
    >>> paper.paste("navy", (40, 20, 50, 80))
    >>> np.asarray(prepare_digit(paper)).shape
    (28, 28)
    """
    if is_prepared(image):
        return image.convert("L")
    image = image.convert("RGB")
    image.thumbnail((_LARGEST, _LARGEST))
    strength = _ink(np.asarray(image, float))
    if not strength.any():
        return Image.new("L", (SIDE, SIDE))
    small = _fit(_thicken(_fit(strength, BOX * _FINE)), BOX)
    small = small / max(small.max(), 1e-6)
    field = np.zeros((SIDE, SIDE))
    corner = [
        int(np.clip(round((SIDE - 1) / 2 - centre), 0, SIDE - side))
        for centre, side in zip(ndimage.center_of_mass(small), small.shape)
    ]
    field[corner[0] : corner[0] + small.shape[0], corner[1] : corner[1] + small.shape[1]] = small
    return Image.fromarray(np.rint(field * 255).astype(np.uint8))


def stroke_width(strength: npt.NDArray[np.floating]) -> float:
    """Return the mean width of strokes, in pixels: twice their area by the length of their outline.

    Parameters
    ----------
    strength : (height, width) of the ink in [0, 1]; its outline is its total variation, so that
        smooth edges do not matter

    Examples
    --------
    >>> line = np.zeros((60, 60))
    >>> line[5:55, 20:24] = 1
    >>> round(stroke_width(line), 1)
    3.7
    """
    across, along = np.gradient(np.pad(strength, 2))
    return 2 * float(strength.sum()) / float(np.hypot(across, along).sum())


def write_prepared(files: Sequence[Path], folder: str | Path, *, overwrite: bool = False) -> None:
    """Write what `prepare_digit` makes of image files, and `prepared.csv`, which names them.

    Raises
    ------
    InputError
        If an image cannot be read or the folder may not be written; nothing is written.
    """
    with whole_folder(folder, marker=LIST, overwrite=overwrite) as part:
        digits = len(str(len(files)))
        names = [
            f"{row:0{digits}d}-{path_text(file.stem)}.png" for row, file in enumerate(files, 1)
        ]
        for name, file in zip(names, files):
            prepare_digit(read_image(file, doubts=Doubts())).save(part / name)
        written = pd.DataFrame({"prepared": names, "image": list(map(path_text, files))})
        write_csv(written, part / LIST)


@renamed_arguments(picture="image")
def is_prepared(image: Image.Image) -> bool:
    """Return whether an image is laid out as those of MNIST are; see `prepare_digit`.

    >>> is_prepared(Image.new("L", (28, 28)))
    False
    """
    if image.size != (SIDE, SIDE):
        return False
    pixels = np.asarray(image.convert("RGB"), int)
    if np.ptp(pixels, axis=2).any():
        return False
    grey = pixels[..., 0]
    if not grey.any():
        return False
    rows, columns = (np.flatnonzero(grey.any(axis=axis)) for axis in (1, 0))
    longest = max(np.ptp(rows), np.ptp(columns)) + 1
    off = np.subtract(ndimage.center_of_mass(grey), (SIDE - 1) / 2)
    return bool(longest <= BOX and np.abs(off).max() <= 1)


def _fit(strength: npt.NDArray[np.floating], side: int) -> npt.NDArray[np.floating]:
    """Return the box around the ink, scaled so that its longer side is `side` pixels."""
    rows, columns = (np.flatnonzero(strength.any(axis=axis)) for axis in (1, 0))
    cut = strength[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    high, wide = (max(1, round(n * side / max(cut.shape))) for n in cut.shape)
    box = Image.fromarray(cut.astype(np.float32)).resize((wide, high), Image.Resampling.BILINEAR)
    clipped: npt.NDArray[np.floating] = np.clip(np.asarray(box), 0, 1)
    return clipped


def _thicken(strength: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return ink with strokes as wide as those of MNIST, where they are thinner."""
    radius = round((_STROKE * _FINE - stroke_width(strength)) / 2)
    if radius < 1:
        return strength
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = x**2 + y**2 <= radius**2
    thick: npt.NDArray[np.floating] = ndimage.grey_dilation(
        np.pad(strength, radius), footprint=disk
    )
    return thick


def _ink(pixels: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return the strength of the ink, (height, width) in [0, 1], 0 on the background."""
    distance = np.linalg.norm(pixels - _background(pixels), axis=2)
    if distance.max() < 1:
        return np.zeros(distance.shape)
    threshold = _otsu(distance)
    inked = distance > threshold
    pieces, count = ndimage.label(inked, structure=np.ones((3, 3)))
    amounts = ndimage.sum_labels(distance, pieces, np.arange(1, count + 1))
    large = 1 + np.flatnonzero(amounts >= _SMALLEST_PIECE * amounts.max())
    inked = np.isin(pieces, large)
    full = np.percentile(distance[inked], 75)
    soft = np.clip((distance - threshold / 2) / max(full - threshold / 2, 1e-6), 0, 1)
    near = ndimage.binary_dilation(inked, structure=np.ones((3, 3)))
    strength: npt.NDArray[np.floating] = np.where(near, soft, 0)
    return strength


def _background(pixels: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return the colour of the background at each pixel: a plane per channel."""
    height, width, _ = pixels.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    terms = np.stack([np.ones_like(x), x, y], axis=2)
    chosen = _edge((height, width))
    middle = np.median(pixels[chosen], axis=0)
    off = np.linalg.norm(pixels - middle, axis=2)
    chosen = chosen & (off <= _spread(off[chosen]))
    for _ in range(_ROUNDS):
        planes, *_rest = np.linalg.lstsq(terms[chosen], pixels[chosen], rcond=None)
        background: npt.NDArray[np.floating] = terms @ planes
        off = np.linalg.norm(pixels - background, axis=2)
        chosen = off <= _spread(off[chosen])
    return background


def _spread(off: npt.NDArray[np.floating]) -> float:
    """Return how far the background may be from its middle: three times the usual distance."""
    return 3 * float(np.median(off)) + 1


def _edge(shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Return which pixels lie at the edge: a twentieth of the image, at least one pixel."""
    edge = np.ones(shape, bool)
    high, wide = (max(1, side // 20) for side in shape)
    edge[high:-high, wide:-wide] = False
    return edge


def _otsu(values: npt.NDArray[np.floating]) -> float:
    """Return the threshold that parts values into two classes of least variance within."""
    counts, edges = np.histogram(values, 256)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = below[-1] + counts[-1] - below
    sums = np.cumsum(counts * middles)
    means_below = sums[:-1] / np.maximum(below, 1)
    means_above = (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    between = below * above * (means_below - means_above) ** 2
    return float(edges[1:-1][np.argmax(between)])

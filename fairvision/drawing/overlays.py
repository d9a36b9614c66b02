"""A map of evidence drawn over its image."""

from __future__ import annotations

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from fairvision.core.moved import renamed_arguments

COLOURS, DARKEST = "inferno", 0.25
OPACITY, DIMMED = 0.7, 0.55
MOST_STRETCHED = 20


@renamed_arguments(picture="image")
def overlay(
    image: npt.NDArray[np.uint8],
    map: npt.NDArray[np.floating],
    mask: npt.NDArray[np.bool_] | None = None,
    *,
    maximum: float | None = None,
    side: int = 320,
    peak: bool = False,
) -> Image.Image:
    """Draw a map over its image: the more evidence, the brighter and the more opaque.

    The colours are perceptually uniform (inferno without its darkest quarter), so that equal steps
    of evidence look equal. The image beneath is grey, so that colour always means evidence, and
    dimmed, so that much evidence is the brightest thing also where it is printed without colour.
    The image is resized first, so that map and outline are as fine on a small one.

    Parameters
    ----------
    image : (height, width, 3) uint8
    map : (h, w) evidence, not negative; enlarged bilinearly to the image. Where it is NaN, or
        zero everywhere, nothing is drawn.
    mask : (height, width) bool; its outline is drawn in white
    maximum : evidence that gets the brightest colour, as does all above it; by default the map's
        own `full_scale`. Give one number for several maps that are to be compared.
    side : shorter side of the drawing in pixels, see `resized`
    peak : put a ring around the strongest evidence, of several the first in reading order

    Returns
    -------
    RGB image in the proportions of `image`

    Examples
    --------
    >>> import numpy as np
    >>> drawn = overlay(np.full((64, 96, 3), 200, np.uint8), np.eye(7))
    >>> drawn.size, drawn.mode
    ((480, 320), 'RGB')
    """
    base = resized(image, side)
    evidence = np.nan_to_num(np.asarray(map, dtype=np.float32), nan=0.0)
    top = full_scale(evidence) if maximum is None else maximum
    share = np.clip(evidence / top, 0, 1) if top > 0 else np.zeros_like(evidence)
    share = np.asarray(Image.fromarray(share).resize(base.size, Image.Resampling.BILINEAR))

    drawn = _tinted(np.asarray(base.convert("L"), dtype=np.float32), share)
    if mask is not None:
        drawn = _outlined(drawn, mask)
    if peak and top > 0:
        _ring(drawn, evidence)
    return drawn


def scale_bar(width: int, height: int) -> Image.Image:
    """Draw the colours of an overlay from no evidence (left) to its maximum, over mid-grey.

    >>> bar = scale_bar(100, 8)
    >>> bar.getpixel((0, 4)), bar.getpixel((99, 4))
    ((70, 70, 70), (198, 199, 136))
    """
    share = np.tile(np.linspace(0, 1, width, dtype=np.float32), (height, 1))
    return _tinted(np.full((height, width), 128, np.float32), share)


def full_scale(map: npt.NDArray[np.floating]) -> float:
    """Return the 99th percentile of a map's positive values; 0 where there are none.

    Not the maximum: in maps of single pixels, a few outliers would leave all others invisible.

    >>> full_scale(np.array([[0.0, np.nan], [2.0, 2.0]]))
    2.0
    """
    positive = map[map > 0]
    return float(np.percentile(positive, 99)) if positive.size else 0.0


def resized(image: npt.NDArray[np.uint8], side: int) -> Image.Image:
    """Return an image, (height, width, 3) uint8, with a shorter side of `side` pixels.

    The longer side has at most `MOST_STRETCHED` times as many.

    >>> resized(np.zeros((1, 3000, 3), np.uint8), 320).size
    (6400, 2)
    """
    opened = Image.fromarray(image)
    factor = min(side / min(opened.size), MOST_STRETCHED * side / max(opened.size))
    size = (max(1, round(opened.width * factor)), max(1, round(opened.height * factor)))
    return opened.resize(size, Image.Resampling.BICUBIC)


def _tinted(grey: npt.NDArray[np.floating], share: npt.NDArray[np.floating]) -> Image.Image:
    """Lay colours for shares of the maximum, (height, width) in [0, 1], over a grey image."""
    grey = DIMMED * grey[..., None]
    colours = matplotlib.colormaps[COLOURS](DARKEST + (1 - DARKEST) * share)[..., :3] * 255
    opacity = OPACITY * np.sqrt(share)[..., None]
    return Image.fromarray(np.rint(grey + opacity * (colours - grey)).astype(np.uint8))


def _ring(drawn: Image.Image, evidence: npt.NDArray[np.floating]) -> None:
    """Draw a white ring with dark rims around the largest value."""
    place = np.array(np.unravel_index(evidence.argmax(), evidence.shape)[::-1])
    x, y = (place + 0.5) / evidence.shape[::-1] * drawn.size
    for radius, width, colour in ((11, 5, "black"), (10, 3, "white")):
        box = (x - radius, y - radius, x + radius, y + radius)
        ImageDraw.Draw(drawn).ellipse(box, outline=colour, width=width)


def _outlined(drawn: Image.Image, mask: npt.NDArray[np.bool_]) -> Image.Image:
    """Draw the mask's outline in white with a dark rim, so that it shows on any background."""
    soft = Image.fromarray(np.asarray(mask, dtype=np.uint8) * 255)
    hard = soft.resize(drawn.size, Image.Resampling.BILINEAR).point(lambda v: 255 * (v > 127))
    for width, colour in ((7, "black"), (3, "white")):
        outer, inner = ImageFilter.MaxFilter(width), ImageFilter.MinFilter(width)
        rim = ImageChops.difference(hard.filter(outer), hard.filter(inner))
        drawn.paste(colour, mask=rim.filter(ImageFilter.GaussianBlur(0.7)))
    return drawn

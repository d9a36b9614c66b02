"""Images for the page: thumbnails as data URIs."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

SIZE = 224
QUALITY = 82


def data_uri(image: Image.Image) -> str:
    """Return an image as a JPEG data URI, at most `SIZE` pixels wide and high.

    >>> data_uri(Image.new("RGB", (8, 8)))[:23]
    'data:image/jpeg;base64,'
    """
    small = image.convert("RGB")
    small.thumbnail((SIZE, SIZE), Image.Resampling.LANCZOS)
    output = io.BytesIO()
    small.save(output, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(output.getvalue()).decode()


def scale() -> str:
    """Return the colours of overlays as a data URI: no evidence left, the most in a map right."""
    from fairvision.drawing.overlays import scale_bar

    return data_uri(scale_bar(SIZE, 16))


def drawn(item: dict[str, Any]) -> dict[str, Any]:
    """Return a gallery item whose image and maps are data URIs; maps lie over the image."""
    from fairvision.drawing.overlays import overlay

    image = np.asarray(item["picture"])
    models = [
        {**model, "map": data_uri(overlay(image, np.asarray(model["map"]), item["mask"]))}
        for model in item["models"]
    ]
    return {**item, "picture": data_uri(Image.fromarray(image)), "models": models}

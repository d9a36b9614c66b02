"""The sheets that `explain` saves: evidence, activation maps, kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from fairvision.attribution.activations import Activation
from fairvision.drawing.overlays import full_scale, overlay, resized
from fairvision.drawing.sheets import Row, Tile, as_colours, coloured, sheet

MOST_KERNELS, KERNELS_PER_ROW = 64, 16


def evidence_sheet(
    title: str,
    notes: Sequence[str],
    image: Image.Image,
    maps: Mapping[str, np.ndarray],
    probabilities: Mapping[str, float],
    *,
    as_seen: str = "",
) -> Image.Image:
    """Draw an image and, on one colour scale, the evidence for each of some groups.

    Parameters
    ----------
    title, notes : lines above
    image : RGB
    maps : per group (h, w), in the proportions of the network's square
    probabilities : of all groups, in [0, 1]; the caption of the most probable is bold
    as_seen : what was done to the image, for its caption
    """
    pixels = np.asarray(image)
    highest = max(full_scale(map) for map in maps.values())
    likeliest = max(probabilities, key=lambda group: probabilities[group])
    caption = f"picture, {as_seen}" if as_seen else "picture"
    tiles = [Tile(resized(pixels, 320), caption)]
    for group, map in maps.items():
        caption = f"{group} {probabilities[group]:.2f}"
        if np.isnan(map).any():
            caption += " (evidence undefined)"
        elif not map.any():
            caption += " (no evidence)"
        tiles.append(Tile(overlay(pixels, map, maximum=highest), caption, group == likeliest))
    heading = "Evidence for each answer, on one scale. Below: its probability."
    scale = ("no evidence", f"{highest:.3g} and more" if highest > 0 else "")
    return sheet(title, notes, [Row(heading, tiles)], scale=scale)


def activation_sheet(title: str, found: Sequence[Activation]) -> Image.Image:
    """Draw the strongest channels of each layer, each layer on its own scale."""
    rows = []
    for stage in found:
        low, high = float(stage.maps.min()), float(stage.maps.max())
        height, width = stage.maps.shape[1:]
        tiles = [
            Tile(coloured(map, low, high, 112), f"channel {channel}")
            for channel, map in zip(stage.strongest, stage.maps)
        ]
        heading = (
            f"{stage.layer} ({stage.kind}): {stage.channels} channels of {height} × {width}, "
            f"from {low:.3g} (dark) to {high:.3g} (bright)"
        )
        rows.append(Row(heading, tiles))
    note = "Layer by layer, the channels of largest mean absolute activation"
    return sheet(title, [note], rows)


def kernel_sheet(kernels: np.ndarray, notes: Sequence[str] = ()) -> Image.Image:
    """Draw kernels, (channels, 3 or 1, height, width), in the colours that they answer to.

    Zero is mid-grey.
    """
    shown = kernels[:MOST_KERNELS]
    most = float(np.abs(shown).max())
    rows = []
    for start in range(0, len(shown), KERNELS_PER_ROW):
        some = shown[start : start + KERNELS_PER_ROW]
        tiles = [Tile(as_colours(kernel, -most, most, 64)) for kernel in some]
        rows.append(Row(f"channels {start} to {start + len(some) - 1}", tiles))
    scale = f"weights from -{most:.3g} (black) over 0 (grey) to {most:.3g} (white)"
    notes = [f"{len(shown)} of {len(kernels)}; {scale}", *notes]
    return sheet("Kernels of the first convolution", notes, rows)

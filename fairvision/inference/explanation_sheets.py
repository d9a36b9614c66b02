"""What `explain` draws: sheets of evidence, activation maps and kernels, and the page of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from jinja2 import Environment
from PIL import Image

from fairvision.attribution.activations import Activation
from fairvision.drawing.overlays import full_scale, overlay, resized
from fairvision.drawing.sheets import Row, Tile, as_colours, coloured, sheet

MOST_KERNELS, KERNELS_PER_ROW = 64, 16

_TEMPLATE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>What {{ settings.run }} saw</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 75rem; margin: auto;
         padding: 1rem; }
  h2 { font-size: 1.1rem; overflow-wrap: anywhere; margin: 2rem 0 0; }
  .sheet { overflow-x: auto; }
  .sheet img { min-width: 44rem; max-width: 100%; height: auto; }
</style>
<h1>What {{ settings.run }} saw</h1>
<p>Evidence for <b>{{ settings.head }}</b> by {{ settings.method }}
{%- if settings.layer %} at layer <code>{{ settings.layer }}</code>{% endif %}.
An attribution shows where the evidence lies, not whether the answer is right.</p>
{% for entry in entries %}
<h2>{{ entry.image }}</h2>
<p class="sheet"><img src="{{ entry.evidence }}" alt="{{ entry.answers }}"></p>
{% if entry.activations %}
<details{{ " open" if entries|length == 1 }}>
<summary>What the layers made of it (activation maps)</summary>
<p class="sheet"><img src="{{ entry.activations }}" alt="Activation maps of {{ entry.image }}"></p>
</details>
{% endif %}
{% endfor %}
{% if settings.kernels %}
<h2>Kernels of the first convolution</h2>
<p class="sheet"><img src="{{ settings.kernels }}" alt="Kernels of the first convolution"></p>
{% endif %}
</html>
"""


def evidence_sheet(
    title: str,
    notes: Sequence[str],
    image: Image.Image,
    maps: Mapping[str, npt.NDArray[np.floating]],
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


def activation_sheet(title: str, layers: Sequence[Activation]) -> Image.Image:
    """Draw the strongest channels of each layer, each layer on its own scale."""
    rows = []
    for layer in layers:
        low, high = float(layer.maps.min()), float(layer.maps.max())
        height, width = layer.maps.shape[1:]
        tiles = [
            Tile(coloured(map, low, high, 112), f"channel {channel}")
            for channel, map in zip(layer.strongest, layer.maps)
        ]
        heading = (
            f"{layer.layer} ({layer.kind}): {layer.channels} channels of {height} × {width}, "
            f"from {low:.3g} (dark) to {high:.3g} (bright)"
        )
        rows.append(Row(heading, tiles))
    note = "Layer by layer, the channels of largest mean absolute activation"
    return sheet(title, [note], rows)


def kernel_sheet(kernels: npt.NDArray[np.floating], notes: Sequence[str] = ()) -> Image.Image:
    """Draw kernels, (channels, 3 or 1, height, width), in the colours that they answer to.

    Zero is mid-grey.
    """
    shown = kernels[:MOST_KERNELS]
    most = float(np.abs(shown).max())
    rows = []
    for start in range(0, len(shown), KERNELS_PER_ROW):
        of_row = shown[start : start + KERNELS_PER_ROW]
        tiles = [Tile(as_colours(kernel, -most, most, 64)) for kernel in of_row]
        rows.append(Row(f"channels {start} to {start + len(of_row) - 1}", tiles))
    scale = f"weights from -{most:.3g} (black) over 0 (grey) to {most:.3g} (white)"
    notes = [f"{len(shown)} of {len(kernels)}; {scale}", *notes]
    return sheet("Kernels of the first convolution", notes, rows)


def page(settings: Mapping[str, object], entries: Sequence[Mapping[str, object]]) -> str:
    """Return HTML that shows the drawings that lie beside it; every name is escaped.

    Parameters
    ----------
    settings : `run`, `head`, `method`; perhaps `layer` and `kernels`
    entries : per image `image`, `answers`, `evidence`; perhaps `activations`

    Examples
    --------
    >>> settings = {"run": "a", "head": "b", "method": "c"}
    >>> entry = {"image": "<script>.png", "answers": "b: d", "evidence": "001.png"}
    >>> "<script>" in page(settings, [entry])
    False
    """
    template = Environment(autoescape=True).from_string(_TEMPLATE)
    return template.render(settings=settings, entries=entries)

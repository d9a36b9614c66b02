"""Images of what a network saw: attributions, activation maps and kernels, as PNG files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from fairvision.attribution.activations import (
    Activation,
    activations,
    first_kernels,
    kernels_for_grey,
    stages,
)
from fairvision.attribution.completeness import Sums, adding_up
from fairvision.attribution.maps import LAYERS_OF, attribute, grid_of, module_of
from fairvision.attribution.names import DEFAULT
from fairvision.core import files
from fairvision.core.suggestions import did_you_mean
from fairvision.core.version import __version__
from fairvision.datasets import read_image
from fairvision.datasets.geometry import seen_part
from fairvision.datasets.images import Doubts
from fairvision.drawing.sheets import (
    Row,
    Tile,
    as_colours,
    coloured,
    full_scale,
    overlay,
    resized,
    sheet,
)
from fairvision.errors import InputError
from fairvision.inference.digits import prepare_digit
from fairvision.inference.predictions import (
    as_batch,
    image_files,
    predicted_labels,
    prepares_digits,
)
from fairvision.models import Model, Network, SourceOptions, find_device, geometry_of
from fairvision.models.architectures import sees_places_apart
from fairvision.report.explanations import render
from fairvision.runs import Run
from fairvision.runs.model import as_model
from fairvision.schema import Schema

MOST_KERNELS, KERNELS_PER_ROW = 64, 16

Scores = dict[str, dict[str, float]]

MARKER = "explain.json"
MOST_GROUPS = 4


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


def explain(
    run: Model | Run | str | Path,
    images: str | Path | Iterable[str | Path],
    *,
    output: str | Path,
    method: str = "auto",
    head: str | None = None,
    group: str | None = None,
    layer: str | None = None,
    prepare: str = "auto",
    device: str = "auto",
    options: SourceOptions | None = None,
    overwrite: bool = False,
    quiet: bool = True,
) -> Path:
    """Draw where the evidence for each answer lies, and what the layers made of the image.

    The folder holds, per image, a sheet of attributions and a sheet of activation maps; the
    kernels of the first convolution; `index.html`, which shows them all; and `explain.json` with
    the settings, the probabilities and the files' names. What is explained is the image as the
    network takes it, resized to a square; drawings have the image's own proportions.

    Parameters
    ----------
    run : a run folder, the run loaded from it, any `fairvision.models.Model`, or the name of a
        model of another library, such as "timm:resnet18"
    images : image files, and folders of them
    output : folder to write
    method : one of `fairvision.attribution.METHODS`, see `attribute`; "auto" is HiResCAM, but
        integrated gradients for the lecture's network, whose dense layer sees every pixel by
        itself, and occlusion for a model that has no gradients
    head : the attribute or task to explain; by default the run's first attribute, else its first
        task
    group : the group or label whose evidence is drawn; by default the `MOST_GROUPS` most probable,
        on one colour scale per image, so that they can be compared
    layer : dotted name of the layer for methods that look at one; default: see `attribute`
    prepare : what is done to the images before, as in `predict`: "auto", "digit" or "none"
    device : "auto", "cpu", "cuda" or "mps"
    options : what is told about a model by name
    overwrite : replace what an earlier call wrote into `output`
    quiet : show no progress on the terminal

    Returns
    -------
    The folder.

    Raises
    ------
    InputError
        If the run, an image, the head, the group or the layer cannot be used, or the folder is
        full. Nothing is written then.
    """
    files.check_vacant(output, marker=MARKER, overwrite=overwrite)
    model = as_model(run, find_device(device), options=options)
    paths: Iterable[Path] = image_files(images)
    head, groups = _head_and_groups(model.schema, head, group)
    as_digits, grey, geometry = prepares_digits(model, prepare), True, geometry_of(model)
    if method == "auto":
        method = _method_for(model, layer)
    network = module_of(model, method)
    if not quiet:
        paths = track(list(paths), "pictures", console=Console(stderr=True), transient=True)

    settings = {"fairvision": __version__, "run": model.name, "method": method, "head": head}
    entries: list[dict[str, object]] = []
    doubts, sums = Doubts(), Sums()
    with files.whole_folder(output, marker=MARKER, overwrite=overwrite) as folder:
        for path in paths:
            image = read_image(path, doubts=doubts)
            if as_digits:
                image = prepare_digit(image).convert("RGB")
            grey = grey and _is_grey(image)
            batch = as_batch([image], geometry, model.device)
            image = seen_part(image, geometry)
            if not entries:
                layers = [] if model.module is None else stages(network, batch)
                place = "pixels"
                if method in LAYERS_OF:
                    settings["layer"] = ", ".join(LAYERS_OF[method](network, batch, layer))
                    rows, columns = grid_of(network, batch, method, layer) or (0, 0)
                    place = f"{settings['layer']} ({rows} × {columns} cells)"
                subject = _Subject(model, network, head, groups, method, layer, place, layers)
            stem = f"{len(entries) + 1:03d}-{files.plain_name(path.stem)}"
            with adding_up(sums):
                entry = subject.draw(path, image, batch, folder, stem, as_prepared=as_digits)
            entries.append(entry)
        kernels = first_kernels(network)
        if kernels is not None:
            settings["kernels"] = "kernels.png"
            notes = []
            if grey and isinstance(network, Network):
                kernels = kernels_for_grey(kernels, network.std.cpu().numpy())
                notes = ["Summed over the colours, because the pictures are grey"]
            kernel_sheet(kernels, notes).save(folder / settings["kernels"])
        files.write_json(folder / MARKER, settings | {"pictures": entries})
        files.write_text(folder / "index.html", render(settings, entries))
    doubts.tell()
    sums.tell()
    return Path(output)


@dataclass(frozen=True)
class _Subject:
    """What is explained, and how.

    Attributes
    ----------
    model, network : a model, and what the attribution explains of it
    head, groups : whose evidence is drawn; without groups that of the most probable
    method, layer : of the attribution; the layer that was asked for
    place : where the attribution looks, in words
    layers : whose activations are drawn
    """

    model: Model
    network: nn.Module
    head: str
    groups: Sequence[str]
    method: str
    layer: str | None
    place: str
    layers: list[str]

    def draw(
        self,
        path: Path,
        image: Image.Image,
        batch: Tensor,
        folder: Path,
        stem: str,
        *,
        as_prepared: bool,
    ) -> dict[str, object]:
        """Save the sheets of one image, under names that begin with a stem; return what they are.

        Parameters
        ----------
        path, image : the file, and what is drawn
        batch : (1, 3, height, width), the same as the network takes it
        """
        scores = _probabilities(self.model, batch)
        predicted = _predictions(scores, self.model.schema)
        groups = self.groups or _most_probable(scores[self.head])
        entry = {"image": str(path), "answers": predicted, "evidence": f"{stem}-evidence.png"}
        drawn = evidence_sheet(
            path.name,
            [f"{self.model.name} · {self.method} · {self.place}", predicted],
            image,
            self.maps(batch, groups),
            scores[self.head],
            as_seen="as prepared" if as_prepared else "",
        )
        drawn.save(folder / entry["evidence"])
        if self.layers:
            entry["activations"] = f"{stem}-activations.png"
            drawn = activation_sheet(path.name, activations(self.network, batch, self.layers))
            drawn.save(folder / entry["activations"])
        return entry | {"probabilities": _without_nan(scores)}

    def maps(self, batch: Tensor, groups: Sequence[str]) -> dict[str, npt.NDArray[np.floating]]:
        """Return the evidence for each group, (height, width)."""
        labels = self.model.schema.labels(self.head)
        targets = torch.tensor([labels.index(group) for group in groups], device=batch.device)
        copies = batch.expand(len(groups), -1, -1, -1)
        maps = attribute(
            *(self.network, copies, targets, self.method), head=self.head, layer=self.layer
        )
        return dict(zip(groups, maps.cpu().numpy()))


def _head_and_groups(schema: Schema, head: str | None, group: str | None) -> tuple[str, list[str]]:
    """Return the head, and the groups that were asked for: one, or none in particular."""
    head = next(iter(schema)) if head is None else head
    if head not in schema:
        hint = did_you_mean(head, schema)
        raise InputError(f"the run has no head {head!r}: choose from {', '.join(schema)}{hint}")
    if group is None:
        return head, []
    labels = schema.labels(head)
    if group not in labels:
        hint = did_you_mean(group, labels)
        raise InputError(f"{head} has no group {group!r}: choose from {', '.join(labels)}{hint}")
    return head, [group]


def _method_for(model: Model, layer: str | None) -> str:
    """Return the attribution that suits a model."""
    if model.module is None:
        return "occlusion"
    apart = sees_places_apart(model.module) and layer is None
    return "integrated_gradients" if apart else DEFAULT


def _is_grey(image: Image.Image) -> bool:
    """Return whether all pixels of an image have equal red, green and blue."""
    pixels = np.asarray(image)
    return bool((pixels == pixels[..., :1]).all())


def _probabilities(model: Model, batch: Tensor) -> Scores:
    """Return the probabilities of one image by head and label."""
    scores = model.predict(batch)
    return {h: dict(zip(model.schema.labels(h), scores[h][0].tolist())) for h in model.schema}


def _most_probable(scores: dict[str, float]) -> list[str]:
    """Return the most probable groups, in the order of the dataset."""
    ranked = sorted(scores, key=lambda group: -scores[group])[:MOST_GROUPS]
    return [group for group in scores if group in ranked]


def _predictions(scores: Scores, schema: Schema) -> str:
    """Return in a line what is predicted by each head."""
    lines = []
    for head, by_label in scores.items():
        values = np.array([list(by_label.values())])
        predicted = predicted_labels(values, list(by_label), schema.is_many(head))[0]
        text = ", ".join(predicted) or "none" if isinstance(predicted, tuple) else predicted
        lines.append(f"{head}: {text or 'undefined'}")
    return " · ".join(lines)


def _without_nan(scores: Scores) -> dict[str, dict[str, float | None]]:
    """Return probabilities for JSON, where NaN is None."""
    return {
        head: {k: None if np.isnan(v) else v for k, v in by_label.items()}
        for head, by_label in scores.items()
    }

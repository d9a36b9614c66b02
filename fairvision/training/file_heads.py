"""The classifier that a file of weights has: kept where its labels are known, else said to be left.

A file holds rows of numbers, a row for each label, and seldom says which row is which. To guess it
would turn every answer over, so a classifier is kept only where the order is known or was said.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from fairvision import models, runs
from fairvision.errors import FairvisionWarning, InputError
from fairvision.models import Network
from fairvision.models.weights import classifier_layers, is_weights_file
from fairvision.results.words import listed

LABELS = "labels"
"""The entry of a safetensors file's metadata that names its outputs: a JSON list, in order."""


class FileHead(NamedTuple):
    """The classifier of a file.

    Attributes
    ----------
    layers : what it is called in the file
    weight, bias : (outputs, width) and (outputs,); None where it is not one linear layer
    labels : of its outputs, in order; None where the file does not say
    """

    layers: tuple[str, ...]
    weight: Tensor | None
    bias: Tensor | None
    labels: tuple[str, ...] | None

    @property
    def described(self) -> str:
        """Its layers and number of outputs, in words."""
        outputs = "" if self.weight is None else f" ({len(self.weight)} outputs)"
        return f"{', '.join(self.layers)}{outputs}"


def take_head(
    network: Network,
    model: str,
    weights: str | None,
    heads: Mapping[str, Sequence[str]],
    *,
    size: int,
    keep: bool = False,
) -> None:
    """Copy the classifier of a weights file into a network's head, or say that it is left out.

    Parameters
    ----------
    network : with untrained heads, whose backbone has the file's weights
    model, size : as in `models.build`
    weights : what was given for it; other than files have no classifier to keep
    heads : labels of each head of the network
    keep : take the file's outputs for the labels, in their order

    Raises
    ------
    InputError
        If it is to be kept and cannot be: one line.

    Warns
    -----
    FairvisionWarning
        Which layers of the file are left out, and why: one line.
    """
    if weights is None or not is_weights_file(weights) or Path(weights).is_dir():
        if keep:
            raise InputError("--keep-head is about a file of weights: give one by --weights")
        return
    of_file = head_of_file(weights, network, classifier_layers(model, size))
    if of_file is None:
        if keep:
            raise InputError(f"--keep-head: {weights} holds no classifier of a {model}")
        _tell_of_run(weights)
        return
    order, reason = _order(of_file, network, heads, keep=keep)
    if order is None:
        if keep:
            raise InputError(f"--keep-head: {weights} has {of_file.described}, but {reason}")
        warnings.warn(
            f"weights {weights}: {of_file.described} is left out, and what is trained starts anew: "
            f"{reason}",
            FairvisionWarning,
            stacklevel=5,
        )
        return
    (head,) = network.heads
    assert isinstance(head, nn.Linear)
    assert of_file.weight is not None
    with torch.no_grad():
        head.weight.copy_(of_file.weight[order])
        head.bias.copy_(torch.zeros(len(order)) if of_file.bias is None else of_file.bias[order])


def head_of_file(path: str, network: Network, layers: Sequence[str]) -> FileHead | None:
    """Return the classifier of a weights file; None where the file has none.

    Parameters
    ----------
    path : of the file
    network : whose backbone it fits
    layers : what a classifier is called in such files
    """
    tensors = models.read_tensors(path, network.backbone.state_dict().keys())
    tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    of_classifier = {
        name: value
        for name, value in tensors.items()
        if any(name.startswith(f"{layer}.") for layer in layers)
    }
    if not of_classifier:
        return None
    there = tuple(
        layer for layer in layers if any(n.startswith(f"{layer}.") for n in of_classifier)
    )
    weight, bias = (of_classifier.get(f"{there[0]}.{part}") for part in ("weight", "bias"))
    if weight is not None:
        weight = weight.float().flatten(2).squeeze(2) if weight.ndim == 4 else weight.float()
    is_linear = (
        weight is not None and weight.ndim == 2 and len(of_classifier) == 1 + (bias is not None)
    )
    return FileHead(there, weight if is_linear else None, bias, _labels(Path(path)))


def _labels(path: Path) -> tuple[str, ...] | None:
    """Return the labels that a safetensors file says its outputs are of, in order."""
    if path.suffix != ".safetensors":
        return None
    try:
        with safe_open(path, "pt") as opened:
            entry = (opened.metadata() or {}).get(LABELS)
        labels = None if entry is None else json.loads(entry)
    except (SafetensorError, ValueError, RecursionError):
        return None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        return None
    return tuple(labels) if len({*labels}) == len(labels) else None


def _order(
    of_file: FileHead, network: Network, heads: Mapping[str, Sequence[str]], *, keep: bool
) -> tuple[list[int] | None, str]:
    """Return which output of the file is of which label; or None, and why it is not kept."""
    if len(heads) != 1:
        return None, f"{len(heads)} heads are trained ({listed(list(heads))}), not one"
    (name, labels), (head,) = *heads.items(), network.heads
    if of_file.weight is None or not isinstance(head, nn.Linear):
        return None, "only one linear layer is kept"
    if len(of_file.weight) != len(labels):
        return None, f"{name} has {len(labels)} labels"
    if of_file.weight.shape != head.weight.shape:
        return None, f"it takes {of_file.weight.shape[1]} features, not {head.weight.shape[1]}"
    if keep:
        return list(range(len(labels))), ""
    if of_file.labels is None:
        return None, (
            f"the file does not say the order of its labels (--keep-head if it is {listed(labels)})"
        )
    if {*of_file.labels} != {*labels}:
        return None, f"its labels are {listed(of_file.labels)}, those of {name} {listed(labels)}"
    return [of_file.labels.index(label) for label in labels], ""


def _tell_of_run(weights: str) -> None:
    """Say that the heads of a run are left out where its file was given, not its folder."""
    folder = Path(weights).parent
    if (folder / runs.CONFIG).is_file() and Path(weights).name in (runs.BEST, runs.LAST):
        warnings.warn(
            f"weights {weights}: the heads in it are left out, and what is trained starts anew: "
            f"give the run {folder} to keep those of the same labels",
            FairvisionWarning,
            stacklevel=6,
        )

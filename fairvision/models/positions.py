"""Activations that have positions: maps (n, channels, height, width), whatever their layout."""

from __future__ import annotations

from collections import Counter
from functools import partial

import torch
from torch import Tensor, nn

from fairvision.errors import InputError

PASSIVE = (nn.Identity, nn.modules.dropout._DropoutNd, nn.AdaptiveAvgPool2d)
"""Layers that change nothing that is worth looking at."""

_MOST_PREFIX_TOKENS = 8


def is_map(output: Tensor, images: Tensor) -> bool:
    """Tell whether an output is (n, channels, height, width) with more than one position.

    The positions must have the image's proportions (to one position): some transformers keep the
    channels last, and their channels are not columns.
    """
    if output.ndim != 4:
        return False
    return _proportionate(output.shape[2], output.shape[3], images)


def as_maps(output: Tensor, images: Tensor, prefix: int | None = None) -> Tensor | None:
    """Return an activation (or its gradient) as maps (n, channels, height, width).

    Channels may come last, as in Swin; tokens (n, prefix + height · width, channels) are laid out
    row by row, and those before the image's, such as the class token, are left out.

    Parameters
    ----------
    output : what a layer gave for `images`
    images : (n, 3, height, width)
    prefix : how many tokens are not of the image; by default the fewest, up to 8, that leave as
        many as a grid of the image's proportions has

    Returns
    -------
    A view of the output, or None where it has no positions.

    Examples
    --------
    >>> as_maps(torch.zeros(1, 197, 192), torch.zeros(1, 3, 224, 224)).shape
    torch.Size([1, 192, 14, 14])
    >>> as_maps(torch.zeros(1, 7, 7, 768), torch.zeros(1, 3, 224, 224)).shape
    torch.Size([1, 768, 7, 7])
    """
    if output.ndim < 3 or len(output) != len(images):
        return None
    if is_map(output, images):
        return output
    if output.ndim == 4 and _proportionate(output.shape[1], output.shape[2], images):
        return output.permute(0, 3, 1, 2)
    if output.ndim != 3 or output.shape[2] == 1:
        return None
    for before in range(_MOST_PREFIX_TOKENS + 1) if prefix is None else [prefix]:
        count = max(0, output.shape[1] - before)
        rows = round((count * images.shape[2] / images.shape[3]) ** 0.5)
        columns = count // max(1, rows)
        if rows * columns == count and _proportionate(rows, columns, images):
            tokens = output[:, before:].transpose(1, 2)
            return tokens.view(*tokens.shape[:2], rows, columns)
    return None


def prefix_tokens(network: nn.Module) -> int | None:
    """Return how many tokens a network puts before those of the image, if it says so (timm)."""
    for module in network.modules():
        count = getattr(module, "num_prefix_tokens", None)
        if isinstance(count, int):
            return count
    return None


def deepest_grid(network: nn.Module, images: Tensor) -> tuple[str, int]:
    """Return the dotted name and the channels of the last layer whose output has positions.

    Of tokens only layers of the width that is usual for their number count, and no linear ones:
    others lie inside of attention.

    Parameters
    ----------
    network : any network, in evaluation mode
    images : (n, 3, height, width), which are run through it once

    Raises
    ------
    InputError
        If no layer has positions.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    >>> deepest_grid(network, torch.zeros(1, 3, 8, 8))
    ('1', 4)
    """
    prefix = prefix_tokens(network)
    outputs: list[tuple[str, nn.Module, tuple[int, ...], int]] = []

    def see(name: str, module: nn.Module, _: object, output: object) -> None:
        if isinstance(output, Tensor) and not isinstance(module, PASSIVE):
            maps = as_maps(output, images, prefix)
            if maps is not None:
                outputs.append((name, module, tuple(output.shape), maps.shape[1]))

    hooks = [
        module.register_forward_hook(partial(see, name)) for name, module in network.named_modules()
    ]
    try:
        with torch.no_grad():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    widths = Counter(shape[1:] for _, _, shape, _ in outputs if len(shape) == 3)
    usual = widths.most_common(1)[0][0] if widths else None
    for name, module, shape, channels in reversed(outputs):
        if name and (len(shape) == 4 or (shape[1:] == usual and not isinstance(module, nn.Linear))):
            return name, channels
    raise InputError(
        "this network has no layer with positions (maps, or tokens of a grid), which a captioner "
        "attends to: choose another"
    )


def _proportionate(height: int, width: int, images: Tensor) -> bool:
    """Return whether a grid has the images' proportions, as far as rounding allows."""
    if height * width <= 1:
        return False
    # height / image height and width / image width differ by less than 1 / the shorter side.
    skew = abs(height * images.shape[-1] - width * images.shape[-2])
    return skew < max(images.shape[-2:])

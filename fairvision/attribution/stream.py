"""Maps for more images than fit into memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from fairvision.attribution.completeness import Sums, adding_up
from fairvision.attribution.maps import numbered
from fairvision.attribution.options import Options, targets_of


def attribute_stream(
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor | int]],
    method: str = "gradcam",
    *,
    signed: bool = False,
    quiet: bool = True,
    **options: Any,
) -> Iterator[Tensor]:
    """Yield maps of evidence batch by batch.

    Small batches are put together, and large ones cut, to `batch_size`: how the images come
    changes neither the maps nor what the network holds at one time.

    Parameters
    ----------
    network : as for `attribute`. It is as it was whenever maps are yielded.
    batches : pairs of images (n, 3, height, width) and targets, (n,) or one for all, such as a
        `DataLoader` gives; they are moved to the network's device
    method : one of `METHODS`
    signed : as for `attribute`
    quiet : show no progress on the terminal
    **options : all other options of `attribute`; `baseline` must fit images one by one

    Yields
    ------
    (n, height, width) float32 on the network's device, for each of the batches

    Raises
    ------
    InputError
        As `attribute` does.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2))
    >>> batches = [(torch.rand(n, 3, 8, 8), torch.ones(n, dtype=torch.int64)) for n in (1, 3)]
    >>> [maps.shape for maps in attribute_stream(network, batches)]
    [torch.Size([1, 8, 8]), torch.Size([3, 8, 8])]
    """
    chosen = Options(**options)
    parameter = next(network.parameters(), None)
    waiting: list[tuple[Tensor, Tensor]] = []
    first, sums = 0, Sums()

    def finish() -> Iterator[Tensor]:
        nonlocal first
        if waiting:
            images, targets = (torch.cat(parts) for parts in zip(*waiting))
            sizes = [len(images) for images, _ in waiting]
            waiting.clear()
            with adding_up(sums):
                maps = numbered(
                    network, images, targets, method, chosen, signed=signed, first=first
                )
            first += len(images)
            yield from maps.split(sizes)

    console = Console(stderr=True)
    for images, target in track(
        batches, description=method, console=console, transient=True, disable=quiet
    ):
        images = images if parameter is None else images.to(parameter.device)
        targets = targets_of(target, images)
        if waiting and waiting[0][0].shape[1:] != images.shape[1:]:
            yield from finish()
        waiting.append((images, targets))
        if sum(len(images) for images, _ in waiting) >= chosen.batch_size:
            yield from finish()
    yield from finish()
    sums.tell()

"""Several processes, started by torchrun, that train as one: shares of batches, sums over all."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch import Tensor

from fairvision.errors import InputError


def count() -> int:
    """Return how many processes torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", 1))


def is_first() -> bool:
    """Return whether this process is the one that writes and prints."""
    return int(os.environ.get("RANK", 0)) == 0


def make_fabric(device: torch.device, precision: str) -> Fabric:
    """Return a Fabric over all processes, which have found each other.

    Raises
    ------
    InputError
        If the device cannot be shared out.
    """
    if count() == 1:
        return Fabric(accelerator=device.type, devices=1, precision=precision)  # type: ignore[arg-type]
    if device.type == "mps":
        raise InputError("several processes need --device cpu or cuda")
    here = int(os.environ.get("LOCAL_WORLD_SIZE", count()))
    if device.type == "cuda" and here > torch.cuda.device_count():
        raise InputError(
            f"torchrun started {here} processes for {torch.cuda.device_count()} GPUs: "
            "choose --nproc_per_node accordingly"
        )
    fabric = Fabric(
        accelerator=device.type,
        devices=here,
        num_nodes=count() // here,
        precision=precision,  # type: ignore[arg-type]
        # Buffers agree without being sent: batch normalisation and methods see all processes.
        strategy=DDPStrategy(broadcast_buffers=False),
    )
    fabric.launch()
    return fabric


@dataclass(frozen=True)
class Share:
    """What a process does of a batch: `size` pictures from `start` on, of `total`."""

    start: int
    size: int
    total: int

    @property
    def rows(self) -> slice:
        """The places of its pictures in the batch."""
        return slice(self.start, self.start + self.size)


def share(total: int, rank: int, world: int) -> Share:
    """Return the share of one of `world` processes; shares differ by at most one picture.

    >>> [share(5, rank, 2) for rank in (0, 1)]
    [Share(start=0, size=3, total=5), Share(start=3, size=2, total=5)]
    """
    bounds = [-(-total * i // world) for i in range(world + 1)]
    return Share(bounds[rank], bounds[rank + 1] - bounds[rank], total)


def cut(order: np.ndarray, size: int, least: int) -> list[np.ndarray]:
    """Return the rows of an order in batches; a last one smaller than `least` joins the one before.

    >>> [len(rows) for rows in cut(np.arange(9), 4, least=2)]
    [4, 5]
    """
    pieces = [order[start : start + size] for start in range(0, len(order), size)]
    if len(pieces) > 1 and len(pieces[-1]) < least:
        pieces[-2:] = [np.concatenate(pieces[-2:])]
    return pieces


def sum_over_all(fabric: Fabric, values: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes."""
    return cast(Tensor, fabric.all_reduce(values, reduce_op="sum"))


def over_all(
    fabric: Fabric, values: dict[str, Tensor], counts: dict[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return means over the pictures of all processes, and their counts, from those of this one."""
    if fabric.world_size == 1:
        return values, counts
    n = torch.stack([counts[name] for name in values]).double()
    sums = torch.stack([value.double() for value in values.values()]) * n
    sums, n = sum_over_all(fabric, torch.stack([sums, n]))
    means = sums / n.clamp(min=1)
    return dict(zip(values, means)), dict(zip(values, n))

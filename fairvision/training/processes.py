"""Several processes that train as one: batches to share out, sums over all."""

from __future__ import annotations

import os
from typing import cast

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch import Tensor

from fairvision.core.processes import count, device_of_process


def make_fabric(device: torch.device, precision: str) -> Fabric:
    """Return a Fabric over all processes, which have found each other.

    Raises
    ------
    InputError
        If the device cannot be shared out.
    """
    if count() == 1:
        return Fabric(accelerator=device.type, devices=1, precision=precision)  # type: ignore[arg-type]
    device_of_process(device)
    here = int(os.environ.get("LOCAL_WORLD_SIZE", count()))
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


def of_first(fabric: Fabric, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays of the first process; those of the others have the same shapes."""
    if fabric.world_size == 1:
        return arrays
    found = {name: torch.from_numpy(values).to(fabric.device) for name, values in arrays.items()}
    for tensor in found.values():
        torch.distributed.broadcast(tensor, 0)
    return {name: tensor.cpu().numpy() for name, tensor in found.items()}


def over_all(
    fabric: Fabric, values: dict[str, Tensor], counts: dict[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return means over the images of all processes, and their counts, from those of this one."""
    if fabric.world_size == 1:
        return values, counts
    n = torch.stack([counts[name] for name in values]).double()
    sums = torch.stack([value.double() for value in values.values()]) * n
    sums, n = sum_over_all(fabric, torch.stack([sums, n]))
    means = sums / n.clamp(min=1)
    return dict(zip(values, means)), dict(zip(values, n))

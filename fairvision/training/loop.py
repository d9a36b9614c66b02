"""What happens to a batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from fairvision.datasets import Batch
from fairvision.methods.heads import Terms
from fairvision.training.augment import augment
from fairvision.training.averages import Averages, measures
from fairvision.training.settings import Settings

_WARM_UP = 0.05

ComputeTerms = Callable[[Any, Batch], Terms]


def train_epoch(
    fabric: Fabric,
    network: nn.Module,
    optimizer: Optimizer,
    schedule: LRScheduler,
    batches: Iterable[Batch],
    terms: ComputeTerms,
    *,
    augmented: bool,
) -> Averages:
    """Take one optimisation step per batch; the averages are those of the moving network."""
    network.train()
    averages = Averages()
    for batch in batches:
        if augmented:
            batch = augment(batch)
        found = terms(network, batch)
        averages.add(*measures(found, batch))
        averages.pictures += len(batch.rows)
        optimizer.zero_grad()
        fabric.backward(torch.stack(list(found.losses.values())).sum())
        optimizer.step()
        schedule.step()
    return averages


@torch.no_grad()
def evaluate(network: nn.Module, batches: Iterable[Batch], terms: ComputeTerms) -> Averages:
    """Measure the network as it stands."""
    network.eval()
    averages = Averages()
    for batch in batches:
        averages.add(*measures(terms(network, batch), batch))
        averages.pictures += len(batch.rows)
    return averages


def make_optimizer(
    network: nn.Module, settings: Settings, steps: int
) -> tuple[Optimizer, LRScheduler]:
    """Return AdamW over what learns, with decay on matrices only, and its schedule."""
    learns = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learns if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in learns if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = AdamW(groups, lr=settings.lr)
    return optimizer, LambdaLR(optimizer, lambda step: lr_factor(step, steps, settings.schedule))


def lr_factor(step: int, steps: int, schedule: str) -> float:
    """Return the share of the learning rate in a step: 5% warm-up, then constant or a cosine to 0.

    >>> [round(lr_factor(step, 40, "cosine"), 2) for step in (0, 1, 2, 21, 39)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    warm = max(1, round(_WARM_UP * steps))
    if step < warm:
        return (step + 1) / warm
    if schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def shuffled(n: int, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order of an epoch's n pictures.

    It leaves one picture out where it would be a batch of its own, which batch normalisation cannot
    take; another one every epoch.
    """
    order = np.random.default_rng([seed, epoch]).permutation(n)
    return order[:-1] if n % batch_size == 1 else order

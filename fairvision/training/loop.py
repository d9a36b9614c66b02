"""What happens to a batch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from fairvision.core.processes import Share
from fairvision.datasets import Batch
from fairvision.methods.method import Objective, Terms, add_auxiliary
from fairvision.models import Network, learning_parts
from fairvision.training.augment import augment
from fairvision.training.averages import Averages, measures
from fairvision.training.place import Place
from fairvision.training.processes import over_all
from fairvision.training.settings import Settings
from fairvision.training.worst_group import WorstGroup

_WARM_UP = 0.05


class Learner(nn.Module):
    """What learns: a network and its objective; batches in, terms out."""

    def __init__(self, network: Network, objective: Objective):
        super().__init__()
        self.network, self.objective = network, objective

    def forward(self, batch: Batch) -> Terms:
        """Return the loss terms."""
        terms = self.objective(self.network, batch)
        add_auxiliary(terms, self.network, batch)
        return terms


def train_step(
    fabric: Fabric,
    learner: Any,
    optimizer: Optimizer,
    schedule: LRScheduler,
    batches: Iterable[tuple[Batch, Share]],
    averages: Averages,
    *,
    images: int,
    crop: str | None,
    place: Place | None,
) -> None:
    """Take one optimisation step; the averages are those of the moving network.

    Parameters
    ----------
    batches : the batches of the step, and which share of each this process has
    images : in all of them, over all processes
    crop : of the augmentation; None without
    place : is told the share; None with one process
    """
    optimizer.zero_grad()
    done = 0
    for batch, share in batches:
        if place is not None:
            place.share = share
        if crop is not None:
            batch = augment(batch, place, crop=crop)
        done += share.total
        with fabric.no_backward_sync(learner, enabled=done < images):
            found = learner(batch)
            values, counts = over_all(fabric, *measures(found, batch))
            averages.add(values, counts)
            averages.images += share.total
            loss = torch.stack(list(_as_of_all(fabric, found, counts))).sum()
            fabric.backward(loss * (share.total / images))
    optimizer.step()
    schedule.step()


def _as_of_all(fabric: Fabric, terms: Terms, counts: dict[str, Tensor]) -> Iterator[Tensor]:
    """Yield the losses such that their mean over processes has the gradient of one process.

    A term is a mean over the images that take part, of which a process may have many or few.
    """
    for name, loss in terms.losses.items():
        if fabric.world_size == 1:
            yield loss
        else:
            yield (
                loss * (fabric.world_size * terms.counts[name] / counts[name].clamp(min=1)).float()
            )


@torch.no_grad()
def evaluate(
    fabric: Fabric,
    learner: Learner,
    batches: Iterable[tuple[Batch, Share]],
    worst: WorstGroup | None = None,
) -> Averages:
    """Measure the network as it stands, over all processes; `worst` counts by subgroup."""
    learner.eval()
    averages = Averages()
    for batch, share in batches:
        with fabric.autocast():
            found = learner(batch)
        averages.add(*over_all(fabric, *measures(found, batch)))
        averages.images += share.total
        if worst is not None:
            worst.add(found, batch)
    return averages


def make_optimizer(
    network: Network, settings: Settings, steps: int, companion: nn.Module | None = None
) -> tuple[Optimizer, LRScheduler]:
    """Return the optimizer over what learns, with decay on matrices only, and its schedule.

    A companion, such as an adversary, learns with the network. Where the backbone learns at its own
    rate, each part of `learning_parts` is a group by its name: the heads have the full rate, the
    earliest block that learns `lr_backbone` of it, and what lies between has rates in geometric
    progression, as the discriminative fine-tuning of Howard & Ruder (ACL 2018, section 3.2).
    """
    parts = {"network": [p for p in network.parameters() if p.requires_grad]}
    if settings.lr_backbone != 1:
        parts = learning_parts(network)
    next(iter(parts.values())).extend([] if companion is None else companion.parameters())
    groups: list[dict[str, Any]] = []
    for depth, (name, own) in enumerate(parts.items()):
        lr = settings.lr * settings.lr_backbone ** (depth / max(1, len(parts) - 1))
        matrices, vectors = [p for p in own if p.ndim > 1], [p for p in own if p.ndim <= 1]
        decay = settings.weight_decay
        groups += [
            {"name": f"{name} (decay)", "params": matrices, "lr": lr, "weight_decay": decay},
            {"name": f"{name} (no decay)", "params": vectors, "lr": lr, "weight_decay": 0.0},
        ]
    optimizer: Optimizer
    if settings.optimizer == "sgd":
        optimizer = SGD(groups, lr=settings.lr, momentum=settings.momentum)
    else:
        optimizer = AdamW(groups, lr=settings.lr, fused=True)
    return optimizer, LambdaLR(optimizer, lambda step: lr_factor(step, steps, settings.schedule))


def lr_factor(step: int, steps: int, schedule: str) -> float:
    """Return the share of the learning rate in a step: 5% of warm-up, then by the schedule.

    "constant", a "cosine" to 0, or "steps" to a tenth after each quarter of all steps.

    >>> [round(lr_factor(step, 40, "cosine"), 2) for step in (0, 1, 2, 21, 39)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    >>> [round(lr_factor(step, 40, "steps"), 3) for step in (0, 1, 9, 10, 20, 39)]
    [0.5, 1.0, 1.0, 0.1, 0.01, 0.001]
    """
    warm = max(1, round(_WARM_UP * steps))
    if step < warm:
        return (step + 1) / warm
    if schedule == "constant":
        return 1.0
    if schedule == "steps":
        return 0.1 ** (4 * step // steps)
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))

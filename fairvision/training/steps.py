"""What happens to a batch: the optimiser, its schedule, a moving average of weights, one step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.optim.swa_utils import get_ema_multi_avg_fn

from fairvision.core.processes import Share
from fairvision.datasets import Batch
from fairvision.methods.method import Objective, Terms, add_auxiliary
from fairvision.models import ImageNetwork, learning_parts
from fairvision.training.chance import augment
from fairvision.training.log import Averages, WorstGroup, measure
from fairvision.training.processes import Place, means_over_all
from fairvision.training.settings import Settings

_WARM_UP = 0.05


def make_optimizer(
    network: ImageNetwork, settings: Settings, steps: int, companion: nn.Module | None = None
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
    for depth, (name, parameters) in enumerate(parts.items()):
        lr = settings.lr * settings.lr_backbone ** (depth / max(1, len(parts) - 1))
        matrices = [p for p in parameters if p.ndim > 1]
        vectors = [p for p in parameters if p.ndim <= 1]
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


class AveragedNetwork(nn.Module):
    """A network whose weights are the moving average of another's, often better than any step's.

    Polyak & Juditsky, SIAM J. Control Optim. 30(4), 1992; in the exponential form of Tarvainen &
    Valpola, "Mean teachers", NeurIPS 2017 (arXiv 1703.01780). After step t the average keeps a
    share min(decay, (1 + t) / (10 + t)) of what it was, so that it forgets the beginning.
    Statistics of batch normalisation are averaged too.

    Parameters
    ----------
    network : the other one, as it starts
    decay : in (0, 1)

    Examples
    --------
    >>> from fairvision import models
    >>> network = models.build("small_cnn", {"gender": 2}, size=8)
    >>> averaged = AveragedNetwork(network, decay=0.5)
    >>> _ = network.heads[0].bias.data.fill_(1.0)
    >>> for step in (1, 2):
    ...     averaged.update(network, step)
    >>> averaged.network.heads[0].bias.data  # after shares of 2/11 and 3/12
    tensor([0.9545, 0.9545])
    """

    def __init__(self, network: ImageNetwork, decay: float):
        super().__init__()
        self.network = deepcopy(network).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: ImageNetwork, step: int) -> None:
        """Take in the weights after a step, counted from 1."""
        keep = min(self.decay, (1 + step) / (10 + step))
        pairs = list(zip(_tensors(self.network), _tensors(network)))
        floats = [(mean, new) for mean, new in pairs if mean.is_floating_point()]
        average = get_ema_multi_avg_fn(keep)  # type: ignore[no-untyped-call]
        average(*map(list, zip(*floats)), None)
        for mean, new in pairs:
            if not mean.is_floating_point():
                mean.copy_(new)


def _tensors(network: ImageNetwork) -> list[Tensor]:
    """Return all weights and buffers of a network."""
    return list(network.state_dict().values())


class Learner(nn.Module):
    """What learns: a network and its objective; batches in, terms out."""

    def __init__(self, network: Any, objective: Objective):
        super().__init__()
        self.network, self.objective = network, objective

    def forward(self, batch: Batch) -> Terms:
        """Return the loss terms."""
        terms: Terms = self.objective(self.network, batch)
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
            terms = learner(batch)
            values, counts = means_over_all(fabric, *measure(terms, batch))
            averages.add(values, counts)
            averages.images += share.total
            loss = torch.stack(list(_as_of_all(fabric, terms, counts))).sum()
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
            terms = learner(batch)
        averages.add(*means_over_all(fabric, *measure(terms, batch)))
        averages.images += share.total
        if worst is not None:
            worst.add(terms, batch)
    return averages

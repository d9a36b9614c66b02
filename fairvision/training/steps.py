"""What happens to a batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fairvision.core.processes import Share
from fairvision.datasets import Batch
from fairvision.methods.method import Objective, Terms, add_auxiliary
from fairvision.models import Network
from fairvision.training.augment import augment
from fairvision.training.averages import Averages, WorstGroup, measure
from fairvision.training.processes import Place, means_over_all


class Learner(nn.Module):
    """What learns: a network and its objective; batches in, terms out."""

    def __init__(self, network: Network, objective: Objective):
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

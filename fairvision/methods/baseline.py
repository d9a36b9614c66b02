"""Plain training: cross entropy of every head."""

from __future__ import annotations

from dataclasses import dataclass

from fairvision.datasets import Batch
from fairvision.methods.heads import Terms, classify
from fairvision.models import Network


@dataclass(frozen=True)
class Settings:
    """The baseline has none."""


def terms(network: Network, batch: Batch, settings: Settings) -> Terms:
    """Return the cross entropy of every head."""
    return classify(network, batch, network(batch.images))

"""The network that a training starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fairvision import models, runs
from fairvision.datasets import Dataset
from fairvision.errors import InputError
from fairvision.models import Network


def first_network(
    model: str,
    dataset: Dataset,
    size: int,
    weights: str | None,
    domains: Mapping[str, models.Domains] | None = None,
) -> Network:
    """Return a network with a head for each attribute and task of the dataset.

    Parameters
    ----------
    model, size, weights : as in `models.build`; `weights` may also be a run folder, which gives
        its backbone, and those heads that have the same name and the same groups or labels
    domains : heads that answer for every group by itself
    """
    labels = {**dataset.attributes, **{name: task.labels for name, task in dataset.tasks.items()}}
    heads = {name: len(some) for name, some in labels.items()}
    many = [name for name, task in dataset.tasks.items() if task.many]
    if weights is None or not Path(weights).is_dir():
        return models.build(model, heads, size=size, weights=weights, many=many, domains=domains)

    run = runs.load(weights)
    if run.config["model"] != model:
        raise InputError(f"run {weights} is a {run.config['model']}, not a {model}")
    source = runs.network(run)
    network = models.build(model, heads, size=size, many=many, domains=domains)
    models.fit(network.backbone, source.backbone.state_dict(), source=f"of run {weights}")
    trained = dict(zip(source.head_names, source.heads))
    for name, head in zip(network.head_names, network.heads):
        alike = run.config.get("domains", {}).get(name) == _told(domains, name)
        if run.heads.get(name) == labels[name] and alike:
            head.load_state_dict(trained[name].state_dict())
    return network


def choose_regime(tune: str, dataset: Dataset, weights: str | None) -> tuple[str, str]:
    """Return what learns, where "auto" leaves the choice to `models.choose_regime`, and why."""
    if tune != "auto":
        return tune, ""
    images = len(dataset.split("train"))
    return models.choose_regime(images, pretrained=weights is not None)


def _told(domains: Mapping[str, models.Domains] | None, name: str) -> dict[str, Any] | None:
    return asdict(domains[name]) if domains and name in domains else None

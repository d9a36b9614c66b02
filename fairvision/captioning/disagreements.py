"""On which images captioners disagree about the person, and how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fairvision.captioning.labels import Labels
from fairvision.captioning.measures import ModelCaptions
from fairvision.metrics.caption_words import OTHER

Rows = npt.NDArray[np.int64]


def in_order(
    models: Sequence[ModelCaptions],
    truth: Labels,
    *,
    files: Mapping[str, Path] | None = None,
    seed: int = 0,
) -> Iterator[tuple[str, int]]:
    """Yield all rows, the most telling first, each with how its captions differ.

    The kinds take turns, and in them the groups. Of each those rows come first that have an image,
    and among them those on which most models differ from the first, in an order drawn from `seed`:
    the same input gives the same order.

    Parameters
    ----------
    models : of the same images; the others are held against the first
    truth : labels of these
    files : the images that there are, by id

    Yields
    ------
    (kind, row); the kind is "" where the models agree, and where the group is not known
    """
    differ, kinds = _kinds(np.array([model.outcomes(truth) for model in models]), models)
    drawn = np.random.default_rng(seed).permutation(len(truth))
    imaged = truth.rows["id"].isin(list(files or {})).to_numpy()
    order = drawn[np.lexsort((-differ[drawn], ~imaged[drawn]))]
    group = truth.rows["group"].to_numpy()
    ranked = [
        (rank, kind, int(row))
        for kind, member in kinds.items()
        for name in truth.groups
        for rank, row in enumerate(order[(member & (group == name))[order]])
    ]
    ranked.sort(key=lambda item: item[0])
    yield from ((kind, row) for _, kind, row in ranked)
    rest = np.ones(len(truth), bool)
    rest[[row for *_, row in ranked]] = False
    yield from (("", int(row)) for row in order[rest[order]])


def opposed_rows(models: Sequence[ModelCaptions], truth: Labels) -> list[int]:
    """Return the rows on which one model is right and another wrong."""
    outcomes = np.array([model.outcomes(truth) for model in models])
    opposed = (outcomes == "correct").any(axis=0) & (outcomes == "incorrect").any(axis=0)
    return [int(row) for row in np.flatnonzero(opposed)]


def _kinds(
    outcomes: npt.NDArray[np.object_], models: Sequence[ModelCaptions]
) -> tuple[Rows, dict[str, npt.NDArray[np.bool_]]]:
    """Return on how many models each image differs from the first, and which are of what kind."""
    first, others = outcomes[0], outcomes[1:]
    differ = (others != first).sum(axis=0)
    if len(models) == 1:
        return differ, {
            "wrong": first == "incorrect",
            "names several groups or none": first == OTHER,
            "right": first == "correct",
        }
    name = models[0].model
    other = models[1].model if len(models) == 2 else "another"
    righted = (first == "incorrect") & (others == "correct").any(axis=0)
    wronged = (first == "correct") & (others == "incorrect").any(axis=0)
    return differ, {
        f"wrong by {name}, right by {other}": righted,
        f"right by {name}, wrong by {other}": wronged,
        "left open by one of them": (differ > 0) & ~righted & ~wronged,
    }

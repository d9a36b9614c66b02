"""From captions and labels to the metrics table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from fairvision import metrics
from fairvision.captioning.labels import Labels
from fairvision.metrics import Result
from fairvision.metrics.caption_words import OTHER
from fairvision.results.entries.amplification import MALS
from fairvision.results.table import (
    CONFIDENCE,
    Computed,
    Key,
    difference_of,
    differences,
    tabulate,
)
from fairvision.schema import UNKNOWN


@dataclass(frozen=True)
class Said:
    """What one captioner says of n images.

    Attributes
    ----------
    model : its name
    captions : (n,) texts
    named : (n,) the group that each names, or "other"
    objects : (n, labels) 0 and 1, the objects that each names; None without labels
    """

    model: str
    captions: list[str]
    named: np.ndarray
    objects: pd.DataFrame | None

    def outcomes(self, truth: Labels) -> np.ndarray:
        """Return (n,) correct, incorrect or other; None where the true group is unknown."""
        group = truth.rows["group"].to_numpy()
        of = np.where(self.named == group, "correct", "incorrect").astype(object)
        of[self.named == OTHER] = OTHER
        of[pd.isna(group)] = None
        return of


def measure(
    models: Sequence[Said],
    truth: Labels,
    words: Mapping[str, frozenset[str]],
    *,
    reference: Labels | None = None,
    human: Sequence[tuple[str, ...] | None] | None = None,
    hidden: Mapping[str, Sequence[str]] | None = None,
    rounds: int = 10,
    replicates: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compute every figure that the captions allow, and the differences from the first model.

    Parameters
    ----------
    models : of the same n images
    truth : labels of these
    words : the words of each group
    reference : labels of the training split, for amplification; by default `truth`
    human : what people wrote of the n images; None where nothing
    hidden : what LIC masks, where not the published words
    rounds : of LIC; 0 leaves it out
    replicates, seed : of the bootstrap; one seed pairs the models

    Returns
    -------
    the metrics table of docs/design.md, with empty keys as "". Undefined figures are NaN.
    """
    chance = {"replicates": replicates, "confidence": CONFIDENCE, "seed": seed}
    leakage = {"human_captions": human, "words": hidden, "rounds": rounds}
    computed: dict[str, dict[Key, Result]] = {}
    for model in models:
        results = dict(_outcome_figures(model, truth, words, chance))
        if truth.task:
            results |= dict(_object_figures(model, truth, list(words), reference or truth, chance))
        if rounds:
            results |= dict(_leakage_figures(model, truth, leakage, chance))
        computed[model.model] = results
    first = models[0].model
    for model in models[1:]:
        change = differences(computed[first], computed[model.model])
        computed[difference_of(first, model.model)] = dict(change)
    return tabulate(
        (name, key, result) for name, results in computed.items() for key, result in results.items()
    )


def _outcome_figures(
    model: Said, truth: Labels, words: Mapping[str, frozenset[str]], chance: dict[str, Any]
) -> Computed:
    """Yield what is said of the person, after Hendricks et al. (2018)."""
    attribute = truth.attribute
    found = metrics.caption_report(model.captions, truth.rows["group"], words=words, **chance)
    yield Key("error", attribute), replace(found.error, pairs=None)
    outcomes = model.outcomes(truth)
    wrong = np.array([np.nan if one is None else one == "incorrect" for one in outcomes], float)
    by_group = _by_group(wrong, truth, words, chance)
    for group, result in by_group.items():
        yield Key("error", attribute, "", group), result
    yield Key("error_gap", attribute), metrics.gap(by_group)
    named = np.isin(outcomes, ["correct", "incorrect"])
    right = np.where(named, 1 - wrong, np.nan)
    yield Key("accuracy_when_named", attribute), metrics.mean(right, **chance)
    for group, result in _by_group(right, truth, words, chance).items():
        yield Key("accuracy_when_named", attribute, "", group), result
    yield Key("outcomes", attribute), found.error
    yield Key("outcome_divergence", attribute), replace(found.outcome_divergence, pairs=None)
    if len(words) == 2:
        yield Key("ratio", attribute), found.ratio
        yield Key("ratio_difference", attribute), found.ratio_difference


def _by_group(
    values: np.ndarray, truth: Labels, groups: Mapping[str, Any], chance: dict[str, Any]
) -> dict[str, Result]:
    means = metrics.mean_by_group(values, truth.codes(list(groups)), **chance)
    return {group: result for group, result in means.items() if group != UNKNOWN}


def _object_figures(
    model: Said, truth: Labels, groups: Sequence[str], reference: Labels, chance: dict[str, Any]
) -> Computed:
    """Yield amplification; a caption that names no group has no predicted group."""
    attribute, task = truth.attribute, truth.task
    assert model.objects is not None
    labels = list(map(str, model.objects))
    held = truth.objects(labels)
    codes = truth.codes(groups)
    said = pd.Categorical.from_codes(  # "other" is none of them
        pd.Index(groups).get_indexer(pd.Index(model.named)), categories=pd.Index(groups)
    )
    training: dict[str, Any] = {
        "train_labels": reference.objects(labels),
        "train_groups": reference.codes(groups),
    }
    predictions: list[dict[str, Any]] = [{"pred_labels": model.objects}, {"pred_groups": said}]
    for predicted in predictions:
        result = metrics.directional_bias_amplification(
            held, codes, **predicted, **training, **chance
        )
        yield Key(result.name, attribute, task), result
    imaged = model.objects.copy()  # of images whose truth is known, as all other figures
    imaged.loc[(held < 0).any(axis=1) | (codes.codes < 0)] = -1
    yield (
        Key(MALS, attribute, task),
        metrics.bias_amplification_mals(**training, pred_labels=imaged, pred_groups=said, **chance),
    )


def _leakage_figures(
    model: Said, truth: Labels, leakage: dict[str, Any], chance: dict[str, Any]
) -> Computed:
    """Yield LIC of Hirota et al. (2022)."""
    result = metrics.lic(model.captions, truth.rows["group"], **leakage, **chance)
    assert result.model is not None
    yield Key("lic_model", truth.attribute), result.model
    if result.human is not None:
        yield Key("lic_human", truth.attribute), result.human
        yield Key("lic", truth.attribute), result

"""From captions and labels to the metrics table."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairvision import metrics
from fairvision.captioning.asked import Asked, asked_figures
from fairvision.captioning.labels import Labels
from fairvision.errors import FairvisionWarning
from fairvision.metrics import Result, Sampling
from fairvision.metrics.caption_leakage import LicResult
from fairvision.metrics.caption_texts import Tokens
from fairvision.metrics.caption_words import OTHER
from fairvision.results.entries.amplification import MALS, Training
from fairvision.results.figures import (
    CONFIDENCE,
    Computed,
    Key,
    difference_of,
    differences,
    tabulate,
)
from fairvision.results.together import Together, hold_together
from fairvision.schema import UNKNOWN


@dataclass(frozen=True)
class ModelCaptions:
    """What one captioner says of n images.

    Attributes
    ----------
    model : its name
    captions : (n,) texts
    named : (n,) the group that each names, or "other"
    objects : (n, labels) 0 and 1, the objects that each names; None without labels
    asked : what it wrote where the images were changed; None of captions from elsewhere
    """

    model: str
    captions: list[str]
    named: npt.NDArray[np.object_]
    objects: pd.DataFrame | None
    asked: Asked | None = None

    def outcomes(self, truth: Labels) -> npt.NDArray[np.object_]:
        """Return (n,) correct, incorrect or other; None where the true group is unknown."""
        group = truth.rows["group"].to_numpy()
        outcomes = np.where(self.named == group, "correct", "incorrect").astype(object)
        outcomes[self.named == OTHER] = OTHER
        outcomes[pd.isna(group)] = None
        return outcomes


def measure(
    models: Sequence[ModelCaptions],
    truth: Labels,
    words: Mapping[str, frozenset[str]],
    **how: Any,
) -> pd.DataFrame:
    """Return the metrics table; see `measure_together`, without intervals that hold together."""
    table, _ = measure_together(models, truth, words, **how)
    return table


def measure_together(
    models: Sequence[ModelCaptions],
    truth: Labels,
    words: Mapping[str, frozenset[str]],
    *,
    reference: Labels | None = None,
    human: Sequence[tuple[str, ...] | None] | None = None,
    hidden: Mapping[str, Sequence[str]] | None = None,
    rounds: int = 10,
    tokens: Tokens = "coco",
    replicates: int = 1000,
    seed: int = 0,
    cluster: npt.NDArray[np.int64] | None = None,
    simultaneous: bool = False,
) -> tuple[pd.DataFrame, Together | None]:
    """Compute every figure that the captions allow, and the differences from the first model.

    Parameters
    ----------
    models : of the same n images
    truth : labels of these
    words : the words of each group
    reference : labels of the training split, for amplification; by default `truth`
    human : what people wrote of the n images, for LIC and quality; None where nothing
    hidden : what LIC masks, where not the published words
    rounds : of LIC; 0 leaves it out
    tokens : what captions are cut into for quality, as of `metrics.bleu`
    replicates, seed : of the bootstrap; one seed pairs the models
    cluster : (n,) codes, what is resampled instead of images; None for these
    simultaneous : whether the intervals behind findings hold together

    Returns
    -------
    the metrics table of docs/design.md, with empty keys as "", where undefined figures are NaN; and
    how intervals were made to hold together
    """
    sampling: Sampling = {"replicates": replicates, "confidence": CONFIDENCE, "seed": seed}
    if cluster is not None:
        sampling["cluster"] = cluster
    if simultaneous:
        sampling["joint"] = True
    computed: dict[str, dict[Key, Result]] = {}
    for model in models:
        results = dict(_outcome_figures(model, truth, words, sampling))
        if truth.task:
            results |= dict(
                _object_figures(model, truth, list(words), reference or truth, sampling)
            )
        if model.asked is not None:
            codes = truth.codes(list(words))
            results |= dict(asked_figures(model.asked, truth.attribute, codes, words, sampling))
        if human is not None:
            results |= dict(_quality_figures(model, truth, list(words), human, tokens, sampling))
        if rounds:
            leakage = metrics.lic(
                model.captions,
                truth.rows["group"],
                human_captions=human,
                words=hidden,
                rounds=rounds,
                **sampling,
            )
            results |= dict(_leakage_figures(truth.attribute, leakage))
        computed[model.model] = results
    first = models[0].model
    for model in models[1:]:
        change = differences(computed[first], computed[model.model])
        computed[difference_of(first, model.model)] = dict(change)
    together = None
    if simultaneous:
        computed, together = hold_together(computed, [model.model for model in models])
    table = tabulate(
        (name, key, result) for name, results in computed.items() for key, result in results.items()
    )
    return table, together


def _outcome_figures(
    model: ModelCaptions, truth: Labels, words: Mapping[str, frozenset[str]], sampling: Sampling
) -> Computed:
    """Yield what is said of the person, after Hendricks et al. (2018)."""
    attribute = truth.attribute
    report = metrics.caption_report(model.captions, truth.rows["group"], words=words, **sampling)
    yield Key("error", attribute), replace(report.error, pairs=None)
    outcomes = model.outcomes(truth)
    wrong = np.array([np.nan if one is None else one == "incorrect" for one in outcomes], float)
    by_group = _by_group(wrong, truth, words, sampling)
    for group, result in by_group.items():
        yield Key("error", attribute, "", group), result
    yield Key("error_gap", attribute), metrics.gap(by_group)
    other = np.array([np.nan if one is None else one == OTHER for one in outcomes], float)
    yield Key("unnamed", attribute), metrics.mean(other, **sampling)
    named = np.isin(outcomes, ["correct", "incorrect"])
    right = np.where(named, 1 - wrong, np.nan)
    yield Key("accuracy_when_named", attribute), metrics.mean(right, **sampling)
    for group, result in _by_group(right, truth, words, sampling).items():
        yield Key("accuracy_when_named", attribute, "", group), result
    yield Key("outcomes", attribute), report.error
    yield Key("outcome_divergence", attribute), replace(report.outcome_divergence, pairs=None)
    if len(words) == 2:
        yield Key("ratio", attribute), report.ratio
        yield Key("ratio_difference", attribute), report.ratio_difference


def _by_group(
    values: npt.NDArray[np.floating[Any]],
    truth: Labels,
    groups: Mapping[str, Any],
    sampling: Sampling,
) -> dict[str, Result]:
    """Return the mean of values (n,) for each group, without the unknown one."""
    means = metrics.mean_by_group(values, truth.codes(list(groups)), **sampling)
    return {group: result for group, result in means.items() if group != UNKNOWN}


def _object_figures(
    model: ModelCaptions,
    truth: Labels,
    groups: Sequence[str],
    reference: Labels,
    sampling: Sampling,
) -> Computed:
    """Yield amplification; a caption that names no group has no predicted group."""
    attribute, task = truth.attribute, truth.task
    assert model.objects is not None
    labels = list(map(str, model.objects))
    held = truth.objects(labels)
    codes = truth.codes(groups)
    named = pd.Categorical.from_codes(  # "other" is none of them
        pd.Index(groups).get_indexer(pd.Index(model.named)), categories=pd.Index(groups)
    )
    training: Training = {
        "train_labels": reference.objects(labels),
        "train_groups": reference.codes(groups),
    }
    directional = partial(
        metrics.directional_bias_amplification, held, codes, **training, **sampling
    )
    for result in (directional(pred_labels=model.objects), directional(pred_groups=named)):
        yield Key(result.name, attribute, task), result
    labelled = model.objects.copy()  # of images whose truth is known, as all other figures
    labelled.loc[(held < 0).any(axis=1) | (codes.codes < 0)] = -1
    yield (
        Key(MALS, attribute, task),
        metrics.bias_amplification_mals(
            **training, pred_labels=labelled, pred_groups=named, **sampling
        ),
    )


def _quality_figures(
    model: ModelCaptions,
    truth: Labels,
    groups: Sequence[str],
    human: Sequence[tuple[str, ...] | None],
    tokens: Tokens,
    sampling: Sampling,
) -> Computed:
    """Yield how near the captions are to those of people, of all and of each group."""
    with warnings.catch_warnings():
        # of small groups the cautions tell once
        warnings.filterwarnings("ignore", "figures that rest on fewer", FairvisionWarning)
        results = metrics.caption_metrics(
            model.captions, human, truth.codes(groups), tokens=tokens, **sampling
        )
    for name, result in results.items():
        yield Key(name, truth.attribute), result
        yield Key(f"{name}_gap", truth.attribute), metrics.gap(result)


def _leakage_figures(attribute: str, leakage: LicResult) -> Computed:
    """Yield LIC of Hirota et al. (2022)."""
    assert leakage.model is not None
    yield Key("lic_model", attribute), leakage.model
    if leakage.human is not None:
        yield Key("lic_human", attribute), leakage.human
        yield Key("lic", attribute), leakage

"""What captioners wrote of changed images, and the figures that follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairvision import metrics
from fairvision.auditing.tables import MEASURES
from fairvision.metrics import Result, Sampling, caption_genders
from fairvision.metrics.caption_words import OTHER
from fairvision.results.figures import Computed, Key
from fairvision.schema import UNKNOWN

Values = npt.NDArray[np.float64]
Names = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Asked:
    """What a captioner wrote of n images, and where they were changed.

    Attributes
    ----------
    whole : (n,) of the images as they are
    hidden, person : (n,) with the person hidden, and with only the person visible; None without a
        mask
    words : (n,) the first word that names a group, which the evidence is for, or ""
    evidence : by name (n rows): the measures of evidence for this word, `chance` (the person's
        share of the image) and `hidden_gap` (how far the groups' probabilities are apart in the
        word's place with the person hidden); NaN where undefined
    maps : (n, rows, columns) small copies of the maps, 255 for the most evidence
    pairs : of people in other surroundings `row`, `donor` (a row too), `kind` ("others", "same" or
        "own"), `text` and `named`; None where they were not exchanged
    ids : (n,) of the images
    """

    whole: Sequence[str]
    hidden: Sequence[str | None]
    person: Sequence[str | None]
    words: Sequence[str]
    evidence: pd.DataFrame
    maps: npt.NDArray[np.uint8]
    pairs: pd.DataFrame | None
    ids: Sequence[str]

    def share(self, kind: str, right: Names) -> Values:
        """Return in which share of its surroundings of a kind each image is named so, (n,).

        Parameters
        ----------
        kind : "others", "same" or "own"
        right : (n,) the name that counts; None where none does, and the share is NaN
        """
        n = len(self.ids)
        if self.pairs is None:
            return np.full(n, np.nan)
        pairs = self.pairs[self.pairs["kind"] == kind]
        rows = pairs["row"].to_numpy(np.int64)
        agree = pairs["named"].to_numpy() == right[rows]
        number = np.bincount(rows, minlength=n)
        shares = np.bincount(rows, agree, minlength=n) / np.maximum(number, 1)
        undefined = (number == 0) | np.array([name is None for name in right])
        return np.where(undefined, np.nan, shares)

    def columns(self, model: str) -> dict[str, object]:
        """Return the columns of the table of captions that say what was written of a model."""
        first = [None if one is None else one[0] for one in self.elsewhere()]
        texts = {"hidden": self.hidden, "person": self.person, "elsewhere": first}
        columns: dict[str, object] = {f"{kind}/{model}": list(of) for kind, of in texts.items()}
        columns[f"word/{model}"] = list(self.words)
        return columns | {f"{name}/{model}": values for name, values in self.evidence.items()}

    def elsewhere(self) -> list[tuple[str, str] | None]:
        """Return of each image what was written in the first surroundings of others, and whose."""
        first: list[tuple[str, str] | None] = [None] * len(self.ids)
        if self.pairs is not None:
            pairs = self.pairs[self.pairs["kind"] == "others"].drop_duplicates("row")
            for row, donor, text in zip(pairs["row"], pairs["donor"], pairs["text"]):
                first[row] = (text, self.ids[donor])
        return first


def asked_figures(
    asked: Asked,
    attribute: str,
    truth: pd.Categorical,
    words: Mapping[str, frozenset[str]],
    sampling: Sampling,
) -> Computed:
    """Yield what captions do without the person and elsewhere, and where their evidence lies.

    A caption that names several groups or none is neither right nor wrong where reasons are asked
    for, and not right where accuracies are.

    Parameters
    ----------
    asked : of n images
    attribute, truth : its name, and the group of each image
    words : the words of each group
    """

    group = np.asarray(truth, object)
    annotated = truth.codes >= 0
    group[~annotated] = None

    def by_group(name: str, values: Values, gap: str = "") -> Computed:
        values = np.where(annotated, values, np.nan)
        yield Key(name, attribute), metrics.mean(values, **sampling)
        of_groups = metrics.mean_by_group(values, truth, **sampling)
        of_each: dict[str, Result] = {g: r for g, r in of_groups.items() if g != UNKNOWN}
        for group, result in of_each.items():
            yield Key(name, attribute, "", group), result
        if gap:
            yield Key(gap, attribute), metrics.gap(of_each)

    def correct(texts: Sequence[str | None]) -> tuple[Names, Values, Values]:
        """Return whom captions name, whether one group, and whether the true one."""
        named = caption_genders(texts, words)
        there = np.array([one is not None for one in named]) & annotated
        one_group = np.where(there, (named != OTHER).astype(float), np.nan)
        return named, one_group, np.where(there, (named == group).astype(float), np.nan)

    named, one_group, right = correct(asked.whole)
    right_if_named = np.where(one_group == 1, right, np.nan)
    _, hidden_one, hidden_right = correct(asked.hidden)
    _, _, person_right = correct(asked.person)
    if not np.isnan(hidden_one).all():
        yield from by_group("hidden_named", hidden_one)
        yield from by_group("hidden_error", np.where(hidden_one == 1, 1 - hidden_right, hidden_one))
        yield from by_group("person_accuracy", person_right)
        yield from by_group("hidden_probability_gap", asked.evidence["hidden_gap"].to_numpy())
    if asked.pairs is not None:
        answered = named.copy()
        answered[one_group != 1] = None
        holds = asked.share("others", answered)
        yield from by_group("holds", np.where(right_if_named == 1, holds, np.nan), "holds_gap")
        others, same = (asked.share(kind, group) for kind in ("others", "same"))
        right_elsewhere = np.fmax(others, same)
        undefined = np.isnan(holds) | np.isnan(right_elsewhere)
        held, elsewhere = (np.where(undefined, np.nan, v) for v in (holds, right_elsewhere))
        rows = {"": np.ones(len(group), bool)}
        rows |= {str(name): group == name for name in truth.categories}
        for name, where in rows.items():
            result = metrics.reasons(right_if_named, held, elsewhere, where=where, **sampling)
            yield Key("reasons", attribute, "", name), result
        yield from by_group("swapped_accuracy", others)
        yield from by_group("same_swapped_accuracy", same)
        yield from by_group("background_gap", same - others)
    yield from _evidence_figures(asked, attribute, right_if_named, group, by_group, truth, sampling)


def _evidence_figures(
    asked: Asked,
    attribute: str,
    right: Values,
    group: Names,
    by_group: Any,
    truth: pd.Categorical,
    sampling: Sampling,
) -> Computed:
    """Yield where the evidence for the word lies, beside chance, and the cells of both."""
    inside, chance = (asked.evidence[name].to_numpy() for name in (MEASURES[0], "chance"))
    if np.isnan(inside).all():
        return
    for measure in MEASURES:
        values = asked.evidence[measure].to_numpy()
        yield from by_group(measure, values, f"{measure}_gap")
        yield from by_group(f"{measure}_lift", values - chance, f"{measure}_lift_gap")
    yield from by_group("chance_level", np.where(np.isnan(inside), np.nan, chance))
    has_place = (chance > 0) & (chance < 1)
    rows = {"": has_place} | {str(name): has_place & (group == name) for name in truth.categories}
    for name, where in rows.items():
        result = metrics.evidence_cells(right, inside, where=where, **sampling)
        yield Key("evidence_cells", attribute, "", name), result

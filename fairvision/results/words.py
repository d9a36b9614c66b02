"""How figures are called, explained and written for people."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Word(NamedTuple):
    """What the page says about a metric; `{attribute}` and `{task}` stand for their names."""

    name: str
    meaning: str
    better: str = ""
    """`higher`, `lower`, `zero`, or empty where neither way is better."""
    undefined: str = "cannot be computed from these pictures"


_NEEDS_MASK = "needs pictures with a person mask"
_NEEDS_EVIDENCE = "needs a person mask and a map with positive evidence"
_NEEDS_TYPICAL = "needs pictures whose labels are typical of one group in training"
_NEEDS_NAMED = "needs captions that name a group"
_NEEDS_GROUPS = "needs pictures of two groups"
_NEEDS_BOTH = "needs labels that pictures of both kinds have"
_NEEDS_COUNTS = "needs pictures with known groups and labels, in training and here"

WORDS = {
    "accuracy": Word(
        "Accuracy on {subject}", "share of pictures that are answered right", "higher"
    ),
    "error": Word("Error on {subject}", "share of pictures that are answered wrong", "lower"),
    "accuracy_gap": Word(
        "Gap between groups, {subject}",
        "accuracy of the best served group minus that of the worst served; 0 = alike",
        "lower",
        "needs two groups with known pictures",
    ),
    "coverage": Word(
        "Pictures with an answer, {subject}",
        "share of pictures that the model answers at all; what it leaves out is in no accuracy",
        "higher",
    ),
    "coverage_gap": Word(
        "Pictures with an answer, gap between groups, {subject}",
        "group with the most answers minus the one with the fewest; 0 = alike",
        "lower",
        "needs two groups with known pictures",
    ),
    "average_precision": Word(
        "Average precision on {subject}",
        "how well true labels are ranked above others, mean over labels",
        "higher",
    ),
    "pointing_game": Word(
        "Evidence on the person",
        "share of pictures whose strongest point of evidence lies on the person",
        "higher",
        _NEEDS_EVIDENCE,
    ),
    "chance_level": Word(
        "Chance level",
        "the person’s share of the picture: what evidence placed at random would reach",
        "",
        _NEEDS_MASK,
    ),
    "pointing_game_lift": Word(
        "Evidence on the person, above chance",
        "strongest point minus chance level; 0 = no better than random places",
        "higher",
        _NEEDS_EVIDENCE,
    ),
    "relevance_mass": Word(
        "Evidence mass on the person",
        "share of all positive evidence that lies on the person",
        "higher",
        _NEEDS_EVIDENCE,
    ),
    "relevance_mass_lift": Word(
        "Evidence mass on the person, above chance",
        "mass minus chance level; 0 = no better than random places",
        "higher",
        _NEEDS_EVIDENCE,
    ),
    "person_accuracy": Word(
        "Accuracy with only the person visible",
        "should hold: all that is needed is in view",
        "higher",
        _NEEDS_MASK,
    ),
    "hidden_accuracy": Word(
        "Accuracy with the person hidden",
        "should fall to the share of the largest group: what is right beyond it is guessed "
        "from the context",
        "lower",
        _NEEDS_MASK,
    ),
    "hidden_probability_gap": Word(
        "Probability gap with the person hidden",
        "how unequal the groups’ probabilities are when nobody is visible; 0 = equal, unsure",
        "lower",
        _NEEDS_MASK,
    ),
    "accuracy_context_agrees": Word(
        "Accuracy where the context agrees",
        "{task} are typical, in training, of the person’s group",
        "higher",
        _NEEDS_TYPICAL,
    ),
    "accuracy_context_disagrees": Word(
        "Accuracy where the context disagrees",
        "{task} are typical, in training, of another group",
        "higher",
        _NEEDS_TYPICAL,
    ),
    "context_gap": Word(
        "Agrees minus disagrees",
        "what is lost when the context points to another group; 0 = the context does not matter",
        "zero",
        _NEEDS_TYPICAL,
    ),
    "bias_amplification_mals": Word(
        "Amplification, undirected (MALS)",
        "how much further predictions lean to each label’s majority group than training did; "
        "above 0 amplifies",
        "zero",
        _NEEDS_COUNTS,
    ),
    "directional A->T": Word(
        "Amplification, {attribute} → {task} (A→T)",
        "dependence of predicted {task} on {attribute} less that of the true; above 0 amplifies",
        "zero",
        _NEEDS_COUNTS,
    ),
    "directional T->A": Word(
        "Amplification, {task} → {attribute} (T→A)",
        "dependence of predicted {attribute} on {task} less that of the true; above 0 amplifies",
        "zero",
        _NEEDS_COUNTS,
    ),
    "directional T->A, evidence inside": Word(
        "Amplification T→A, evidence on the person",
        "amplification of the pictures whose strongest evidence lies on the person",
        "zero",
        _NEEDS_BOTH,
    ),
    "directional T->A, evidence outside": Word(
        "Amplification T→A, evidence elsewhere",
        "amplification of the pictures whose strongest evidence lies outside the person",
        "zero",
        _NEEDS_BOTH,
    ),
    "directional T->A, outside minus inside": Word(
        "Amplification T→A, elsewhere minus on the person",
        "above 0, pictures with their evidence outside the person amplify more",
        "",
        _NEEDS_BOTH,
    ),
    "pointing_game_gap": Word(
        "Evidence on the person, gap between groups",
        "group with the most such pictures minus the one with the fewest; 0 = alike",
        "lower",
        _NEEDS_GROUPS,
    ),
    "pointing_game_lift_gap": Word(
        "Evidence above chance, gap between groups",
        "the same above chance, as persons of one group may be shown larger",
        "lower",
        _NEEDS_GROUPS,
    ),
    "relevance_mass_gap": Word(
        "Evidence mass, gap between groups",
        "largest minus smallest mean share of evidence on the person; 0 = alike",
        "lower",
        _NEEDS_GROUPS,
    ),
    "relevance_mass_lift_gap": Word(
        "Evidence mass above chance, gap between groups",
        "the same above chance",
        "lower",
        _NEEDS_GROUPS,
    ),
    "worst_group_accuracy": Word(
        "Accuracy of the worst served group, {subject}",
        "the group answered right least often; with many groups, chance lowers it",
        "higher",
        _NEEDS_GROUPS,
    ),
    "calibration_error": Word(
        "Calibration error, {subject}",
        "how far probabilities are from how often they are right; never below 0",
        "lower",
    ),
    "calibration_error_gap": Word(
        "Calibration error, gap between groups, {subject}",
        "largest minus smallest; small groups look worse calibrated than they are",
        "lower",
        _NEEDS_GROUPS,
    ),
    "demographic_parity_difference": Word(
        "Demographic parity difference",
        "how much more often a label is predicted for one group than for another, mean over "
        "labels; a model that is always right has the difference of the truth",
        "",
        _NEEDS_GROUPS,
    ),
    "demographic_parity_ratio": Word(
        "Demographic parity ratio",
        "the same as the smallest share divided by the largest; 100% = alike",
        "",
        _NEEDS_GROUPS,
    ),
    "equalized_odds_difference": Word(
        "Equalized odds difference",
        "largest gap between groups in true or in false positive rates, mean over labels; 0 = "
        "errors do not depend on the group",
        "lower",
        _NEEDS_GROUPS,
    ),
    "equalized_odds_ratio": Word(
        "Equalized odds ratio",
        "the same as the smallest ratio of rates; 100% = alike, 0% once a group has no error of "
        "a kind",
        "higher",
        "needs errors in some group",
    ),
    "multi-attribute MALS": Word(
        "Sets of labels, undirected",
        "as MALS over single labels and pairs, without letting signs cancel: chance alone makes "
        "it positive, so compare models only",
        "lower",
        _NEEDS_COUNTS,
    ),
    "multi-attribute A->T": Word(
        "Sets of labels, {attribute} → labels",
        "as A→T over single labels and pairs; compare models only",
        "lower",
        _NEEDS_COUNTS,
    ),
    "multi-attribute T->A": Word(
        "Sets of labels, labels → {attribute}",
        "as T→A over single labels and pairs; compare models only",
        "lower",
        _NEEDS_COUNTS,
    ),
    "model_leakage": Word(
        "Leakage of predictions",
        "how often an attacker names the group from the predicted {task}",
        "",
        _NEEDS_GROUPS,
    ),
    "perturbed_leakage": Word(
        "Leakage of the truth",
        "the same from true {task} with as many errors as the model makes, at random",
        "",
        _NEEDS_GROUPS,
    ),
    "cifar10s_bias": Word(
        "The same pictures in every {attribute}",
        "of a predicted {task}, the largest share that falls to one {attribute}, less an equal "
        "share; mean over {task}; 0 = {attribute} makes no difference",
        "lower",
        "needs every picture in every {attribute}",
    ),
    "leakage_amplification": Word(
        "Leakage amplification",
        "predictions minus truth; above 0, predictions give the group away more",
        "zero",
        _NEEDS_GROUPS,
    ),
    "predictability A->T": Word(
        "Predictability, {attribute} → {task}",
        "above 0, predicted {task} can be guessed from {attribute} better than errors at random "
        "leave them",
        "zero",
        _NEEDS_COUNTS,
    ),
    "predictability T->A": Word(
        "Predictability, {task} → {attribute}",
        "above 0, predicted {attribute} can be guessed from {task} better than errors at random "
        "leave it",
        "zero",
        _NEEDS_COUNTS,
    ),
    "error_gap": Word(
        "Error gap",
        "error of the group that fares worst minus that of the best",
        "lower",
        _NEEDS_GROUPS,
    ),
    "accuracy_when_named": Word(
        "Right when named",
        "share right of the captions that name one group",
        "higher",
        _NEEDS_NAMED,
    ),
    "ratio": Word(
        "Ratio",
        "captions that name the first group, for each that names the second",
        "",
        _NEEDS_NAMED,
    ),
    "ratio_difference": Word(
        "Δ ratio", "the same ratio of the annotations, minus this one", "zero", _NEEDS_NAMED
    ),
    "outcome_divergence": Word(
        "Outcome divergence",
        "how far the groups’ shares of right, wrong and other are apart; never quite 0",
        "lower",
        _NEEDS_GROUPS,
    ),
    "lic_model": Word("LIC_M", "how well all other words tell {attribute}", "lower", _NEEDS_GROUPS),
    "lic_human": Word("LIC_D", "the same of captions that people wrote", "", _NEEDS_GROUPS),
    "lic": Word("LIC", "LIC_M − LIC_D; above 0 tells more than people do", "lower", _NEEDS_GROUPS),
}

ATTRIBUTE_ROWS = {
    "How often it is right": ("accuracy", "accuracy_gap"),
    "Where the evidence lies": (
        "pointing_game",
        "chance_level",
        "pointing_game_lift",
        "pointing_game_gap",
        "relevance_mass",
        "relevance_mass_lift",
    ),
    "What it says without the person, and with nothing else": (
        "hidden_accuracy",
        "hidden_probability_gap",
        "person_accuracy",
    ),
}
CONTEXT_ROWS = ("accuracy_context_agrees", "accuracy_context_disagrees", "context_gap")
DIRECTIONS = ("directional A->T", "directional T->A")
AMPLIFICATION_ROWS = (*DIRECTIONS, "bias_amplification_mals")
SETS = ("multi-attribute T->A", "multi-attribute A->T", "multi-attribute MALS")
VERSION_ROWS = ("cifar10s_bias",)
SPLIT_ROWS = (
    "directional T->A, evidence inside",
    "directional T->A, evidence outside",
    "directional T->A, outside minus inside",
)
TASK_ROWS = ("accuracy", "coverage", "average_precision", "calibration_error")

MORE_ATTRIBUTE_ROWS = {
    "How well its probabilities and its worst group fare": (
        "worst_group_accuracy",
        "coverage",
        "coverage_gap",
        "calibration_error",
        "calibration_error_gap",
    ),
    "How far evidence differs between groups": (
        "pointing_game_lift_gap",
        "relevance_mass_gap",
        "relevance_mass_lift_gap",
    ),
    "All tasks together": SETS,
}
MORE_TASK_ROWS = (
    "worst_group_accuracy",
    "coverage_gap",
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "equalized_odds_difference",
    "equalized_odds_ratio",
    "calibration_error_gap",
    *SETS,
    "leakage_amplification",
    "model_leakage",
    "perturbed_leakage",
    "predictability T->A",
    "predictability A->T",
)

REASONS = (
    "right for the right reasons",
    "right for the wrong reasons",
    "wrong, evidence on the person",
    "wrong, evidence elsewhere",
)
GALLERY_CELLS = ("wrong", "right for the wrong reasons", "right for the right reasons")


def word(metric: str, attribute: str = "", task: str = "") -> Word:
    """Return the words for a metric with the names filled in; unknown metrics keep their name.

    >>> word("directional T->A", "gender", "objects").name
    'Amplification, objects → gender (T→A)'
    """
    known = WORDS.get(metric)
    if known is None:
        return Word(metric, "")
    names = {"attribute": attribute, "task": task, "subject": task or attribute}
    return known._replace(name=known.name.format(**names), meaning=known.meaning.format(**names))


def written(value: float, unit: str = "fraction", *, tick: bool = False) -> str:
    """Write a figure: fractions as percentages, differences with their sign, NaN as a dash.

    Parameters
    ----------
    value : the figure
    unit : `fraction`, `probability` or `difference`, as in the metrics table
    tick : without trailing zeros, as beside an axis

    >>> written(0.8731), written(-0.0312, "difference"), written(0.25, "probability")
    ('87.3%', '−0.031', '0.25')
    >>> written(float("nan")), written(0.25, tick=True), written(-0.0001, "difference")
    ('–', '25%', '0.000')
    """
    if math.isnan(value):
        return "–"
    scale, digits, after = (100, 1, "%") if unit == "fraction" else (1, 3, "")
    digits = 2 if unit == "probability" else digits
    text = f"{round(abs(value) * scale, 6):g}" if tick else f"{abs(value) * scale:.{digits}f}"
    sign = "" if not float(text) else "−" if value < 0 else "+" if unit == "difference" else ""
    return f"{sign}{text}{after}"


def change(metric: str, first: float, other: float, low: float, high: float) -> str:
    """Say what a difference between two models shows, given its interval.

    Parameters
    ----------
    metric : name of the metric
    first, other : the two models' values
    low, high : interval of `other - first`

    Returns
    -------
    `not shown` where the interval includes zero, is undefined or has no width; else `better` or
    `worse`, or `closer to 0` and `further from 0`, or `differs` where neither way is better.

    >>> change("accuracy", 0.8, 0.9, 0.05, 0.15), change("accuracy", 0.8, 0.9, -0.05, 0.25)
    ('better', 'not shown')
    """
    if not (low > 0 or high < 0) or low == high:
        return "not shown"
    better = WORDS[metric].better if metric in WORDS else ""
    if better == "zero":
        return "closer to 0" if abs(other) < abs(first) else "further from 0"
    if not better:
        return "differs"
    return "better" if (low > 0) == (better == "higher") else "worse"


def plain(text: str) -> str:
    r"""Return text without characters that control the terminal or the writing direction.

    >>> plain("left\u202eright\x07")
    'left right '
    """
    return _CONTROLS.sub(" ", text)


def short(name: str, length: int = 40) -> str:
    """Cut a name to `length` characters on one line, for places without room.

    >>> short("a very long name", 8)
    'a very …'
    """
    text = " ".join(plain(name).split())
    return text if len(text) <= length else text[: length - 1] + "…"

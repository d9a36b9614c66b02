"""Scores that change after the network has spoken: a threshold per perceived group.

A training whose method learns such a rule (`methods.threshold_optimizer`) leaves it in the run
folder as `postprocessing.json`; the audit applies it to the scores of tasks. Numbers only: the rule
is fairlearn's, and neither fairlearn nor anything that could be executed is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairvision.core import shapes
from fairvision.core.checksums import draw
from fairvision.core.files import write_json
from fairvision.core.moved import former_attributes
from fairvision.datasets import Dataset
from fairvision.errors import InputError, shown
from fairvision.runs import folder as runs

FILE = "postprocessing.json"
ALWAYS, NEVER = -1.0, 2.0  # thresholds that every probability is above, and none is
PLAIN = 0.5
_YES = np.nextafter(PLAIN, 1)


@dataclass(frozen=True)
class Interpolation:
    """How a group's scores become yes or no: a mixture of two thresholds, named as by fairlearn.

    With probability `p_ignore` the score is ignored, and the answer is yes with probability
    `prediction_constant`. Else yes is what lies above `threshold0`, with probability `p0`, or above
    `threshold1`, with probability `p1`.
    """

    p0: float
    threshold0: float
    p1: float
    threshold1: float
    p_ignore: float = 0.0
    prediction_constant: float = 0.0

    def __post_init__(self) -> None:
        shares = (self.p0, self.p1, self.p_ignore, self.prediction_constant)
        places = (self.threshold0, self.threshold1)
        if not (all(0 <= p <= 1 for p in shares) and all(ALWAYS <= t <= NEVER for t in places)):
            raise ValueError("not probabilities and thresholds")

    def threshold(self, draws: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Return the threshold that holds for each draw, (n,) numbers in [0, 1].

        Yes is said where the probability of yes is at least the draw, as `ThresholdOptimizer.
        predict` does it. That probability grows with the score, so a draw stands for a threshold.

        Examples
        --------
        >>> Interpolation(p0=0.25, threshold0=0.4, p1=0.75, threshold1=0.8).threshold(
        ...     np.array([0.1, 0.2, 0.3, 0.9]))
        array([0.4, 0.4, 0.8, 0.8])
        """
        (low, p_low), (high, _) = sorted(
            [(self.threshold0, self.p0), (self.threshold1, self.p1)], key=lambda pair: pair[0]
        )
        least = self.p_ignore * self.prediction_constant
        minds = 1 - self.p_ignore
        return np.select(
            [draws <= least, draws <= least + minds * p_low, draws <= least + minds],
            [ALWAYS, low, high],
            NEVER,
        )


_SHARES = ("p0", "p1", "p_ignore", "prediction_constant")
_INTERPOLATION = shapes.only(
    {
        **dict.fromkeys(_SHARES, shapes.number(0, 1)),
        **dict.fromkeys(("threshold0", "threshold1"), shapes.number(ALWAYS, NEVER)),
    }
)
_SHAPE = shapes.table(
    {
        "attribute": shapes.text,
        "tasks": shapes.named(shapes.named(shapes.named(_INTERPOLATION))),
        "known": shapes.whole(),
        "pictures": shapes.whole(),
    }
)


@dataclass(frozen=True)
class Rule:
    """What is done with the scores of tasks.

    Attributes
    ----------
    attribute : whose perceived groups have thresholds of their own
    tasks : by task, label and group. Of a task with one label of two only the second label has
        thresholds. A label or group that has none keeps its scores.
    with_group, images : how many images of the validation split have a group, of how many
    """

    attribute: str
    tasks: Mapping[str, Mapping[str, Mapping[str, Interpolation]]]
    with_group: int
    images: int

    __getattr__ = former_attributes({"known": "with_group", "pictures": "images"})

    def applied(self, scores: pd.DataFrame, truth: Dataset, seed: int) -> pd.DataFrame:
        """Return a samples table's scores with those of tasks changed by the images' groups.

        Parameters
        ----------
        scores : n rows, with columns `score/<task>/<label>`
        truth : the n images
        seed : of the draws where thresholds are mixed; they depend on nothing else but the
            image's id, the task and the label

        Returns
        -------
        The same columns. Scores of tasks stay in [0, 1], their sum 1 where one label holds; above
        .5 where the rule says yes. Images of an unknown group are as they were.
        """
        if self.attribute not in truth.attributes:
            return scores
        changed = scores.copy()
        for name, rules in self.tasks.items():
            task = truth.tasks.get(name)
            columns = [f"score/{name}/{label}" for label in task.labels] if task else []
            if task is None or not set(columns) <= set(scores):
                continue
            thresholds = np.full((len(truth), len(columns)), PLAIN)
            for place, label in enumerate(task.labels):
                self._set(thresholds[:, place], truth, seed, name, label)
            values = recentred(scores[columns].to_numpy(np.float64), thresholds)
            if not task.many:
                moved = (thresholds != PLAIN).any(axis=1)
                values[moved] = _summing_to_one(values[moved], [k in rules for k in task.labels])
            changed[columns] = values
        return changed

    def note(self, truth: Dataset) -> str:
        """Return in a line what is done with these images' scores, and with how many not."""
        if self.attribute not in truth.attributes:
            return (
                f"the data has no {self.attribute!r}, by whose groups the scores are to be "
                "post-processed: they are as the network gives them"
            )
        rule = (
            f"scores of {', '.join(self.tasks)} are post-processed by the annotated "
            f"{self.attribute} of each picture"
        )
        unknown = int((truth.codes(self.attribute) < 0).sum())
        if not unknown:
            return rule
        return f"{rule}; {unknown} of {len(truth)} have no known one, and keep their scores"

    def _set(
        self, thresholds: npt.NDArray[np.floating], truth: Dataset, seed: int, task: str, label: str
    ) -> None:
        """Fill in the thresholds (n,) of a label."""
        groups, ids = truth.samples[self.attribute], truth.samples["id"]
        for group, interpolation in self.tasks[task].get(label, {}).items():
            rows = np.flatnonzero(groups == group)
            draws = np.array([draw(seed, ids.iloc[row], task, label) for row in rows])
            thresholds[rows] = interpolation.threshold(draws)


def recentred(
    scores: npt.NDArray[np.floating], thresholds: npt.NDArray[np.floating]
) -> npt.NDArray[np.floating]:
    """Return the scores with each one's threshold moved to .5, linear on either side of it.

    Parameters
    ----------
    scores : in [0, 1]; NaN stays NaN
    thresholds : of the same shape, or one that fits it

    Returns
    -------
    in [0, 1]: above .5 exactly where the score is above its threshold, and in the same order as
    the scores that have the same threshold. With a threshold of .5 they are as they were.

    Examples
    --------
    >>> recentred(np.array([0.0, 0.1, 0.2, 0.6, 1.0]), np.array(0.2))
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    >>> recentred(np.array([0.1, 0.9]), np.array([ALWAYS, NEVER]))
    array([0.55, 0.45])
    """
    inside = thresholds.clip(0, 1)
    below = PLAIN * scores / np.where(inside > 0, inside, 1)
    above = PLAIN + PLAIN * (scores - inside) / np.where(inside < 1, 1 - inside, 1)
    above, below = np.maximum(above, _YES), np.minimum(below, PLAIN)
    return np.asarray(np.where(scores > thresholds, above, below))


def _summing_to_one(
    values: npt.NDArray[np.floating], ruled: Sequence[bool]
) -> npt.NDArray[np.floating]:
    """Return (n, labels) values as probabilities; of two labels the other is what is left."""
    if len(ruled) > 2 or all(ruled):
        return np.asarray(values / values.sum(axis=1, keepdims=True))
    return np.where(ruled, values, 1 - values[:, ::-1])


def write(folder: Path, rule: Rule) -> None:
    """Write a rule into a run folder."""
    content = asdict(rule)
    counts = {"known": content.pop("with_group"), "pictures": content.pop("images")}
    write_json(folder / FILE, content | counts)


def read(run: runs.Run) -> Rule | None:
    """Return the rule of a run; None where its scores are those of the network.

    Raises
    ------
    InputError
        If it ought to have one and the file is missing or damaged.
    """
    attribute = run.config.get("postprocessing")
    if attribute is None:
        return None
    path = run.folder / FILE
    if not path.is_file():
        raise InputError(f"run {run.folder} lacks its {FILE}: train it again with --overwrite")
    runs.check_unchanged(run, path)
    content = shapes.read(path, _SHAPE, runs.AGAIN)
    if content["attribute"] != attribute:
        raise InputError(
            f"{path} is damaged: it is about {shown(content['attribute'])}, and config.json about "
            f"{shown(attribute)}: {runs.AGAIN}"
        )
    tasks = {
        task: {
            label: {group: Interpolation(**numbers) for group, numbers in groups.items()}
            for label, groups in labels.items()
        }
        for task, labels in content["tasks"].items()
    }
    return Rule(attribute, tasks, content["known"], content["pictures"])


def without_groups(run: runs.Run) -> str:
    """Return in words what is missing where no group of an image is known; "" if nothing is."""
    attribute = run.config.get("postprocessing")
    if attribute is None:
        return ""
    return (
        f"run {run.folder} has thresholds per {attribute}, which is not known of these pictures: "
        "scores are as the network gives them"
    )

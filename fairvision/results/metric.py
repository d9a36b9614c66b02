"""What is said of a metric: its name, its unit, its words, and where it stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from fairvision.metrics import Result, Sampling
from fairvision.results.sections import Scope, Section

Unit = Literal["fraction", "difference", "probability", "number", "ratio", "divergence", "score"]
Better = Literal["higher", "lower", "zero", ""]
Rows = Literal["whole and pairs", "whole", "pairs"]
Names = Any
"""(n,) categorical; or (n, labels) 0 and 1, -1 where unknown, if many labels may hold; or None."""


class Place(NamedTuple):
    """That a metric stands in a section; of equal rank, what was registered first comes first."""

    section: Section
    rank: int = 0


@dataclass(frozen=True)
class LeaderboardEntry:
    """That a metric stands on the leaderboard of a sweep.

    Attributes
    ----------
    part : the heading it stands under
    scopes : what it is about: a column for each attribute, task, or pair of both
    rank : of equal rank, what was registered first comes first
    label : the label of its rows in the metrics table
    title, meaning, undefined : in place of the metric's own, where not empty
    only_where_defined : it is there only where some method has a figure
    """

    part: str
    scopes: tuple[Scope, ...] = ("attribute",)
    rank: int = 0
    label: str = ""
    title: str = ""
    meaning: str = ""
    undefined: str = ""
    only_where_defined: bool = False


@dataclass(frozen=True)
class Expectation:
    """What a check expects of a figure.

    Attributes
    ----------
    sign : "zero" (the interval includes 0, or the value is off by no more than the margin), "above"
        or "below" (the interval lies above or below 0)
    margin : of "zero"
    """

    sign: Literal["zero", "above", "below"]
    margin: float = 0.0


class MetricInputs(Protocol):
    """What a metric is computed from: one model's predictions beside the truth.

    Groups and labels are (n,) categorical; of a task where many labels may hold, labels are
    (n, labels) 0 and 1, -1 where unknown. They are None where the samples, the scope of the metric,
    or the model do not have them.
    """

    @property
    def in_training(self) -> bool:
        """Whether the training split has the attribute, and the task if there is one."""

    @property
    def groups(self) -> Names:
        """True groups of the attribute."""

    @property
    def predicted_groups(self) -> Names:
        """Predicted groups of the attribute."""

    @property
    def labels(self) -> Names:
        """True labels of the task."""

    @property
    def predicted_labels(self) -> Names:
        """Predicted labels of the task."""

    @property
    def training_groups(self) -> Names:
        """Groups of the training split."""

    @property
    def training_labels(self) -> Names:
        """Labels of the training split."""

    @property
    def training_counts(self) -> npt.NDArray[np.int64] | None:
        """How many images each row of the training split stands for; None for one each."""

    @property
    def sampling(self) -> Sampling:
        """The keywords of `fairvision.metrics.Sampling`, which every measure takes."""


Compute = Callable[[MetricInputs], Result | None]


class Words(NamedTuple):
    """The words of a metric with the names of attribute and task filled in."""

    title: str
    meaning: str
    better: Better = ""
    undefined: str = ""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric of the metrics table.

    In the texts, `{attribute}` and `{task}` stand for names, and `{subject}` for the task, or the
    attribute where there is none.

    Attributes
    ----------
    name : in `metrics.csv`
    unit : of its figures; differences between models are always a "difference"
    better : which way is better: "higher", "lower", "zero", or "" where neither is
    title : what pages call it
    meaning : what it says, for somebody who has not seen it before
    undefined : why it may be undefined
    task_title, task_meaning : of figures about a task alone, where they are not the same
    keys : which keys its rows fill, for the documentation
    definition : for the documentation, where `meaning` is not precise enough
    noun : what sentences call it, where it is not the title
    rows : whether the table holds the figure, those of its pairs of group and label, or both
    places : sections in which it stands
    leaderboard : where it stands on the leaderboard of a sweep, or None
    expected : what a sanity check expects of it, or None
    scope : what `compute` is called for: each attribute, each task, or each pair of both
    compute : computes it from a model's predictions, or None where an audit does so together
        with others; None is returned where the inputs do not allow it
    """

    name: str
    unit: Unit
    better: Better = ""
    title: str
    meaning: str
    undefined: str = "cannot be computed from these pictures"
    task_title: str = ""
    task_meaning: str = ""
    keys: str
    definition: str = ""
    noun: str = ""
    rows: Rows = "whole and pairs"
    places: tuple[Place, ...] = ()
    leaderboard: LeaderboardEntry | None = None
    expected: Expectation | None = None
    scope: Scope = "attribute and task"
    compute: Compute | None = None

    def words(self, attribute: str = "", task: str = "") -> Words:
        """Return the words with the names of attribute and task filled in."""
        names = {"attribute": attribute, "task": task, "subject": task or attribute}
        title, meaning = self.title, self.meaning
        if task and not attribute:
            title, meaning = self.task_title or title, self.task_meaning or meaning
        return Words(
            title.format(**names),
            meaning.format(**names),
            self.better,
            self.undefined.format(**names),
        )

    def phrase(self, attribute: str = "", task: str = "") -> str:
        """Return what a sentence calls it."""
        names = {"attribute": attribute, "task": task, "subject": task or attribute}
        return (self.noun or self.title).format(**names)

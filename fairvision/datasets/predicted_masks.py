"""Masks that a network made: which, how well they agree with masks drawn by hand, what to say."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fairvision.errors import InputError, shown

IOU, IOU_GAP, RECALL = "iou", "iou_gap", "recall"
_MOST = 6  # groups in a line


@dataclass(frozen=True)
class Agreement:
    """How well predicted masks agree with masks drawn by hand.

    Attributes
    ----------
    metric : "iou", the mean over images of the intersection over the union of both masks;
        "iou_gap", the largest minus the smallest group; or "recall", the mean share of the pixels
        of people that predicted masks cover
    attribute, group : of which images; empty for all
    value, low, high : in [0, 1] (the interval of a gap may go below 0); NaN where undefined
    n : images
    """

    metric: str
    attribute: str
    group: str
    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """Return the figure with its interval.

        >>> str(Agreement("iou", "", "", 0.7561, 0.748, 0.7639, 1500))
        '0.756 [0.748, 0.764]'
        """
        if math.isnan(self.low) or math.isnan(self.high):
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class PredictedMasks:
    """That masks of a dataset are predicted, and by what.

    Attributes
    ----------
    models : what predicted them; the mean of several
    threshold : from which probability on a pixel is of the person
    agreement : with masks drawn by hand; empty where that was not checked
    """

    models: tuple[str, ...]
    threshold: float
    agreement: tuple[Agreement, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the form in which `dataset.json` and the tables of an audit hold it."""
        rows = [
            {k: None if v != v else v for k, v in asdict(row).items()} for row in self.agreement
        ]
        return {"predicted_by": list(self.models), "threshold": self.threshold, "agreement": rows}

    def gap(self, attribute: str) -> Agreement | None:
        """Return the difference of agreement between groups, if it is defined.

        Where only the IoU of each group is stated it is the largest minus the smallest.

        >>> by_group = [Agreement("iou", "gender", group, iou, iou, iou, 90)
        ...             for group, iou in (("female", 0.73), ("male", 0.78))]
        >>> str(PredictedMasks(("mine",), 0.5, tuple(by_group)).gap("gender"))
        '0.050'
        """
        rows = [row for row in self._rows(IOU_GAP, attribute) if not math.isnan(row.value)]
        if rows:
            return rows[0]
        groups = [row for row in self._rows(IOU, attribute) if not math.isnan(row.value)]
        if not attribute or len(groups) < 2:
            return None
        values, n = [row.value for row in groups], sum(row.n for row in groups)
        apart = max(values) - min(values)
        return Agreement(IOU_GAP, attribute, "", apart, math.nan, math.nan, n)

    def lines(self) -> Iterator[str]:
        """Yield what to know of figures that rest on them."""
        yield (
            f"masks are predicted by {', '.join(self.models)} (threshold {self.threshold:g}), not "
            "drawn by hand: all figures of evidence on the person, and with the person hidden, "
            "alone or in other surroundings, rest on them"
        )
        if not self.agreement:
            yield "predicted masks were not compared with masks drawn by hand (--check)"
        recall = [f", recall {row}" for row in self._rows(RECALL)]
        for row in self._rows(IOU):
            compared = f"predicted masks, compared with {row.n} drawn by hand"
            yield f"{compared}: mean IoU {row}{''.join(recall)}"
        for row in self.agreement:
            if row.metric == IOU_GAP:
                groups = self._rows(IOU, row.attribute)
                named = [f"{r.group} {r} (n = {r.n})" for r in groups]
                more = f" and {len(named) - _MOST} more" if len(named) > _MOST else ""
                gap = "" if math.isnan(row.value) else f"; gap {row}"
                yield f"IoU of the masks by {row.attribute}: {', '.join(named[:_MOST])}{more}{gap}"

    def _rows(self, metric: str, attribute: str = "") -> list[Agreement]:
        """Return the rows of a metric, of all images or of the groups of an attribute."""
        return [r for r in self.agreement if (r.metric, r.attribute) == (metric, attribute)]


def parse_predicted(path: Path, settings: Any) -> PredictedMasks | None:
    """Return what a `dataset.json`, or the note in a table, says of its masks; None if nothing.

    >>> parse_predicted(Path("dataset.json"), {"masks": {"predicted_by": "x"}})
    Traceback (most recent call last):
    fairvision.errors.InputError: dataset.json: masks must name what predicted them, a list in ...
    """
    value = settings.get("masks") if isinstance(settings, Mapping) else None
    if value is None:
        return None
    try:
        models, threshold = value["predicted_by"], value["threshold"]
        if not isinstance(models, list) or not models or isinstance(threshold, bool):
            raise TypeError
        agreement = tuple(
            Agreement(
                metric=str(row["metric"]),
                attribute=str(row["attribute"]),
                group=str(row["group"]),
                **{k: math.nan if row[k] is None else float(row[k]) for k in _NUMBERS},
                n=int(row["n"]),
            )
            for row in value.get("agreement", ())
        )
        numbers = [number for row in agreement for number in (row.value, row.low, row.high)]
        if any(map(math.isinf, numbers)) or not 0 < threshold < 1:
            raise ValueError
        return PredictedMasks(tuple(map(str, models)), float(threshold), agreement)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        raise InputError(
            f"{path}: masks must name what predicted them, a list in predicted_by, the threshold, "
            f"and rows of agreement, as fairvision data masks writes it, not {shown(value)}"
        ) from None


_NUMBERS = ("value", "low", "high")

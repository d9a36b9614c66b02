"""Scores of more images than memory holds: counted on a grid, with bounds of what that costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, Unpack

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fairvision.core.arrow_streams import is_stream, read_stream
from fairvision.errors import InputError, shown
from fairvision.metrics._engine.arrays import Array, Floats, Ints, ratio
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.inputs import as_column, read_groups
from fairvision.metrics._engine.result import Result
from fairvision.metrics._engine.rows import read_counts
from fairvision.metrics.calibration import calibration_error
from fairvision.metrics.contrasts import mean_by_group
from fairvision.metrics.retrieval import average_precision
from fairvision.metrics.roc import abroca, roc_auc
from fairvision.metrics.scores import check_probabilities, read_scored
from fairvision.schema import UNKNOWN

_GRID = 7200  # divided by all usual numbers of bins
_HIGH, _LOW = 26, 27  # bits of a score that are added up apart, so that sums stay whole numbers
_MOST = 1 << 36  # images, of which these sums fit into 64 bits
_ROUNDING = 1e-12
_COUNTED, _HIGHER, _LOWER = range(3)  # what is held of each cell: images, and both parts of sums

_COLUMNS = ("group", "truth", "cell", "images", "higher", "lower")

Ranked = Callable[[Array, Array], tuple[float, float]]


@dataclass(frozen=True, eq=False, repr=False)
class BoundedResult(Result):
    """A `Result` of scores on a grid, with the bounds between which the exact figure lies.

    Attributes
    ----------
    lowest, highest : float
        The smallest and the largest figure that scores have which fall on the grid as these do.
        They are no interval: they hold for the images counted, whatever was not. `pairs` has
        columns of the same names, where there are groups.
    """

    lowest: float = np.nan
    highest: float = np.nan


class ScoreCounts:
    """Scores beside the truth, counted on a grid of [0, 1]: for any number of images.

    Of every cell of the grid, group and truth it holds the number of images, and the sum of their
    scores, each rounded to a multiple of 2⁻⁵³, in whole numbers. So batches may come in any order
    and from any machines: sums are the same to the last bit. Calibration errors and mean scores are
    those of the rows; rankings know the order of scores in different cells only, and say between
    which bounds the exact figure lies.

    Parameters
    ----------
    grid : int
        Number of cells, ((m − 1) / grid, m / grid], the first with 0. Memory is 48 bytes per cell
        and group. More cells make bounds closer, where scores are not all near 0 and 1.

    Examples
    --------
    >>> from fairvision import metrics
    >>> scores = metrics.ScoreCounts(grid=100)
    >>> scores.update([1, 0, 1], [0.9, 0.3, 0.7])
    >>> scores.update([0, 0], [0.701, 0.2])
    >>> area = scores.roc_auc(replicates=0)
    >>> round(float(area), 3), round(area.lowest, 3), round(area.highest, 3), area.n
    (0.833, 0.833, 0.833, 5)

    What another process counted is added:

    >>> other = metrics.ScoreCounts(grid=100)
    >>> other.update([1], [0.705])
    >>> scores.merge(other)
    >>> area = scores.roc_auc(replicates=0)
    >>> round(area.lowest, 3), round(area.highest, 3)  # is 0.705 above 0.701, or is it below?
    (0.778, 0.889)
    """

    def __init__(self, grid: int = _GRID) -> None:
        if not isinstance(grid, (int, np.integer)) or isinstance(grid, bool) or grid < 1:
            raise InputError(f"grid must be a whole number, 1 or more, not {shown(grid)}")
        self.grid = int(grid)
        self._held: dict[Any, Ints] = {}  # by group: (truth, what is held, grid) int64
        self._declared: list[Any] = []  # groups in the order of categories, which come first
        self._grouped: bool | None = None

    def __copy__(self) -> ScoreCounts:
        copied = ScoreCounts(self.grid)
        copied.merge(self)
        return copied

    @property
    def total(self) -> int:
        """Number of images counted, of which truth and score are known."""
        return int(sum(held[:, _COUNTED].sum() for held in self._held.values()))

    def update(
        self,
        truth: Any,
        scores: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        counts: ArrayLike | None = None,
    ) -> None:
        """Count the images of a batch, or those of a whole table that another library holds.

        Parameters
        ----------
        truth : (n,) of 0 and 1, or a table
            NaN, None or -1: unknown, not counted. A table is anything with `__arrow_c_stream__`
            that has columns called as these arguments; nothing else is given then. Where it fails
            on the way, nothing of it is counted.
        scores : (n,) probabilities
            NaN: unknown, not counted.
        groups : (n,) names or codes, optional
            In every batch or in none. None, NaN, -1 or "unknown": the group is not known. Those of
            a Categorical keep their order, and have figures without images, too; of names that read
            alike it warns in other columns, not of categories.
        counts : (n,) whole numbers, optional
            How many images each row stands for.

        Raises
        ------
        InputError
            Scores are not between 0 and 1, truth is not of 0 and 1, groups are there in one batch
            and not in another, or there are more than 2³⁶ images.
        """
        if scores is None:
            self._update_from(truth)
            return
        read = read_scored("truth", as_column("truth", truth), as_column("scores", scores))
        if len(read.names) > 1:
            raise InputError("scores must be one column: count each label by itself")
        check_probabilities(read.scores)
        names, declared, code = _codes_of(groups, len(read.valid))
        times: Ints = np.ones(len(code), np.int64)
        if counts is not None:
            times = read_counts(as_column("counts", counts))
        if len(times) != len(code) or int(times.sum()) + self.total > _MOST:
            raise InputError(f"counts must be {len(code)} numbers, of at most 2**36 images in all")
        (row,) = np.nonzero(read.valid)
        score, right, times = read.scores[row, 0], read.held[row, 0].astype(int), times[row]
        high = np.floor(score * 2.0**_HIGH)
        low = np.rint((score * 2.0**_HIGH - high) * 2.0**_LOW)
        place = np.searchsorted(self._edges, score, side="left")
        held = np.zeros((len(names), 2, 3, self.grid), np.int64)
        for part, values in enumerate((1, high.astype(np.int64), low.astype(np.int64))):
            np.add.at(held[:, :, part], (code[row], right, place), times * values)
        self._add(dict(zip(names, held)), groups is not None, declared)

    def merge(self, other: ScoreCounts) -> None:
        """Add what another has counted on the same grid; of groups both, or neither."""
        if not isinstance(other, ScoreCounts) or other.grid != self.grid:
            raise InputError(f"only ScoreCounts of the same grid can be added ({self.grid})")
        if other._grouped is not None:
            self._add(other._held, other._grouped, other._declared)

    def rows(self) -> dict[str, Any]:
        """Return columns `truth`, `scores`, `groups` and `counts`: a row per cell that has images.

        The score is the mean of these images. Any measure takes the columns; groups are categories.
        """
        columns: dict[str, list[Array]] = {"truth": [], "scores": [], "counts": [], "groups": []}
        lower = np.append(-np.inf, np.nextafter(self._edges, np.inf))
        upper = np.append(self._edges, np.inf)
        of_groups = self._of_groups()
        names = pd.Index([name for name, _ in of_groups], dtype=object)
        for place, (_, held) in enumerate(of_groups):
            for right, (images, high, low) in enumerate(held):
                (cell,) = np.nonzero(images)
                sums = high[cell] * 2.0**-_HIGH + low[cell] * 2.0 ** -(_HIGH + _LOW)
                columns["scores"].append(np.clip(sums / images[cell], lower[cell], upper[cell]))
                columns["truth"].append(np.full(len(cell), right))
                columns["counts"].append(images[cell])
                columns["groups"].append(np.full(len(cell), place))
        nothing = [np.zeros(0, int)]
        rows: dict[str, Any] = {name: np.concatenate(of or nothing) for name, of in columns.items()}
        groups = pd.Categorical.from_codes(rows["groups"], names)
        return {**rows, "groups": groups if self._grouped else None}

    def calibration_error(
        self,
        *,
        bins: int = 15,
        norm: Literal["l1", "l2", "max"] = "l1",
        **sampling: Unpack[Sampling],
    ) -> Result:
        """Return `metrics.calibration_error` of all images: exact, where bins divide the grid.

        Raises
        ------
        InputError
            The grid is no multiple of `bins`.
        """
        if isinstance(bins, bool) or not isinstance(bins, (int, np.integer)) or bins < 1:
            raise InputError(f"bins must be a whole number, 1 or more, not {shown(bins)}")
        if self.grid % bins:
            raise InputError(f"bins must divide the grid of {self.grid} cells, not {shown(bins)}")
        rows = self.rows()
        given = rows.pop("truth"), rows.pop("scores"), rows.pop("groups")
        return calibration_error(*given, bins=bins, norm=norm, **rows, **sampling)

    def mean_by_group(self, **sampling: Unpack[Sampling]) -> dict[Any, Result]:
        """Return the mean score of each group, exact: `metrics.gap` of it compares them."""
        rows = self.rows()
        if rows["groups"] is None:
            raise InputError("no groups were counted")
        how: Sampling = {"counts": rows["counts"], **sampling}
        return mean_by_group(rows["scores"], rows["groups"], **how)

    def roc_auc(self, **sampling: Unpack[Sampling]) -> BoundedResult:
        """Return `metrics.roc_auc`, as of the mean scores of cells, with its bounds."""
        return self._ranked(roc_auc, _area_bounds, sampling)

    def abroca(self, **sampling: Unpack[Sampling]) -> Result:
        """Return `metrics.abroca`, as of the mean scores of cells.

        The exact figure is as near as the bounds of both groups' areas are apart, taken together:
        curves are known where cells end.
        """
        rows = self.rows()
        return abroca(rows.pop("truth"), rows.pop("scores"), rows.pop("groups"), **rows, **sampling)

    def average_precision(self, **sampling: Unpack[Sampling]) -> BoundedResult:
        """Return `metrics.average_precision`, as of the mean scores of cells, with its bounds."""
        return self._ranked(average_precision, _precision_bounds, sampling)

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return all that is held as columns, a row per cell that has images, and notes.

        It is what `metrics.to_arrow` keeps.
        """
        parts = []
        for place, held in enumerate(self._held.values()):
            truth, cell = np.nonzero(held[:, _COUNTED])
            parts.append(
                np.stack([np.full(len(cell), place), truth, cell, *held[truth, :, cell].T])
            )
        table = np.concatenate(parts or [np.zeros((len(_COLUMNS), 0), np.int64)], axis=1)
        notes: dict[str, Any] = {"grid": self.grid, "grouped": self._grouped}
        notes |= {"groups": list(self._held), "declared": self._declared}
        return dict(zip(_COLUMNS, table)), notes

    @classmethod
    def of_state(cls, columns: Mapping[str, Array], notes: Mapping[str, Any]) -> ScoreCounts:
        """Return what `state` was made of; `InputError` where that cannot be."""
        counted = cls(notes["grid"])
        group, truth, cell, images, high, low = (columns[name] for name in _COLUMNS)
        names = notes["groups"]
        likely = (
            (images > 0) & (images <= _MOST) & (np.minimum(group, np.minimum(truth, cell)) >= 0)
        )
        for sums, bits in ((high, _HIGH), (low, _LOW)):  # scores may be off 0 and 1 by rounding
            likely &= (sums >= -images * 2**8) & (sums <= images * (2**bits + 2**8))
        if not likely.all() or images.sum(dtype=float) > _MOST or {*notes["declared"]} - {*names}:
            raise InputError("the table of counts holds what no images can have")
        held = np.zeros((len(names), 2, 3, counted.grid), np.int64)
        for part, values in enumerate((images, high, low)):
            np.add.at(held[:, :, part], (group, truth, cell), values)
        if notes["grouped"] is not None:
            counted._add(dict(zip(names, held)), bool(notes["grouped"]), notes["declared"])
        return counted

    @property
    def _edges(self) -> Floats:
        """Where cells end, but the last."""
        return np.arange(1, self.grid) / self.grid

    def _of_groups(self) -> list[tuple[Any, Ints]]:
        """Return groups in the order of their names, declared ones first, whatever came first."""
        last = sorted(
            {*self._held} - {*self._declared, UNKNOWN},
            key=lambda name: (isinstance(name, str), name),
        )
        names = [*self._declared, *last]
        if UNKNOWN in self._held and self._held[UNKNOWN][:, _COUNTED].any():
            names.append(UNKNOWN)
        return [(name, self._held[name]) for name in names]

    def _add(self, held: Mapping[Any, Ints], grouped: bool, declared: Sequence[Any]) -> None:
        """Add what was counted of groups, or of no groups."""
        if self._grouped not in (None, grouped):
            raise InputError("groups must be given for all images that are counted, or for none")
        self._grouped = grouped
        self._declared += [name for name in declared if name not in self._declared]
        for name, more in held.items():
            self._held[name] = self._held[name] + more if name in self._held else more.copy()

    def _update_from(self, stream: Any) -> None:
        """Count the rows of a stream, all or none."""
        if not is_stream(stream):
            raise InputError("give scores, or a table with __arrow_c_stream__ that has them")
        counted = ScoreCounts(self.grid)
        for table in read_stream(stream, "the stream"):
            names = set(table.column_names)
            if not {"truth", "scores"} <= names <= {"truth", "scores", "groups", "counts"}:
                raise InputError(
                    "the stream must have columns truth and scores, and perhaps groups and counts: "
                    f"it has {', '.join(map(shown, sorted(names)))}"
                )
            counted.update(**{name: table[name] for name in table.column_names})
        self.merge(counted)

    def _ranked(
        self, measure: Callable[..., Result], bounds: Ranked, sampling: Sampling
    ) -> BoundedResult:
        """Return a measure of rankings, of all images and of each group, with its bounds."""
        rows = self.rows()
        given = rows.pop("truth"), rows.pop("scores"), rows.pop("groups")
        result = measure(*given, **rows, **sampling)
        of_groups = {name: held[:, _COUNTED] for name, held in self._of_groups()}
        none = np.zeros((2, self.grid), np.int64)
        lowest, highest = bounds(*sum(of_groups.values(), none))
        pairs = result.pairs
        if self._grouped and pairs is not None:
            each = [bounds(*of_groups.get(name, none)) for name in pairs["group"]]
            pairs = pairs.assign(lowest=[a for a, _ in each], highest=[b for _, b in each])
        kept = {field.name: getattr(result, field.name) for field in fields(result)}
        return BoundedResult(**{**kept, "pairs": pairs}, lowest=lowest, highest=highest)


def _codes_of(groups: ArrayLike | None, rows: int) -> tuple[list[Any], list[Any], Ints]:
    """Return the names of groups, those that are declared, and the code of each row."""
    if groups is None:
        return [UNKNOWN], [], np.zeros(rows, int)
    column = as_column("groups", groups)
    names, read = read_groups(groups=column)
    declared = isinstance(getattr(column, "dtype", None), pd.CategoricalDtype)
    code = read["groups"]
    if len(code) != rows:
        raise InputError(f"groups has {len(code)} rows, and scores {rows}")
    return [*names, UNKNOWN], names if declared else [], np.where(code < 0, len(names), code)


def _area_bounds(without: Array, with_it: Array) -> tuple[float, float]:
    """Return the smallest and the largest area that images (grid,) without and with a label have.

    The order of two images in one cell is not known: either may have the higher score.
    """
    without, with_it = without.astype(float), with_it.astype(float)
    below = np.cumsum(without) - without
    pairs = without.sum() * with_it.sum()
    sure, open_ = with_it @ below, with_it @ without
    return _widened(float(ratio(sure, pairs)), float(ratio(sure + open_, pairs)))


def _precision_bounds(without: Array, with_it: Array) -> tuple[float, float]:
    """Return the smallest and the largest average precision of images (grid,).

    It is largest where in each cell all images with the label have one score, above the others; and
    smallest where the others come first and no two scores are equal. There the j-th of p images
    with it, after N images of which A have it, has precision (A + j) / (N + j), and
    Σ_j 1 / (N + j) ≤ ln((N + p + ½) / (N + ½)), as 1/x is convex.
    """
    falling = [counts[::-1].astype(float) for counts in (without, with_it)]
    p, q = falling[1], falling[0]
    above = np.cumsum(p) - p
    before = np.cumsum(p + q) - p  # with the others of the cell
    best = np.nan_to_num(p * ratio(above + p, before - q + p))
    worst = p - (before - above) * np.log1p(p / (before + 0.5))
    return _widened(*(float(ratio(part.sum(), p.sum())) for part in (worst, best)))


def _widened(lowest: float, highest: float) -> tuple[float, float]:
    """Return bounds that hold however sums were rounded."""
    low, high = np.clip([lowest - _ROUNDING, highest + _ROUNDING], 0, 1)
    return float(low), float(high)

"""The register of metrics: each is declared once, and every table, page and verdict asks here.

A metric has a name, a unit, and words; it says which way is better, what it needs, where it stands
on the pages, and perhaps how it is computed. The project's own are in `fairvision.results.entries`;
other packages add theirs by `register`, or by an entry point of the group `fairvision.metrics`,
which names a `Metric`, or a module that registers some.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from types import ModuleType
from typing import get_args

from fairvision.core.plugins import loading
from fairvision.errors import InputError
from fairvision.results.entries import METRICS
from fairvision.results.metric import Better, Metric, Unit
from fairvision.results.sections import BOARD_PARTS, CHANGES, Scope, Section

ENTRY_POINTS = "fairvision.metrics"

_METRICS: dict[str, Metric] = {}
_loaded = False


def register(metric: Metric) -> Metric:
    """Add a metric to the metrics table, the report, the leaderboard and the documentation.

    Parameters
    ----------
    metric : its name must be new

    Returns
    -------
    the metric

    Raises
    ------
    InputError
        The name is taken or empty; the unit, the better way or a placeholder in a text is not one
        that pages can write; or what is computed would stand nowhere: the scope differs from that
        of a section or of the leaderboard.

    Examples
    --------
    >>> from fairvision import metrics, results
    >>> def lowest_accuracy(inputs):
    ...     if inputs.labels is None or inputs.predicted_labels is None:
    ...         return None
    ...     return metrics.accuracy(inputs.labels, inputs.predicted_labels, **inputs.sampling)
    >>> metric = results.Metric(
    ...     name="accuracy_again", unit="fraction", better="higher", title="Accuracy, again",
    ...     meaning="share of pictures that are answered right", keys="task", scope="task",
    ...     places=(results.Place(results.sections.TASK),), compute=lowest_accuracy,
    ... )
    >>> results.register(metric).unit, results.find("accuracy_again").better
    ('fraction', 'higher')
    >>> results.unregister("accuracy_again")
    """
    _load()
    return _add(metric)


def _add(metric: Metric) -> Metric:
    """Register a metric and return it; raise `InputError` if its description is invalid."""
    if not metric.name or metric.name in _METRICS:
        raise InputError(f"metric {metric.name!r} is registered already, or has no name")
    if metric.unit not in get_args(Unit):
        raise InputError(
            f"metric {metric.name!r} has the unit {metric.unit!r}: one of "
            f"{', '.join(get_args(Unit))} is needed"
        )
    if metric.scope not in get_args(Scope):
        raise InputError(
            f"metric {metric.name!r} has the scope {metric.scope!r}: one of "
            f"{', '.join(get_args(Scope))} is needed"
        )
    if metric.better not in get_args(Better):
        raise InputError(f"metric {metric.name!r}: better is higher, lower, zero or empty")
    if metric.leaderboard is not None and not metric.better:
        raise InputError(f"metric {metric.name!r} is on the leaderboard: which way is better?")
    _check_texts(metric)
    _check_places(metric)
    _METRICS[metric.name] = metric
    return metric


def _check_texts(metric: Metric) -> None:
    """Raise `InputError` where a text has braces that pages cannot fill."""
    names = ("title", "meaning", "noun", "undefined", "task_title", "task_meaning")
    texts = {name: getattr(metric, name) for name in names}
    if metric.leaderboard is not None:
        for name in ("title", "meaning", "undefined"):
            texts[f"{name} on the leaderboard"] = getattr(metric.leaderboard, name)
    for name, text in texts.items():
        try:
            text.format(attribute="", task="", subject="")
        except (AttributeError, LookupError, ValueError):
            raise InputError(
                f"metric {metric.name!r}, {name}: {text!r} may hold {{attribute}}, {{task}} and "
                "{subject}, and no other braces"
            ) from None


def _check_places(metric: Metric) -> None:
    """Raise `InputError` unless the figures that a metric computes are shown where it stands."""
    entry = metric.leaderboard
    if entry is not None and entry.part not in BOARD_PARTS:
        raise InputError(
            f"metric {metric.name!r}: the leaderboard has no part {entry.part!r}: choose one of "
            f"{', '.join(BOARD_PARTS)}"
        )
    if metric.compute is None:
        return
    scopes = {f"section {p.section.name!r}": p.section.scope for p in metric.places}
    if metric.scope == "attribute and task" and "{task}" in metric.noun:  # as verdicts tell it
        scopes.pop(f"section {CHANGES.name!r}", None)
    for scope in entry.scopes if entry is not None else ():
        scopes[f"leaderboard, as {scope!r},"] = scope
    for place, scope in scopes.items():
        if scope != metric.scope:
            raise InputError(
                f"metric {metric.name!r} is computed for each {metric.scope}: it cannot stand in "
                f"the {place} which is about each {scope}"
            )


def unregister(name: str) -> None:
    """Remove a metric again."""
    del _METRICS[name]


def registered() -> dict[str, Metric]:
    """Return all metrics by name: the project's own, those of entry points, those registered."""
    _load()
    return dict(_METRICS)


def _load() -> None:
    """Register the project's own metrics, then those of other packages, once."""
    global _loaded
    if _loaded:
        return
    before = dict(_METRICS)
    _loaded = True  # modules of other packages call `register`, which loads too
    try:
        for metric in METRICS:
            _add(metric)
        for entry in entry_points(group=ENTRY_POINTS):
            with loading("metric", entry):
                loaded = entry.load()  # a metric, or a module that registers some
                if isinstance(loaded, Metric):
                    _add(loaded)
                elif not isinstance(loaded, ModuleType):
                    raise InputError("it is neither a Metric nor a module")
    except InputError:  # of a broken package, which is told at the next call too
        _loaded = False
        _METRICS.clear()
        _METRICS.update(before)
        raise


def find(name: str) -> Metric | None:
    """Return a metric, or None where no metric has that name."""
    return registered().get(name)


def unit_of(name: str) -> Unit:
    """Return the unit of a metric; `KeyError` where it is not registered."""
    return registered()[name].unit


def in_section(section: Section) -> tuple[str, ...]:
    """Return the names of the metrics that stand in a section, in order."""
    ranked = [
        (place.rank, name)
        for name, metric in registered().items()
        for place in metric.places
        if place.section == section
    ]
    return tuple(name for _, name in sorted(ranked, key=lambda pair: pair[0]))

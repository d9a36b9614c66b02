"""Which plots the page shows, and what each of them says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from fairvision.report import plots
from fairvision.results import words
from fairvision.results.entries.amplification import DIRECTIONS, MALS, SPLIT
from fairvision.results.figures import Figures
from fairvision.schema import UNKNOWN

_PAIRS = 8
_LABELS = 4  # with a line for each group
_ENOUGH = 10  # images, for a pair to be called strong


class Panel(NamedTuple):
    """A plot with its title, a note on how to read it, and its `svg` element."""

    title: str
    note: str
    svg: str


def context(figures: Figures, attribute: str) -> Iterator[Panel]:
    """Accuracy where the context agrees and where it disagrees, a panel per task."""
    for i, task in enumerate(figures.tasks):
        if not figures.has("accuracy_context_agrees", attribute, task) and not figures.has(
            "accuracy_context_disagrees", attribute, task
        ):
            continue
        metrics = {
            "context agrees": "accuracy_context_agrees",
            "context disagrees": "accuracy_context_disagrees",
        }
        yield Panel(
            f"Accuracy on {attribute}, by what {task} suggest",
            "The further the second group of points lies to the left of the first, the more the "
            "model leans on the context.",
            plots.panel(
                _per_metric(figures, metrics, attribute, task),
                limits=(0, 1),
                description=f"Accuracy on {attribute} by context",
                key=_key(figures, "context", attribute, i),
            ),
        )


def evidence(figures: Figures, attribute: str) -> Iterator[Panel]:
    """Evidence beside its chance level, for all images and per group."""
    titles = {
        "pointing_game": "Strongest point of evidence on the person",
        "relevance_mass": "Evidence mass on the person",
    }
    for metric, title in titles.items():
        if not figures.has(metric, attribute):
            continue
        chance = {c.name: c.figures for c in _per_group(figures, "chance_level", attribute)}
        categories = [
            category._replace(chance=chance.get(category.name, ()))
            for category in _per_group(figures, metric, attribute)
        ]
        yield Panel(
            title,
            "The upright strokes are the chance level: the person’s share of the picture.",
            plots.panel(
                categories,
                limits=(0, 1),
                description=title,
                key=_key(figures, metric, attribute),
            ),
        )


def split(figures: Figures, attribute: str) -> Iterator[Panel]:
    """Amplification of the images with their evidence on the person and elsewhere."""
    for i, task in enumerate(figures.tasks):
        inside, outside, apart = SPLIT
        if not (figures.has(inside, attribute, task) or figures.has(outside, attribute, task)):
            continue
        metrics = {
            "evidence on the person": inside,
            "evidence elsewhere": outside,
            "elsewhere minus on the person": apart,
        }
        yield Panel(
            f"Amplification, {task} → {attribute}, by where the evidence lies",
            "Labels that both kinds of pictures have. Right of zero in the last line, the pictures "
            "with their evidence outside the person amplify more.",
            plots.panel(
                _per_metric(figures, metrics, attribute, task),
                unit="difference",
                description=f"Amplification of {attribute} by where the evidence lies",
                key=_key(figures, "split", attribute, i),
            ),
        )


def hidden(figures: Figures, attribute: str) -> Iterator[Panel]:
    """What is said about the attribute without the person, and with nothing else."""
    if not figures.has("hidden_accuracy", attribute):
        return
    metrics = {
        "whole picture": "accuracy",
        "only the person": "person_accuracy",
        "person hidden": "hidden_accuracy",
    }
    share = figures.majority(attribute)
    yield Panel(
        f"Accuracy on {attribute}, by what is visible",
        "With the person hidden it should fall to the dashed line, the share of the largest "
        f"group ({words.written(share)})."
        if share == share
        else "With the person hidden it should fall to the share of the largest group.",
        plots.panel(
            _per_metric(figures, metrics, attribute),
            limits=(0, 1),
            reference=share,
            description=f"Accuracy on {attribute} by what is visible",
            key=_key(figures, "visible", attribute),
        ),
    )
    if figures.has("hidden_probability_gap", attribute):
        yield Panel(
            "Probability gap with the person hidden",
            "0 = all groups equally probable: nothing is inferred from the context.",
            plots.panel(
                _per_group(figures, "hidden_probability_gap", attribute),
                unit="probability",
                description="Probability gap with the person hidden",
                key=_key(figures, "probability", attribute),
            ),
        )


def consistency(figures: Figures, attribute: str) -> Iterator[Panel]:
    """Answers that turn with what was changed, and that stay, by what that was."""
    for metric in ("counterfactual_flips", "counterfactual_misses"):
        if not figures.has(metric, attribute):
            continue
        changed = [label for group, label in figures.labels(metric, attribute, "") if not group]
        categories = [
            plots.Category(
                label or "all pairs",
                [figures.get(model, metric, attribute, label=label) for model in figures.models],
            )
            for label in ("", *changed)
        ]
        title = words.words_of(metric, attribute).title
        yield Panel(
            title,
            "By what was changed between two pictures. The further to the left, the better.",
            plots.panel(
                categories,
                limits=(0, 1),
                description=title,
                key=_key(figures, metric, attribute),
            ),
        )


def person_effects(figures: Figures, attribute: str) -> Iterator[Panel]:
    """What seeing a person adds to the labels for which groups differ most, a panel per task."""
    for i, task in enumerate(figures.tasks):
        categories = [
            plots.Category(
                f"{words.short(group, 22)} · {words.short(label, 22)}",
                [
                    figures.get(model, "person_effect", attribute, task, group, label)
                    for model in figures.models
                ],
                links=plots.links(figures.models, attribute, group=group, label=label),
            )
            for label in _widest(figures, attribute, task)
            for group in figures.groups(attribute)
            if group != UNKNOWN
        ]
        if categories:
            yield Panel(
                f"What seeing the person adds to {task}",
                "The labels whose probability people of different groups move most differently. "
                "Right of zero, seeing the person speaks for the label.",
                plots.panel(
                    categories,
                    unit="difference",
                    description=f"What seeing the person adds to {task}, by {attribute}",
                    key=_key(figures, "effect", attribute, i),
                ),
            )


def _widest(figures: Figures, attribute: str, task: str) -> list[str]:
    """Return the labels for which `person_effect_gap` is widest in some model, widest first."""
    metric = "person_effect_gap"
    widest: dict[str, float] = {}
    for _, label in figures.labels(metric, attribute, task):
        for model in figures.models:
            figure = figures.defined(model, metric, attribute, task, label=label)
            if figure is not None and figure.n >= _ENOUGH:
                widest[label] = max(figure.value, widest.get(label, 0.0))
    return sorted(widest, key=lambda label: -widest[label])[:_LABELS]


def amplification(figures: Figures, attribute: str) -> Iterator[Panel]:
    """Amplification in both directions, then the pairs of group and label that amplify most."""
    for i, task in enumerate(figures.tasks):
        metrics = {
            _title_in_panel(metric, attribute, task): metric
            for metric in (*DIRECTIONS, MALS)
            if figures.has(metric, attribute, task)
        }
        if metrics:
            yield Panel(
                f"Amplification of {attribute} and {task}",
                "Right of zero, predictions depend on each other more than the truth does.",
                plots.panel(
                    _per_metric(figures, metrics, attribute, task),
                    unit="difference",
                    description=f"Amplification of {attribute} and {task}",
                    key=_key(figures, "amplification", attribute, i),
                ),
            )
        for j, metric in enumerate(DIRECTIONS):
            pairs = _strongest(figures, metric, attribute, task)
            if pairs:
                name = _title_in_panel(metric, attribute, task)
                yield Panel(
                    f"{name}: strongest pairs",
                    "Labels whose intervals lie furthest from zero, each with its strongest group; "
                    f"only pairs with {_ENOUGH} pictures or more.",
                    plots.panel(
                        pairs,
                        unit="difference",
                        description=f"{name}, strongest pairs",
                        key=_key(figures, f"pairs{j}", attribute, i),
                    ),
                )


def _strongest(figures: Figures, metric: str, attribute: str, task: str) -> list[plots.Category]:
    """Return the labels whose intervals lie furthest from zero, those that amplify most first.

    Each label stands with the one group where that is strongest: of two groups, one often mirrors
    the other.
    """
    ranked = []
    for group, label in figures.labels(metric, attribute, task):
        of_models = [
            figures.get(model, metric, attribute, task, group, label) for model in figures.models
        ]
        enough = [f for f in of_models if f and f.defined and f.n >= _ENOUGH]
        if enough:
            strength = max(max(figure.low, -figure.high, 0.0) for figure in enough)
            value = max((figure.value for figure in enough), key=abs)
            ranked.append((strength, value, group, label, of_models))
    ranked.sort(key=lambda pair: (-pair[0], -abs(pair[1])))
    best: dict[str, tuple[float, plots.Category]] = {}
    for _, value, group, label, of_models in ranked:
        name = f"{words.short(group, 22)} · {words.short(label, 22)}"
        links = plots.links(figures.models, attribute, group=group, label=label)
        best.setdefault(label, (value, plots.Category(name, of_models, links=links)))
    furthest = sorted(list(best.values())[:_PAIRS], key=lambda pair: -pair[0])
    return [category for _, category in furthest]


def _per_metric(
    figures: Figures, metrics: dict[str, str], attribute: str, task: str = ""
) -> list[plots.Category]:
    """Return a category per metric that some model has, by the given names."""
    return [
        plots.Category(
            name, [figures.get(model, metric, attribute, task) for model in figures.models]
        )
        for name, metric in metrics.items()
        if figures.has(metric, attribute, task)
    ]


def _per_group(figures: Figures, metric: str, attribute: str) -> list[plots.Category]:
    """Return a category for all images and one per group that has figures."""
    return [
        plots.Category(
            group or "all pictures",
            [figures.get(model, metric, attribute, group=group) for model in figures.models],
            links=plots.links(figures.models, attribute, group=group),
        )
        for group in ("", *figures.groups(attribute))
        if figures.has(metric, attribute, group=group)
    ]


def _title_in_panel(metric: str, attribute: str, task: str) -> str:
    """Return the title of a metric without "Amplification, ", which its panel says."""
    return words.words_of(metric, attribute, task).title.removeprefix("Amplification, ")


def _key(figures: Figures, name: str, attribute: str, task: int = 0) -> str:
    """Return the id of a panel: its name and the places of attribute and task."""
    return f"{name}-{figures.attributes.index(attribute)}-{task}"

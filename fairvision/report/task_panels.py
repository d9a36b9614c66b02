"""Plots of tasks for models that name no group: for whom they are right, and on what evidence."""

from __future__ import annotations

from collections.abc import Iterator

from fairvision.report import plots
from fairvision.report.panels import Panel
from fairvision.results.figures import Figures

_VISIBLE = {
    "": "accuracy",
    ", person hidden": "hidden_task_accuracy",
    ", only the person": "person_task_accuracy",
}
_EVIDENCE = {
    "pointing_game": "Strongest evidence for {task} on its objects",
    "relevance_mass": "Evidence mass for {task} on its objects",
}


def columns(figures: Figures) -> dict[str, str]:
    """Return further columns of the table of groups, metric and title; those that have figures."""
    titles = {
        "error": "Error",
        "pointing_game": "Evidence on its objects",
        "chance_level": "By chance",
        "hidden_task_accuracy": "Accuracy, person hidden",
    }
    measured = {key.metric for _, key in figures.table if key.task and key.group}
    return {metric: title for metric, title in titles.items() if metric in measured}


def right(figures: Figures, attribute: str) -> Iterator[Panel]:
    """Accuracy on each task by group: as images are, without the person, and with nothing else."""
    for i, task in enumerate(figures.tasks):
        categories = [
            category._replace(name=category.name + visible)
            for visible, metric in _VISIBLE.items()
            for category in _per_group(figures, metric, attribute, task)
        ]
        if categories:
            yield Panel(
                f"Accuracy on {task}, by {attribute} and by what is visible",
                "Groups that lie apart are served differently. What falls when the person is "
                "hidden was read off the person, or stood behind the mask.",
                plots.panel(
                    categories,
                    limits=(0, 1),
                    description=f"Accuracy on {task} by {attribute}",
                    key=_key(figures, "right", attribute, i),
                ),
            )


def evidence(figures: Figures, attribute: str) -> Iterator[Panel]:
    """Evidence for the true labels of each task beside its chance level, by group."""
    for i, task in enumerate(figures.tasks):
        chance = {
            category.name: category.figures
            for category in _per_group(figures, "chance_level", attribute, task)
        }
        for metric, title in _EVIDENCE.items():
            categories = [
                category._replace(chance=chance.get(category.name, ()))
                for category in _per_group(figures, metric, attribute, task)
            ]
            if categories:
                yield Panel(
                    title.format(task=task),
                    "The upright strokes are the chance level: the objects’ share of the picture.",
                    plots.panel(
                        categories,
                        limits=(0, 1),
                        description=title.format(task=task),
                        key=_key(figures, f"task-{metric}", attribute, i),
                    ),
                )


def _per_group(figures: Figures, metric: str, attribute: str, task: str) -> list[plots.Category]:
    """Return a category for all images and one per group, of those that have figures."""
    keys = {"all pictures": ("", "")}
    keys |= {group: (attribute, group) for group in figures.groups(attribute)}
    return [
        plots.Category(
            name,
            [figures.get(model, metric, of, task, group) for model in figures.models],
            links=plots.links(figures.models, task, group=group and f"{attribute}: {group}"),
        )
        for name, (of, group) in keys.items()
        if figures.has(metric, of, task, group)
    ]


def _key(figures: Figures, name: str, attribute: str, task: int) -> str:
    """Return the id of a panel: its name and the places of attribute and task."""
    return f"{name}-{figures.attributes.index(attribute)}-{task}"

"""The page of a comparison: what got worse from one audit to the next."""

from __future__ import annotations

from typing import Any

from fairvision.core.files import plain_name
from fairvision.report.template import fill
from fairvision.results.changes import Change, Comparison, StatusChange
from fairvision.results.findings import QUESTIONS


def render(made: Comparison, old: str, new: str, *, report: str) -> str:
    """Write what changed between two audits as one HTML page.

    Parameters
    ----------
    made : what was found
    old, new : how the audits are called
    report : name of the page in the folder of each model whose differences are paired
    """
    models: list[dict[str, Any]] = [
        {
            "about": model,
            "report": "" if model.why_unpaired else f"{plain_name(model.name)}/{report}",
            "statuses": made.of(made.statuses, model),
            "worse": made.of(made.worse, model),
            "better": made.of(made.better, model),
            "folded": {
                title: [c for c in made.of(made.changes, model) if c.change == word]
                for title, word in (
                    ("Differ, neither better nor worse", "differs"),
                    ("Not shown to differ", "not shown"),
                )
            },
            "caution": made.caution(model),
        }
        for model in made.models
    ]
    return fill(
        "releases.html", made=made, old=old, new=new, models=models, headline=headline(made)
    )


def headline(made: Comparison) -> str:
    """Return what became of the answers, or else of the figures, in a sentence.

    Parameters
    ----------
    made : what was found
    """
    concerns = [status for status in made.statuses if status.new == "concern"]
    relieved = [status for status in made.statuses if status.old == "concern"]
    if concerns or relieved:
        parts = [
            f"{_questions(listed)} is {state}"
            for listed, state in ((concerns, "now a concern"), (relieved, "no longer a concern"))
            if listed
        ]
        return f"{'; '.join(parts)}."
    counts = [_counted(made.worse, "worse"), _counted(made.better, "better")]
    return f"No answer is another one; {', '.join(counts)}."


def _questions(statuses: list[StatusChange]) -> str:
    """Return the questions that have another answer, each once, in their order."""
    asked = {status.question for status in statuses}
    return ", ".join(f"“{question}”" for question in QUESTIONS if question in asked)


def _counted(listed: list[Change], word: str) -> str:
    """Return how many figures are shown to be worse or better."""
    return f"{len(listed) or 'no'} {'figure is' if len(listed) == 1 else 'figures are'} {word}"

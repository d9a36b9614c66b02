"""Where metrics stand: sections of pages, parts of the leaderboard, lists of verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scope = Literal["attribute", "task", "attribute and task"]


@dataclass(frozen=True)
class Section:
    """A place where metrics stand, one below the other or side by side.

    Attributes
    ----------
    name : unique
    heading : what is written above it; `{task}` stands for the name of a task
    scope : what its figures are about
    folded : whether the page shows it only when asked to
    """

    name: str
    heading: str
    scope: Scope = "attribute"
    folded: bool = False


# The report of an audit, per attribute.
RIGHT = Section("right", "How often it is right")
CAUSES = Section("causes", "What holds when the surroundings are exchanged")
EVIDENCE = Section("evidence", "Where the evidence lies")
WITHOUT_PERSON = Section("without person", "What it says without the person, and with nothing else")
COUNTERFACTUALS = Section("counterfactuals", "What it says when one thing is changed")
TOGETHER = Section("together", "Together with {task}", "attribute and task")

# The same, folded away.
PROBABILITIES = Section(
    "probabilities", "How well its probabilities and its worst group fare", folded=True
)
CAUSE_CONTROLS = Section("cause controls", "What pasting people alone does", folded=True)
EVIDENCE_GAPS = Section("evidence gaps", "How far evidence differs between groups", folded=True)
ALL_TASKS = Section("all tasks", "All tasks together", folded=True)
MORE_TOGETHER = Section("more together", "Together with {task}", "attribute and task", folded=True)

# The report of an audit, per task.
TASK = Section("task", "How often it is right", "task")

# The report on captions.
CAPTIONED_PERSON = Section("captioned person", "What is said of the person")
CAPTIONED_OBJECTS = Section("captioned objects", "What else is said", "attribute and task")
CAPTIONED_REST = Section("captioned rest", "What else is said")
CAPTION_QUALITY = Section("caption quality", "How near the captions are to people’s")

# What verdicts tell of the difference between two models.
CHANGES = Section("changes", "What changed")
CAPTION_CHANGES = Section("caption changes", "Which captioner is better")

REPORT = (
    *(RIGHT, CAUSES, EVIDENCE, WITHOUT_PERSON, COUNTERFACTUALS, TOGETHER),
    *(PROBABILITIES, CAUSE_CONTROLS, EVIDENCE_GAPS, ALL_TASKS, MORE_TOGETHER),
)
"""The sections of each attribute in the report of an audit."""

# The parts of the leaderboard, by their headings.
BOARD_RIGHT = "How often it is right"
BOARD_AMPLIFIES = "Does it amplify"
BOARD_CAUSES = "Is it right for the right reasons"
BOARD_EVIDENCE = "Where the evidence lies"
BOARD_PARTS = (BOARD_RIGHT, BOARD_CAUSES, BOARD_AMPLIFIES, BOARD_EVIDENCE)

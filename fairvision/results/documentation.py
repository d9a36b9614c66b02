"""The table of all metrics in the documentation, made from the register.

`python -m fairvision.results.documentation docs/design.md`, or `make docs`, writes it anew.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from fairvision.results.metric import Metric
from fairvision.results.registry import registered

BEGIN, END = "<!-- metrics: begin -->", "<!-- metrics: end -->"
_BETTER = {"higher": "higher", "lower": "lower", "zero": "0", "": "–"}


def metrics_table(metrics: Iterable[Metric] | None = None) -> str:
    """Return a Markdown table of metrics, by default of all that are registered.

    >>> from fairvision.results import find
    >>> print(metrics_table([find("context_gap")]))
    | metric | unit | better | keys filled | meaning |
    |---|---|---|---|---|
    | `context_gap` | difference | 0 | attribute, task | accuracy where the context agrees ...
    """
    lines = ["| metric | unit | better | keys filled | meaning |", "|---|---|---|---|---|"]
    for metric in registered().values() if metrics is None else metrics:
        meaning = metric.definition or metric.words("the attribute", "the task").meaning
        lines.append(
            f"| `{metric.name}` | {metric.unit} | {_BETTER[metric.better]} | {metric.keys} | "
            f"{meaning} |"
        )
    return "\n".join(lines)


def with_table(page: str) -> str:
    """Return a page with the table of all metrics between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{metrics_table()}\n{END}{after}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_table(path.read_text("utf-8")), "utf-8")

"""`fairvision gate`: does a finished audit keep some rules?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fairvision.cli import options
from fairvision.cli.printing import say, say_json
from fairvision.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

BROKEN = 1
"""Exit code where a rule is broken."""


@click.command("gate")
@click.argument("audit", type=options.FOLDER)
@click.argument("rules", nargs=-1, required=True, metavar="RULES…")
@click.option("--junit", type=options.FILE, help="File to write, in JUnit's XML.")
@click.option("--markdown", type=options.FILE, help="File to write, a table in Markdown.")
@options.as_json
def command(
    audit: Path, rules: tuple[str, ...], junit: Path | None, markdown: Path | None, as_json: bool
) -> None:
    """Say whether an audit keeps rules: exit code 0 if it does, 1 if not, 2 for bad input.

    RULES… are TOML files with a list `rules`, or rules that are written out. A rule says what must
    not be so: METRIC, or METRIC.low or METRIC.high for the ends of its interval, compared with a
    number, and perhaps the model, attribute, task, group or label that it is about.

    \b
    fairvision gate audit rules.toml --junit gate.xml --markdown gate.md
    fairvision gate audit "accuracy_gap.low > 0.05 [attribute=gender]"
    """
    from fairvision.results.audit_folder import read_audit

    finished = read_audit(audit)
    end(finished.metrics, finished.models, audit, rules, junit, markdown, as_json=as_json)


def end(
    metrics: pd.DataFrame,
    models: Sequence[str],
    audit: Path,
    rules: Sequence[str],
    junit: Path | None = None,
    markdown: Path | None = None,
    *,
    as_json: bool = False,
    quiet: bool = False,
) -> None:
    """Judge the figures of an audit, say and write what becomes of rules; exit where one is broken.

    Parameters
    ----------
    metrics, models, audit : the metrics table, the names of its models, and its folder
    rules : written out, or TOML files
    junit, markdown : files to write
    as_json, quiet : print JSON, or nothing
    """
    from fairvision.core.files import write_text
    from fairvision.results import gate

    for file in (junit, markdown):
        if (
            file is not None
            and file.resolve().is_relative_to(audit.resolve())
            and file.suffix not in (".xml", ".md")
        ):
            raise InputError(f"{file} would replace a file of the audit: name it .xml or .md")
    outcomes = gate.judge(metrics, models, gate.read_rules(rules))
    if junit is not None:
        write_text(junit, gate.as_junit(outcomes, str(audit)))
    if markdown is not None:
        write_text(markdown, gate.as_markdown(outcomes, str(audit)))
    if as_json:
        say_json(
            [
                {
                    "rule": outcome.rule.text,
                    "passed": outcome.passed,
                    "kept": outcome.kept,
                    "reasons": outcome.reasons,
                }
                for outcome in outcomes
            ]
        )
    elif not quiet:
        for outcome in outcomes:
            say(f"{'kept' if outcome.passed else 'BROKEN'}: {outcome.rule.text}")
            for reason in outcome.reasons:
                say(f"  {reason}")
    if not all(outcome.passed for outcome in outcomes):
        raise SystemExit(BROKEN)

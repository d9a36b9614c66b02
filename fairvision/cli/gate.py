"""`fairvision gate`: does a finished audit keep some rules?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fairvision.cli import config, options
from fairvision.cli.printing import say, say_json, show_in_browser
from fairvision.errors import InputError

if TYPE_CHECKING:
    from fairvision.results.folder import FinishedAudit
    from fairvision.results.gate import Outcome
    from fairvision.results.rules import Rule

BROKEN = 1
"""Exit code where a rule is broken."""

fail_on = click.option(
    "--fail-on",
    "rules",
    multiple=True,
    metavar="RULE",
    type=options.PATH_OR_NAME,
    help='End with exit code 1 where this is so, such as "accuracy_gap.low > 0.05"; or a TOML file '
    "with a list `rules` (see docs/gate.md). Repeatable.",
)


@click.command("gate")
@click.argument("audit", type=options.FOLDER)
@click.argument(
    "rules",
    nargs=-1,
    required=True,
    metavar="RULES…",
    type=options.PATH_OR_NAME,
    cls=options.Repeated,
)
@config.option
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
    from fairvision.core.files import write_text
    from fairvision.results.audit_folder import read_audit
    from fairvision.results.gate import judge
    from fairvision.results.gate_files import as_junit, as_markdown
    from fairvision.results.rules import read_rules

    parsed = read_rules(rules)
    finished = read_audit(audit)
    _check_vacant(audit, rules, junit, markdown)
    outcomes = judge(finished.metrics, finished.models, parsed)
    if junit is not None:
        write_text(junit, as_junit(outcomes, str(audit)))
    if markdown is not None:
        write_text(markdown, as_markdown(outcomes, str(audit)))
    if as_json:
        say_json([outcome.as_json() for outcome in outcomes])
    else:
        say_outcomes(outcomes)
    stop_if_broken(outcomes)


def conclude(
    done: FinishedAudit,
    rules: Sequence[Rule],
    lines: Iterable[str],
    *,
    open_page: bool,
    as_json: bool,
) -> None:
    """Print what an audit says and what became of rules; exit where one is broken.

    Parameters
    ----------
    done : the audit
    rules : as `read_rules` returns them, perhaps none
    lines : what is printed, but for JSON
    open_page, as_json : show its page in the browser; print JSON
    """
    from fairvision.results.gate import judge

    outcomes = judge(done.metrics, done.models, rules)
    if as_json:
        judged = {"rules": [outcome.as_json() for outcome in outcomes]} if rules else {}
        say_json({**done.as_json(), **judged})
    else:
        for line in lines:
            say(line)
        say(f"report: {done.report}")
        say_outcomes(outcomes)
    if open_page:
        show_in_browser(done.report)
    stop_if_broken(outcomes)


def say_outcomes(outcomes: Sequence[Outcome]) -> None:
    """Print what became of rules, and why."""
    for outcome in outcomes:
        say(f"{'kept' if outcome.passed else 'BROKEN'}: {outcome.rule.text}")
        for reason in outcome.reasons:
            say(f"  {reason}")


def stop_if_broken(outcomes: Sequence[Outcome]) -> None:
    """End the process with exit code 1 where a rule is broken."""
    if not all(outcome.passed for outcome in outcomes):
        raise SystemExit(BROKEN)


def _check_vacant(
    audit: Path, rules: Sequence[str], junit: Path | None, markdown: Path | None
) -> None:
    """Raise `InputError` where a file that is written would replace one that is read."""
    files = [file.resolve() for file in (junit, markdown) if file is not None]
    if len(set(files)) < len(files):
        raise InputError(f"--junit and --markdown are one file, {junit}: write two")
    for file in files:
        if file in {Path(rule).resolve() for rule in rules if rule.lower().endswith(".toml")}:
            raise InputError(f"{file} holds the rules: write to another file")
        if file.is_relative_to(audit.resolve()) and file.suffix not in (".xml", ".md"):
            raise InputError(f"{file} would replace a file of the audit: name it .xml or .md")

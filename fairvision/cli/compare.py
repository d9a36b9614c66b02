"""`fairvision compare`: the last release of a model and this one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fairvision.cli import config, gate, options
from fairvision.cli.printing import say, say_json, show_in_browser
from fairvision.errors import visible

_NAMED = 5


@click.command("compare")
@click.argument("old", type=options.FOLDER)
@click.argument("new", type=options.FOLDER)
@options.output
@config.option
@options.replicates
@gate.fail_on
@options.seed
@options.overwrite
@options.open_page
@options.as_json
def command(
    old: Path, new: Path, rules: tuple[str, ...], open_page: bool, as_json: bool, **rest: Any
) -> None:
    """Say what got worse from one audit to the next.

    OLD and NEW are folders of finished audits. Models of the same name are compared, or the only
    ones: in pairs on the pictures that both audits have, if these are most of them. Rules are about
    the differences, new minus old.

    \b
    fairvision compare audits/1.0 audits/1.1 -o compared --open
    fairvision compare audits/1.0 audits/1.1 -o compared --fail-on "accuracy_gap.low > 0.02"
    """
    from fairvision.auditing.releases import MARKER, SUMMARY, compare
    from fairvision.core.files import read_json
    from fairvision.results.changes import as_metrics
    from fairvision.results.gate import judge
    from fairvision.results.rules import read_rules

    parsed = read_rules(rules, of_differences=True) if rules else []
    made = compare(old, new, **rest)
    outcomes = judge(as_metrics(made.changes), [model.name for model in made.models], parsed)
    if open_page:
        show_in_browser(made.page)
    if as_json:
        judged = {"rules": [outcome.as_json() for outcome in outcomes]} if rules else {}
        say_json({**read_json(made.folder / MARKER), **judged})
        gate.stop_if_broken(outcomes)
        return
    for model in made.models:
        say(f"{visible(model.name)}: {model.basis}")
        for status in made.of(made.statuses, model):
            say(f"  {visible(str(status))}")
        for title, changes in (("worse", made.worse), ("better", made.better)):
            of_model = made.of(changes, model)
            say(f"  {title}: {len(of_model) or 'nothing was shown'}")
            for change in of_model[:_NAMED]:
                say(f"    {visible(str(change))}")
    for title, names in (("only in the new audit", made.added), ("no longer", made.removed)):
        if names:
            say(f"{title}: {visible(', '.join(names))}")
    gate.say_outcomes(outcomes)
    say(f"all of it: {made.page}, {made.folder / SUMMARY}")
    gate.stop_if_broken(outcomes)

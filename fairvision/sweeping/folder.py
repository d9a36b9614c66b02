"""`fairvision.sweep`: every method with every seed, trained, audited, and put on one page."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import pandas as pd

from fairvision import datasets, runs
from fairvision.auditing import audit
from fairvision.auditing.folder import ATTRIBUTIONS
from fairvision.core import checksums, shapes
from fairvision.core.csv_files import write_csv
from fairvision.core.files import (
    drop_replaced,
    keep_replaced,
    whole_folder,
    write_json,
    write_text,
)
from fairvision.core.version import __version__, versions
from fairvision.datasets import Dataset
from fairvision.errors import FairvisionWarning, InputError
from fairvision.methods import METHODS
from fairvision.results import leaderboard
from fairvision.results.figures import Figures, read, read_metrics
from fairvision.results.folder import SweepSettings
from fairvision.results.verdict import Verdict
from fairvision.sweeping import verdict
from fairvision.sweeping.plan import Plan, check_learnable, make_plan
from fairvision.training import stored_options, train

MARKER = "sweep.json"
AUDIT = "audit.json"
PAGE, TABLE, FIGURES = "leaderboard.html", "leaderboard.csv", "figures.csv"

_SWEEP = shapes.table(
    {
        "data": shapes.table({"fingerprint": shapes.text}),
        "options": shapes.table({}),
        "options_of_methods": shapes.named(shapes.table({})),
    }
)
_AUDIT = shapes.table(
    {
        "fairvision": shapes.text,
        "models": shapes.each(shapes.text),
        "settings": shapes.table({}),
        "verdict": shapes.table({"warnings": shapes.each(shapes.text)}),
    }
)


class AuditOptions(TypedDict):
    """How the runs of each seed are audited."""

    split: str
    attribution: str
    replicates: int


@dataclass(frozen=True)
class Sweep:
    """A finished sweep.

    Attributes
    ----------
    folder : where `leaderboard.html`, `leaderboard.csv`, `figures.csv`, `runs` and `audits` are
    table : the leaderboard, a row per method
    verdict : what the figures say
    """

    folder: Path
    table: pd.DataFrame
    verdict: Verdict

    @property
    def page(self) -> Path:
        """Path of the page."""
        return self.folder / PAGE


def sweep(
    data: str | Path,
    *,
    output: str | Path,
    methods: Sequence[str],
    seeds: Sequence[int] = (0, 1, 2),
    split: str = "test",
    attribution: str = "auto",
    replicates: int = 1000,
    per_method: Mapping[str, Mapping[str, Any]] | None = None,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> Sweep:
    """Train every method with every seed, audit all, and write one leaderboard.

    Called again it continues where it stopped: runs that ended are kept, one that did not is
    resumed, and methods or seeds that are new are added. A run whose training fails, because its
    loss is no longer finite, is told on the page and left out; the others go on.

    Parameters
    ----------
    data : dataset folder with a training split
    output : folder to write: `runs/METHOD-SEED`, `audits/seed-SEED`, the leaderboard
    methods : names of `fairvision.methods.METHODS`; the first is what the others are compared with
    seeds : of training; with one there is no spread, and no method is called best
    split, attribution, replicates : of the audits, one per seed; see `fairvision.audit`
    per_method : options of single methods, where methods share an option's name
    overwrite : throw away what an earlier sweep wrote in `output`
    say : told, in a line each, what happens
    **options : of `fairvision.train`, for all runs; those of methods go to the methods that have
        them

    Raises
    ------
    InputError
        If data, options or output cannot be used, or a method cannot learn from the data: nothing
        is trained then. Also if no run can be audited.

    Examples
    --------
    >>> import fairvision
    >>> done = fairvision.sweep("photos", methods=["baseline", "equalizer"], output="sweep",
    ...                         model="mobilenet_v2", weights="DEFAULT")  # doctest: +SKIP
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("a sweep is one process: start it without torchrun")
    folder = Path(output)
    plan = make_plan(methods, seeds, options, per_method or {})
    if attribution not in ATTRIBUTIONS:
        raise InputError(f"unknown attribution {attribution!r}: one of {', '.join(ATTRIBUTIONS)}")
    if replicates < 1:
        raise InputError("replicates must be 1 or more")
    whole = datasets.load(data).originals()
    audited = whole.split(split)
    check_learnable(plan, whole)
    described = {
        "fairvision": __version__,
        "data": {"name": whole.name, "fingerprint": whole.fingerprint()},
        **plan.described(),
    }
    _take_up(folder, described, overwrite=overwrite)

    failed = _train_all(Path(data), folder, plan, say)
    how: AuditOptions = {"split": split, "attribution": attribution, "replicates": replicates}
    by_seed, notes = _audit_all(folder, plan, whole, how, failed, say)
    made = leaderboard.collect(by_seed, plan.methods, len(plan.seeds))
    decided = verdict.judge(made, notes=[*failed.values(), *notes])
    settings = SweepSettings(
        dataset=whole.name,
        split=split,
        n=len(audited),
        model=plan.shared["model"],
        attribution=attribution,
        replicates=replicates,
        seeds=plan.seeds,
        options=described["options"],
        options_of_methods=described["options_of_methods"],
        descriptions=METHODS,
        audits=[f"audits/seed-{seed}/report.html" for seed in by_seed],
        versions=versions("torch", "torchvision", "captum"),
    )
    table = leaderboard.table(made)
    _write(folder, made, table, decided, settings)
    for message in decided.warnings:
        warnings.warn(message, FairvisionWarning, stacklevel=2)
    return Sweep(folder, table, decided)


def _take_up(folder: Path, described: Mapping[str, Any], *, overwrite: bool) -> None:
    """Begin a sweep, or check that the one in the folder can be continued."""
    before = folder / MARKER
    if not before.is_file() or overwrite:
        with whole_folder(folder, marker=MARKER, overwrite=overwrite) as part:
            write_json(part / MARKER, described)
            keep_replaced(folder, part, PAGE)
        return
    stored = shapes.read(before, _SWEEP, "sweep again with --overwrite")
    fingerprint = stored["data"]["fingerprint"]
    of_methods = {**stored["options_of_methods"], **described["options_of_methods"]}
    then = {
        name: stored["options"] | options for name, options in stored["options_of_methods"].items()
    }
    again = "repeat them, choose another folder, or begin anew with --overwrite"
    if fingerprint != described["data"]["fingerprint"]:
        raise InputError(
            f"the data is not, or no longer, what {folder} was started on: choose another folder, "
            "or begin anew with --overwrite"
        )
    for run in sorted((folder / "runs").glob("*")):
        method = run.name.rpartition("-")[0]
        if method not in then:
            continue
        ours, theirs = then[method], described["options"] | of_methods[method]
        for key in stored_options(run):  # what matters for the weights, unlike --workers
            if ours.get(key) != theirs.get(key):
                raise InputError(
                    f"{folder} was started with other options ({key} was {ours.get(key)}, now "
                    f"{theirs.get(key)}): {again}"
                )
    write_json(before, {**described, "options_of_methods": of_methods})


def _train_all(
    data: Path, folder: Path, plan: Plan, say: Callable[[str], None]
) -> dict[tuple[str, int], str]:
    """Train what is not trained yet; return why runs failed that had begun."""
    failed = {}
    pairs = [(method, seed) for seed in plan.seeds for method in plan.methods]
    for number, (method, seed) in enumerate(pairs, 1):
        run = _run_folder(folder, method, seed)
        if (run / runs.BEST).is_file():
            continue
        say(f"{run.name} ({number} of {len(pairs)}): training")
        try:
            options = {**plan.shared, **plan.specific[method]}
            train(data, output=run, method=method, seed=seed, resume=True, **options)
        except InputError as error:
            if not (run / runs.CONFIG).is_file():  # nothing begun: the input is at fault
                raise
            failed[method, seed] = f"{run.name} is left out: {error}"
            say(failed[method, seed])
    return failed


def _audit_all(
    folder: Path,
    plan: Plan,
    whole: Dataset,
    how: AuditOptions,
    failed: Mapping[tuple[str, int], str],
    say: Callable[[str], None],
) -> tuple[dict[int, Figures], list[str]]:
    """Audit the methods of each seed together; return figures by seed, and what to know.

    One audit of all would hold every network at once and draw every image for each of them.
    """
    by_seed, notes = {}, {}
    for seed in plan.seeds:
        methods = [name for name in plan.methods if (name, seed) not in failed]
        if not methods:
            continue
        place = folder / "audits" / f"seed-{seed}"
        sources = [_run_folder(folder, name, seed) for name in methods]
        audited = _audited(place, sources, methods, how)
        if audited is None:
            say(f"auditing seed {seed}")
            with warnings.catch_warnings():  # the page tells them, once for all seeds
                warnings.simplefilter("ignore", FairvisionWarning)
                audit(
                    sources,
                    output=place,
                    data=whole.root,
                    names=methods,
                    leaning=False,
                    sanity=False,
                    overwrite=True,
                    device=plan.shared["device"],
                    workers=plan.shared["workers"],
                    cache=plan.shared["cache"],
                    quiet=plan.shared["quiet"],
                    **how,
                )
            audited = _read_audit(place, methods)
        by_seed[seed], notes[seed] = audited
    if not by_seed:
        raise InputError(f"no run could be trained; {next(iter(failed.values()))}")
    every = dict.fromkeys(text for texts in notes.values() for text in texts)
    seeds = {text: [seed for seed, texts in notes.items() if text in texts] for text in every}
    return by_seed, [
        text if len(of) == len(notes) else f"seed {', '.join(map(str, of))}: {text}"
        for text, of in seeds.items()
    ]


def _audited(
    place: Path, sources: Sequence[Path], methods: Sequence[str], how: AuditOptions
) -> tuple[Figures, list[str]] | None:
    """Return an audit of these runs, made in this way, if it is there already and whole."""
    if not (place / AUDIT).is_file():
        return None
    try:
        description = shapes.read(place / AUDIT, _AUDIT, "")
        audited = _read_audit(place, methods)
    except InputError:
        return None
    asked = {**how, "attribution_asked": how["attribution"]}
    del asked["attribution"]  # of which "auto" makes a method
    newest = max((run / runs.BEST).stat().st_mtime_ns for run in sources)
    is_same = (
        description["fairvision"] == __version__
        and description["models"] == list(methods)
        and all(description["settings"].get(name) == value for name, value in asked.items())
        and (place / AUDIT).stat().st_mtime_ns >= newest
    )
    return audited if is_same else None


def _read_audit(place: Path, methods: Sequence[str]) -> tuple[Figures, list[str]]:
    """Return the figures and the warnings of an audit."""
    description = shapes.read(place / AUDIT, _AUDIT, "audit again")
    checksums.check(place / "metrics.csv", place / AUDIT, description)
    return read(read_metrics(place / "metrics.csv"), list(methods)), description["verdict"][
        "warnings"
    ]


def _write(
    folder: Path,
    made: leaderboard.Board,
    table: pd.DataFrame,
    decided: Verdict,
    settings: SweepSettings,
) -> None:
    """Write the tables of a sweep and its page, and drop what they replace."""
    from fairvision.report.leaderboard import render

    page = render(board=made, verdict=decided, settings=settings)
    for name, content in ((TABLE, table), (FIGURES, leaderboard.figures(made))):
        write_csv(content, folder / name)
    write_text(folder / PAGE, page)
    drop_replaced(folder)


def _run_folder(folder: Path, method: str, seed: int) -> Path:
    """Return the folder of the run of a method with a seed."""
    return folder / "runs" / f"{method}-{seed}"

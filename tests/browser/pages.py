"""Pages of every kind, of figures that nobody measured, without torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
import pandas as pd

from fairvision import report
from fairvision.metrics.causes import REASONS
from fairvision.report import captions, leaderboard, releases
from fairvision.results import words
from fairvision.results.changes import Change, Compared, Comparison, StatusChange
from fairvision.results.figures import Figure, Key, read
from fairvision.results.findings import QUESTIONS
from fairvision.results.folder import SweepSettings
from fairvision.results.gallery import GalleryImage, ModelAnswer, Sentences
from fairvision.results.leaderboard import collect

TESTS = Path(__file__).parents[1]
REPORT = run_path(str(TESTS / "report" / "conftest.py"))
CAPTIONS = run_path(str(TESTS / "report" / "test_captions.py"))
LEANING = run_path(str(TESTS / "report" / "test_leaning.py"))

EVIL = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    '"><img src=x onerror="alert(3)">',
    "<!-- <script> \u2028 ]]> &lt;b&gt;",
)
SHAPES: dict[str, dict[str, Any]] = {
    "two models": {},
    "one model": {"models": ("only",)},
    "six models": {"models": tuple("abcdef"), "tasks": {"objects": ("tie",)}},
    "forty groups": {
        "models": ("only",),
        "attributes": {"country": tuple(f"country {i}" for i in range(40))},
        "tasks": {},
    },
    "eighty labels": {"tasks": {"objects": tuple(f"object {i}" for i in range(80))}},
    "right to left": {
        "models": ("דגם ראשון", "نموذج ثان"),
        "attributes": {"מגדר": ("אישה", "رجل", "לא ידוע לנו כלל")},
        "tasks": {"أشياء": ("حقيبة", "עניבה")},
    },
    "no masks": {"masks": False},
    "no tasks": {"tasks": {}},
    "hostile names": {
        "models": EVIL[:3],
        "attributes": {EVIL[1]: EVIL[1:]},
        "tasks": {EVIL[2]: EVIL},
    },
    "350 pictures": {"images": 350, "side": 192},
    "1,000 pictures": {"images": 1000, "side": 160},
}


def audited(images: int = 30, side: int = 64, **shape: Any) -> str:
    """Return the page of an audit, of the figures that the tests of the report are made of."""
    given = REPORT["make_input"](**{"items": 0, **shape})
    if given["metrics"]["attribute"].eq("gender").any():
        rows = LEANING["leaning_rows"](LEANING["THINGS"], tuple(given["models"]))
        given["metrics"] = pd.concat([given["metrics"], rows], ignore_index=True)
    given["gallery"] = photographs(images, side, **shape)
    given["settings"]["n"] = max(images, given["settings"]["n"])
    return report.render(**given)


def photographs(
    count: int,
    side: int = 64,
    *,
    models: tuple[str, ...] = ("baseline", "equalizer"),
    attributes: dict[str, tuple[str, ...]] | None = None,
    tasks: dict[str, tuple[str, ...]] | None = None,
    masks: bool = True,
    **_: Any,
) -> list[GalleryImage]:
    """Return what a page shows of images: every third answer of a model is wrong.

    Parameters
    ----------
    count, side : how many, and how wide and high they are
    models, attributes, tasks, masks : as for the tests of the report
    """
    attribute, groups = next(iter((attributes or {"gender": ("woman", "man")}).items()))
    labels = next(
        iter((tasks if tasks is not None else {"objects": ("handbag", "tie")}).values()), ()
    )
    rng = np.random.default_rng(0)
    names = [f"{EVIL[i % len(EVIL)]} {i}" if attribute in EVIL else f"p{i}" for i in range(count)]
    listed = []
    for i, name in enumerate(names):
        image, person, _ = REPORT["make_image"](rng, side)
        mask = person if masks else None
        answers = tuple(
            ModelAnswer(
                model,
                groups[(i + ((i + j) % 3 == 0)) % len(groups)],
                0.5 + (37 * i + 11 * j) % 50 / 100,
                rng.random((16, 16)).astype(np.float32) if masks else np.zeros((16, 16)),
                inside=bool(i % 2) if masks else None,
                holds=(i + j) % 9 / 8 if masks else None,
                why_no_map="" if masks else "no mask",
                reason=REASONS[2 + i % 2 if (i + j) % 3 == 0 else i % 2] if masks else "",
                hidden=(groups[0], 0.5) if masks else None,
                person=(groups[i % len(groups)], 0.75) if masks else None,
            )
            for j, model in enumerate(models)
        )
        donors = (names[(i + 1) % count],) if masks else ()
        shown = tuple(labels[i % max(1, len(labels)) :][:1])
        listed.append(
            GalleryImage(
                *("", name, attribute, groups[i % len(groups)], shown, image, mask, answers),
                donors=donors,
            )
        )
    return listed


def audited_on_tasks(images: int = 30) -> str:
    """Return the page of an audit of models that name no group, asked about two tasks."""
    tasks = {"objects": ("tie", "handbag"), "scene": ("indoors", "outdoors")}
    given = REPORT["make_input"](tasks=tasks, items=0)
    given["metrics"] = given["metrics"][given["metrics"]["task"] != ""]
    given["gallery"] = [
        replace(image, of_task=True, groups=("gender: woman",))
        for task in tasks.items()
        for image in photographs(images, attributes=dict([task]), tasks={})
    ]
    return report.render(**given)


def captioned(
    models: tuple[str, ...] = ("A", "B"),
    images: int = 0,
    *,
    pictures: bool = True,
    changed: bool = False,
    **more: Any,
) -> str:
    """Return the page of an audit of captions, with so many of `sentences`."""
    given = CAPTIONS["make_input"](models, **more)
    if images:
        given["gallery"] = sentences(images, models, pictures=pictures, changed=changed)
        given["settings"]["n"] = images
    return captions.render(**given)


def sentences(
    count: int,
    models: tuple[str, ...] = ("A", "B"),
    *,
    pictures: bool = True,
    changed: bool = False,
) -> list[GalleryImage]:
    """Return what a page shows of captioned images; of every third a model names the wrong group.

    Parameters
    ----------
    count, models : how many images, captioned by whom
    pictures : whether there are files of them, of every second
    changed : whether there are sentences about them with the person hidden, and maps
    """
    listed = []
    for i, image in enumerate(photographs(count, models=models)):
        answers = []
        for j, answer in enumerate(image.models):
            word = answer.answer if (i + j) % 5 else "person"
            named = answer.answer if (i + j) % 5 else ""
            whole = (("a ", ""), (word, named), (f" with thing {i}", ""))
            hidden = (("an empty street", ""),) if changed else ()
            elsewhere = (("a ", ""), ("man", "man")) if changed else ()
            answers.append(
                ModelAnswer(
                    answer.name,
                    named or None,
                    map=answer.map if changed else np.zeros((1, 1)),
                    mass=0.5 if changed else None,
                    sentences=Sentences(whole, hidden, elsewhere=elsewhere, word=word),
                )
            )
        listed.append(
            replace(
                image,
                kind=("wrong by A, right by B", "left open by one of them")[i % 2],
                image=image.image if pictures and i % 2 == 0 else None,
                mask=image.mask if changed else None,
                models=tuple(answers),
                donors=image.donors if changed else (),
            )
        )
    return listed


def compared(methods: tuple[str, ...] = ("baseline", "equalizer"), name: str = "scenes") -> str:
    """Return the page of a sweep over three seeds."""
    audits = {
        seed: read(REPORT["make_input"](methods, items=0, seed=seed)["metrics"], methods)
        for seed in range(3)
    }
    settings = SweepSettings(
        dataset=name,
        split="test",
        n=500,
        model="lecture_cnn",
        attribution="gradcam",
        replicates=1000,
        seeds=(0, 1, 2),
        options={"epochs": 8, "size": 64},
        options_of_methods={methods[-1]: {"strength": 2}},
        descriptions=dict.fromkeys(methods, "what it does"),
        audits=[f"audits/seed-{seed}/report.html" for seed in range(3)],
        versions={"fairvision": "0.1.0"},
    )
    verdict = REPORT["make_verdict"](list(methods), masks=True)
    return leaderboard.render(board=collect(audits, methods, 3), verdict=verdict, settings=settings)


def released(model: str = "mine", attribute: str = "gender", group: str = "female") -> str:
    """Return the page of what got worse from one audit to the next, in pairs and without."""
    changes, statuses = [], []
    for name in (model, f"{model} 2"):
        for metric in ("accuracy", "error", "accuracy_gap", "confusion"):
            for low in (-0.3, -0.05, 0.1):
                figures = [Figure(v, v - 0.1, v + 0.1, 90) for v in (0.6, 0.5 + low)]
                difference = Figure(low + 0.1, low, low + 0.2, 90, "difference")
                word = words.change(metric, 0.6, 0.5, low, low + 0.2)
                key = Key(metric, attribute, group=group)
                changes.append(Change(name, key, *figures, difference, word))
        about = (QUESTIONS[0], "accuracy_gap", attribute, "")
        statuses.append(StatusChange(name, *about, "none shown", "concern"))
    models = (
        Compared(model, model, 900, 1000, 850),
        Compared(f"{model} 2", model, 900, 1000, 0, "no picture is in both"),
    )
    came = (f"group {attribute}: {group}", f"model {model}")
    made = Comparison(Path("compared"), models, tuple(changes), tuple(statuses), came, came)
    return releases.render(made, f"audits/{model}", "audits/1.1", report="report.html")


PAGES: dict[str, Callable[[], str]] = {
    **{name: partial(audited, **shape) for name, shape in SHAPES.items()},
    "tasks alone": audited_on_tasks,
    "captions": partial(captioned, images=30),
    "captions alone": partial(captioned, images=30, pictures=False),
    "captions of changed pictures": partial(captioned, images=30, changed=True),
    "1,000 captions of six models": partial(captioned, tuple("ABCDEF"), images=1000),
    "captions of six models": partial(captioned, tuple("ABCDEF"), images=12),
    "hostile captions": partial(captioned, EVIL[:2], attribute=EVIL[2], groups=list(EVIL)),
    "leaderboard": compared,
    "leaderboard of eight methods": partial(compared, tuple("abcdefgh")),
    "hostile leaderboard": partial(compared, EVIL[:3], EVIL[3]),
    "releases": released,
    "hostile releases": partial(released, *EVIL[:3]),
}


@cache
def page(name: str) -> str:
    """Return one of `PAGES`, made once."""
    return PAGES[name]()

"""Which plots are shown, and which pairs."""

from __future__ import annotations

import pandas as pd

from fairvision.report import panels
from fairvision.results import figures

KEYS = {"attribute": "gender", "task": "objects", "unit": "difference"}


def pair(group: str, label: str, value: float, half: float, n: int) -> dict[str, object]:
    ends = {"value": value, "low": value - half, "high": value + half, "n": n}
    names = {"model": "m", "metric": "directional A->T", "group": group, "label": label}
    return {**KEYS, **names, **ends}


def read(*rows: dict[str, object]) -> figures.Figures:
    return figures.read(pd.DataFrame(rows), ["m"])


def test_strongest_pairs_are_those_whose_intervals_lie_furthest_from_zero():
    found = read(
        pair("a", "wide", 0.5, 0.6, 50),
        pair("a", "up", 0.2, 0.05, 50),
        pair("a", "down", -0.3, 0.05, 50),
        pair("a", "two pictures", 1.0, 0.0, 2),
        *(pair("a", f"weak {i}", 0.01, 0.05, 50) for i in range(20)),
    )
    (panel,) = panels.amplification(found, "gender")
    assert "two pictures" not in panel.svg
    places = [panel.svg.index(f">a · {label}<") for label in ("wide", "up", "weak 0", "down")]
    assert places == sorted(places)
    assert panel.svg.count("· weak") == 2 * 5


def test_a_label_stands_with_its_strongest_group_only():
    found = read(pair("a", "tie", 0.1, 0.05, 50), pair("b", "tie", -0.3, 0.05, 50))
    (panel,) = panels.amplification(found, "gender")
    assert ">b · tie<" in panel.svg
    assert "a · tie" not in panel.svg


def test_no_pair_with_enough_images_means_no_plot():
    assert list(panels.amplification(read(pair("a", "b", 1.0, 0.0, 3)), "gender")) == []


def test_plots_without_figures_are_left_out(report_input):
    given = report_input(masks=False, items=0)
    found = figures.read(given["metrics"], given["models"])
    assert len(list(panels.context(found, "gender"))) == 1
    assert list(panels.evidence(found, "gender")) == []
    assert list(panels.hidden(found, "gender")) == []


def test_amplification_by_evidence_stands_beside_its_difference(report_input):
    given = report_input(items=0)
    found = figures.read(given["metrics"], given["models"])
    (panel,) = panels.split(found, "gender")
    for name in ("evidence on the person", "evidence elsewhere", "elsewhere minus on the person"):
        assert f">{name}<" in panel.svg
    given = report_input(masks=False, items=0)
    assert list(panels.split(figures.read(given["metrics"], given["models"]), "gender")) == []


def test_majority_is_the_largest_known_group_share(report_input):
    given = report_input(attributes={"age": ("young", "old")}, items=0)
    found = figures.read(given["metrics"], given["models"])
    assert found.majority("age") == 0.5


def row(metric: str, value: float, *, n: int = 50, **keys: str) -> dict[str, object]:
    names = {"model": "m", "attribute": "gender", "task": "", "group": "", "label": "", **keys}
    ends = {"value": value, "low": value - 0.05, "high": value + 0.05, "n": n}
    return {**names, "metric": metric, "unit": "fraction", **ends}


def test_consistency_stands_by_what_was_changed():
    found = read(
        row("counterfactual_flips", 0.4),
        row("counterfactual_flips", 0.6, label="surroundings"),
        row("counterfactual_flips", 0.1, label="light"),
        row("counterfactual_flips", 0.9, group="a", label="light"),
    )
    (panel,) = panels.consistency(found, "gender")
    assert panel.title == "Answers on gender that turn with something else"
    places = [panel.svg.index(f">{name}<") for name in ("all pairs", "surroundings", "light")]
    assert places == sorted(places)
    assert panel.svg.count(">light<") == 1
    assert list(panels.consistency(found, "age")) == []


def test_effects_of_the_person_stand_by_group_widest_gaps_first():
    labels = {"pan": 0.1, "tie": 0.5, "hat": 0.3, "cup": 0.2, "kite": 0.05, "rare": 0.9}
    found = read(
        *(
            row("person_effect", sign * gap, task="objects", group=group, label=label)
            for label, gap in labels.items()
            for group, sign in {"a": 0.5, "b": -0.5}.items()
        ),
        *(
            row(
                *("person_effect_gap", gap),
                n=3 if label == "rare" else 50,
                task="objects",
                label=label,
            )
            for label, gap in labels.items()
        ),
    )
    (panel,) = panels.person_effects(found, "gender")
    names = [f"{group} · {label}" for label in ("tie", "hat", "cup", "pan") for group in "ab"]
    places = [panel.svg.index(f">{name}<") for name in names]
    assert places == sorted(places)
    assert "kite" not in panel.svg
    assert "rare" not in panel.svg

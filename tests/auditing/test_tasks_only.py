"""Models that nobody trained on an attribute: what an audit says of their tasks, by known rules."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from html import unescape
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

import fairvision
from fairvision import datasets
from fairvision.auditing.task_verdict import task_answers, task_headline
from fairvision.datasets import Dataset
from fairvision.results.figures import COLUMNS, read
from fairvision.results.gallery import TASK_KINDS
from fairvision.schema import Task

SIZE, HALF = 16, slice(4, 12)
GROUPS = {"woman": 255, "man": 0}
SURE = 1 / (1 + np.exp(-5))
CORNER = {"left": 0.0, "top": 0.0, "right": 0.25, "bottom": 0.25}
MIDDLE = {"left": 0.25, "top": 0.25, "right": 0.75, "bottom": 0.75}
HOW = {"replicates": 60, "swaps": 2, "sanity": False, "device": "cpu"}
pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")


class ByPerson(nn.Module):
    """Says cook, and pan and hat, as far as the person in the middle is bright."""

    def __init__(self, *heads: str) -> None:
        super().__init__()
        self.heads, self.scale = heads, nn.Parameter(torch.tensor(10.0))

    def forward(self, images):
        bright = self.scale * (images[:, :, HALF, HALF].mean(dim=(1, 2, 3)) - 0.5)
        made = {
            "job": torch.stack([bright / 2, -bright / 2], dim=1),
            "objects": torch.stack([bright, -bright], dim=1),
            "gender": torch.stack([bright / 2, -bright / 2], dim=1),
        }
        return {head: made[head] for head in self.heads}


HEADS = {"job": ["cook", "pilot"], "objects": ["pan", "hat"], "gender": ["woman", "man"]}


def model(*heads: str) -> fairvision.models.Model:
    many = [head for head in heads if head == "objects"]
    return fairvision.Model(
        ByPerson(*heads), heads={head: HEADS[head] for head in heads}, many=many, size=SIZE
    )


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Dataset:
    """72 people before grey: bright women, of whom 3 of 4 cook, and dark men, who are pilots.

    What they cook with is in a corner, what they fly with in their hands.
    """
    folder = tmp_path_factory.mktemp("people")
    rows, boxes = [], []
    mask = np.zeros((SIZE, SIZE), bool)
    mask[HALF, HALF] = True
    Image.fromarray(mask).save(folder / "mask.png")
    for i in range(144):
        group = list(GROUPS)[i % 2]
        image = np.full((SIZE, SIZE, 3), 128, np.uint8)
        image[HALF, HALF] = GROUPS[group]
        image[0, 0] = i  # no two are the same
        Image.fromarray(image).save(folder / f"{i}.png")
        job = "cook" if group == "woman" and i % 8 else "pilot"
        rows.append(
            {
                "id": f"p{i}",
                "image": f"{i}.png",
                "mask": "mask.png",
                "split": "train" if i < 72 else "test",
                "gender": group,
                "job": job,
                "objects": ("pan",) if job == "cook" else ("pan", "hat") if i % 3 else (),
            }
        )
        place = CORNER if job == "cook" else MIDDLE
        boxes.append({"id": f"p{i}", "task": "job", "label": job, **place})
    tasks = {"job": Task(("cook", "pilot")), "objects": Task(("pan", "hat"), many=True)}
    made = Dataset(folder, "people", {"gender": tuple(GROUPS)}, tasks, pd.DataFrame(rows))
    made = replace(made, size=(SIZE, SIZE))
    datasets.save(made, folder)
    datasets.save_regions(pd.DataFrame(boxes), made)
    return datasets.load(folder)


def value(table, metric, **keys):
    keys = {"attribute": "", "task": "", "group": "", "label": "", **keys}
    rows = table[table["metric"] == metric]
    for name, wanted in keys.items():
        rows = rows[rows[name] == wanted]
    (number,) = rows["value"]
    return number


def words(done) -> str:
    hidden = r"<style>.*?</style>|<script.*?</script>|</?(bdi|strong)>"
    page = re.sub(hidden, "", done.report.read_text(), flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def pictures(done) -> dict[str, Any]:
    """What the script of the page reads."""
    _, _, rest = done.report.read_text().partition('id="album-data">')
    return json.loads(rest.partition("</script>")[0])


def answers(done) -> dict[str, str]:
    return {answer.question: answer.status for answer in done.verdict.answers}


@pytest.fixture(scope="module")
def job_only(people, tmp_path_factory):
    output = tmp_path_factory.mktemp("audits") / "audit"
    return fairvision.audit(
        {"jobs": model("job")}, data=people.root, output=output, attribution="saliency", **HOW
    )


def test_figures_of_a_known_rule(job_only):
    """Women are always said to cook, men never; what is right of that, and moves, is known."""
    table, of_job = job_only.metrics, {"task": "job"}
    woman, man = (
        {"task": "job", "attribute": "gender", "group": group} for group in ("woman", "man")
    )
    assert value(table, "accuracy", **of_job) == pytest.approx(0.875)
    assert value(table, "accuracy", **woman) == pytest.approx(0.75)
    assert value(table, "accuracy_gap", attribute="gender", task="job") == pytest.approx(0.25)
    # hidden, the middle is as grey as the rest, and the first of equal answers is cook
    assert value(table, "hidden_task_accuracy", **woman) == pytest.approx(0.75, abs=0.3)
    for keys, effect in ((woman, SURE - 0.5), (man, 0.5 - SURE)):
        got = value(table, "person_effect", **keys, label="cook")
        assert got == pytest.approx(effect, abs=0.01)
    gap = value(table, "person_effect_gap", attribute="gender", task="job", label="cook")
    assert gap == pytest.approx(2 * SURE - 1, abs=0.02)
    # evidence is on the person: on what pilots hold, off what is cooked with
    assert value(table, "pointing_game", **woman) == pytest.approx(0.25)
    assert value(table, "pointing_game", **man) == 1
    assert value(table, "directional A->T", attribute="gender", task="job") > 0


def test_the_headline_and_the_answers_tell_of_the_task(job_only):
    opening, first = job_only.verdict.headline.splitlines()[:2]
    assert opening.startswith("It gets 100% of those annotated “man” right about job, and 75% of")
    assert first.startswith("jobs is right about job in 87.5%")
    assert "for man (100.0%) more often than for woman (75.0%)" in first
    assert "it says job by gender, more than the truth does" in first
    assert answers(job_only) == {
        "Is jobs right about job as often for every group of gender?": "no",
        "Does the evidence of jobs for job lie on its objects?": "yes",
        "Does what jobs says of job turn with whom it sees, by gender?": "yes",
        "Does jobs amplify the bias of gender?": "yes",
    }
    assert not re.search("right about gender|for gender lie|context for gender", words(job_only))


def test_no_section_is_empty_without_a_reason(job_only):
    page = words(job_only)
    assert "Not measured in this audit" not in page
    assert "this model does not name a group" in page
    assert "No pictures were kept" not in page
    for column in ("Evidence on its objects", "Accuracy, person hidden"):
        assert column in page
    assert any("jobs names no group of gender" in line for line in job_only.verdict.left_out)
    # both groups are there, wrong and right, and held against the objects
    assert "annotated cook gender woman right, evidence elsewhere" in page
    assert "annotated pilot gender man right, evidence on its objects" in page
    assert "names what is not there" not in page
    item = next(item for item in pictures(job_only)["items"] if "map" in item["answers"][0])
    assert item["about"] == 0
    assert item["outline"]


def test_all_pictures_are_shown_the_telling_ones_with_maps(job_only, people):
    test = people.samples.query("split == 'test'")["id"]
    shown = pictures(job_only)
    assert sorted(picture["id"] for picture in shown["pictures"]) == sorted(test)
    with_map = ["map" in item["answers"][0] for item in shown["items"]]
    assert with_map == sorted(with_map, reverse=True)
    assert 0 < sum(with_map) < len(test)
    last = shown["items"][-1]["answers"][0]
    assert last["noMap"] == "drawn for the most telling pictures only"
    assert "mass" not in last
    assert f"All {len(test)} audited pictures" in words(job_only)


def test_tasks_of_many_labels(people, tmp_path):
    done = fairvision.audit(
        {"things": model("objects")}, data=people.root, output=tmp_path / "audit", **HOW
    )
    assert "of the decisions on its labels" in done.verdict.headline.splitlines()[1]
    page = words(done)
    assert all(kind in page for kind in TASK_KINDS[1:3])
    assert "annotated no " in page
    status = answers(done)["Does what things says of objects turn with whom it sees, by gender?"]
    assert status == "yes"
    why = "things, objects: whether the evidence lies on its objects (the data do not say where"
    assert any(line.startswith(why) for line in done.verdict.left_out)


def test_beside_a_model_that_names_groups(people, tmp_path):
    both = {"all": model("gender", "job"), "jobs": model("job")}
    done = fairvision.audit(
        both, data=people.root, output=tmp_path / "audit", attribution="saliency", **HOW
    )
    _, *lines = done.verdict.headline.splitlines()
    assert lines[0].startswith("jobs is right about job in 87.5%")
    assert lines[1].startswith("From all to jobs: accuracy on job 0.000")
    assert any(line.startswith("all is right about gender in 100.0%") for line in lines)
    asked = answers(done)
    for name in both:
        assert f"Does the evidence of {name} for job lie on its objects?" in asked
    assert "Is all right about gender for the right reasons?" in asked
    assert "Is jobs right about gender for the right reasons?" not in asked
    page = words(done)
    assert "annotated cook" in page
    assert pictures(done)["about"] == ["job"]
    assert "not all of these name one" in page


@pytest.mark.parametrize("lacking", ["masks", "regions", "attribute", "attribution"])
def test_what_could_not_be_measured_is_said(lacking, people, tmp_path):
    data, regions = people, datasets.read_regions(people)
    if lacking == "masks":
        data = replace(data, samples=data.samples.drop(columns="mask"))
    if lacking == "attribute":
        data = replace(data, attributes={})
    copy = tmp_path / "copy"
    shutil.copytree(people.root, copy)
    (copy / "regions.parquet").unlink()
    datasets.save(replace(data, root=copy), copy)
    if lacking != "regions":
        datasets.save_regions(regions, datasets.load(copy))
    attribution = "none" if lacking == "attribution" else "saliency"
    done = fairvision.audit(
        {"jobs": model("job")}, data=copy, output=tmp_path / "a", attribution=attribution, **HOW
    )
    expected = {
        "masks": "jobs, job: what seeing the person does to it (no picture has a person mask)",
        "regions": "jobs, job: whether the evidence lies on its objects (the data do not say",
        "attribute": "no attribute: nothing about groups",
        "attribution": "jobs: where its evidence lies, and whether that can be trusted: no",
    }
    page = words(done)
    assert any(line.startswith(expected[lacking]) for line in done.verdict.left_out)
    assert expected[lacking] in page
    if lacking == "attribution":
        assert "evidence no evidence" not in page
    elif lacking != "attribute":
        assert "jobs is right about job" in done.verdict.headline


def row(metric, number, low, high, **keys):
    keys = {"attribute": "", "task": "", "group": "", "label": "", **keys}
    return {"model": "A", "metric": metric, **keys, "unit": "fraction"} | {
        "value": number, "low": low, "high": high, "n": 90,
    }  # fmt: skip


def test_a_gap_that_was_the_widest_of_many_has_to_be_wider():
    """Of two groups an interval above zero is enough; the widest of 15 pairs is so by chance."""

    def verdict(groups: int):
        of = {"attribute": "skin", "task": "job"}
        rows = [row("accuracy", 0.8, 0.7, 0.9, task="job")]
        rows += [
            row("accuracy", 0.8 - i / 50, 0.6, 0.9, group=f"g{i}", **of) for i in range(groups)
        ]
        rows.append(row("accuracy_gap", 0.1, 0.02, 0.18, **of))
        figures = read(pd.DataFrame(rows, columns=list(COLUMNS)), ["A"])
        (answer,) = task_answers(figures)
        return answer.status, task_headline(figures, "A")[0]

    assert verdict(2)[0] == "no"
    assert "for g0 (80.0%) more often than for g1 (78.0%)" in verdict(2)[1]
    assert verdict(6)[0] == "unclear"
    assert (
        "no difference between the groups of skin was shown, as chance puts some of so many as "
        "far apart"
    ) in verdict(6)[1]

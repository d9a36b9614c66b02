"""Tasks: whether evidence lies on their objects, and what seeing the person does to them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from fairvision import datasets, metrics
from fairvision.auditing import tables
from fairvision.auditing.columns import score_columns
from fairvision.auditing.material import of_models, post_processed
from fairvision.auditing.measures import measure
from fairvision.auditing.tables import Samples
from fairvision.auditing.task_evidence import with_task_evidence
from fairvision.datasets import Dataset
from fairvision.models import probabilities
from fairvision.runs.thresholds import Interpolation, Rule
from fairvision.schema import Schema, Task

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
SIZE, CPU = 16, torch.device("cpu")
SCHEMA = Schema(
    {"gender": ("woman", "man")},
    {"job": Task(("cook", "pilot")), "objects": Task(("pan", "hat", "cup"), many=True)},
)
LEFT = {"left": 0.0, "top": 0.0, "right": 0.5, "bottom": 1.0}
RIGHT = {**LEFT, "left": 0.5, "right": 1.0}
HOW = {"leaning": False, "sanity": False, "sanity_pictures": 1, "swaps": 0, "fill": "mean"} | {
    "replicates": 10,
    "seed": 0,
}

HALF = Interpolation(0.5, 0.2, 0.5, 0.8)
"""A mixture: yes to .4 in half of the draws."""


class Looks(nn.Module):
    """Sees every label by the brightness of one half of the image."""

    def __init__(self, right: dict[str, list[bool]]):
        super().__init__()
        self.right, self.scale = right, nn.Parameter(torch.ones(1))

    def forward(self, images):
        halves = images.mean(dim=1).mean(dim=1).reshape(len(images), 2, -1).mean(dim=2)
        return {
            head: self.scale * torch.stack([halves[:, int(side)] for side in sides], dim=1)
            for head, sides in self.right.items()
        }


@dataclass
class Sees:
    """A model of a module."""

    module: nn.Module
    name: str = "sees"
    schema: Schema = field(default_factory=lambda: SCHEMA)
    size: int = SIZE
    device: torch.device = CPU

    def predict(self, images):
        with torch.inference_mode():
            return probabilities(self.module(images), self.schema)


def sees(**right):
    sides = {"gender": [0, 1], "job": [0, 1], "objects": [0, 0, 1], **right}
    return Sees(Looks(sides))


@pytest.fixture
def photos(tmp_path) -> Dataset:
    """Six photos: a cook's pan is on the left, a pilot's hat on the right; people on the left."""
    rows = []
    for i in range(6):
        noise = np.random.default_rng(i).integers(60, 200, (SIZE, SIZE, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{i}.png")
        mask = np.zeros((SIZE, SIZE), bool)
        mask[4:12, 1:6] = True
        Image.fromarray(mask).save(tmp_path / f"{i}-mask.png")
        rows.append(
            {
                "id": f"p{i}",
                "image": f"{i}.png",
                "mask": f"{i}-mask.png",
                "split": "test",
                "gender": ["woman", "man"][i % 2],
                "job": ["cook", "pilot", None][i % 3],
                "objects": [("pan",), ("hat",), ("pan", "hat"), (), None, ("cup",)][i],
            }
        )
    made = Dataset(
        tmp_path, "photos", SCHEMA.attributes, SCHEMA.tasks, pd.DataFrame(rows), size=(SIZE, SIZE)
    )
    datasets.save(made, tmp_path)
    return datasets.load(tmp_path)


def boxes(*rows) -> pd.DataFrame:
    return pd.DataFrame(
        [{"id": i, "task": task, "label": label, **box} for i, task, label, box in rows]
    )


def plain(model, dataset) -> Samples:
    """Samples without any column."""
    return Samples(model.name, dataset, pd.DataFrame(index=dataset.samples.index))


def evidence(model, dataset, regions, task, method="saliency", **how):
    (done,) = with_task_evidence([model], [plain(model, dataset)], regions, methods=[method], **how)
    names = [f"evidence/{method}/{m}/{task}" for m in tables.MEASURES]
    return done.scores[[*names, f"evidence/chance/{task}"]].to_numpy().T


def test_evidence_on_the_objects_of_the_true_label(photos):
    """Cooks are seen on the left, pilots on the right: all on the boxes, or all beside them."""
    regions = boxes(
        ("p0", "job", "cook", LEFT),
        ("p1", "job", "pilot", RIGHT),
        ("p3", "job", "cook", RIGHT),
        ("p4", "job", "cook", LEFT),  # but p4 is a pilot
    )
    hits, mass, chance = evidence(sees(), photos, regions, "job")
    nan = np.nan
    np.testing.assert_array_equal(hits, [1, 1, nan, 0, nan, nan])
    np.testing.assert_allclose(mass, [1, 1, nan, 0, nan, nan])
    np.testing.assert_allclose(chance, [0.5, 0.5, nan, 0.5, nan, nan])


def test_many_labels_are_averaged_and_several_boxes_are_one_thing(photos):
    top = {**LEFT, "bottom": 0.5}
    low = {**LEFT, "top": 0.5}
    regions = boxes(
        ("p0", "objects", "pan", top),
        ("p0", "objects", "pan", low),
        ("p2", "objects", "pan", LEFT),
        ("p2", "objects", "hat", RIGHT),
        ("p5", "objects", "cup", top),
        ("p3", "objects", "cup", LEFT),  # which p3 does not show
    )
    hits, mass, chance = evidence(sees(), photos, regions, "objects", batch_size=2)
    nan = np.nan
    np.testing.assert_allclose(mass, [1, nan, 0.5, nan, nan, 0])
    np.testing.assert_allclose(hits, [1, nan, 0.5, nan, nan, 0])
    np.testing.assert_allclose(chance, [0.5, nan, 0.5, nan, nan, 0.25])


def test_batches_change_nothing(photos):
    regions = boxes(*((f"p{i}", "objects", "pan", LEFT) for i in (0, 2)))
    one, all_at_once = (
        evidence(sees(), photos, regions, "objects", batch_size=size) for size in (1, 64)
    )
    np.testing.assert_array_equal(one, all_at_once)


def test_boxes_of_everything_and_blank_maps_are_undefined(photos):
    whole = {"left": 0.0, "top": 0.0, "right": 1.0, "bottom": 1.0}
    regions = boxes(("p0", "job", "cook", whole))
    assert np.isnan(evidence(sees(), photos, regions, "job")).all()
    blind = sees()
    blind.module.scale.data.zero_()
    regions = boxes(("p0", "job", "cook", LEFT))
    assert np.isnan(evidence(blind, photos, regions, "job")).all()


def test_labels_in_another_order(photos):
    tasks = {**SCHEMA.tasks, "job": Task(("pilot", "cook"))}
    other = sees(job=[1, 0])
    other.schema = Schema(SCHEMA.attributes, tasks)
    regions = boxes(("p0", "job", "cook", LEFT), ("p1", "job", "pilot", RIGHT))
    np.testing.assert_array_equal(
        evidence(other, photos, regions, "job"), evidence(sees(), photos, regions, "job")
    )


def figure(table, metric, model="sees", **keys):
    keys = {"model": model, "attribute": "", "task": "", "group": "", "label": "", **keys}
    chosen = table[table["metric"] == metric]
    for name, value in keys.items():
        chosen = chosen[chosen[name] == value]
    (row,) = chosen.to_dict("records")
    return row


def test_an_audit_has_all_of_it(photos):
    regions = boxes(
        ("p0", "job", "cook", LEFT), ("p1", "job", "pilot", RIGHT), ("p3", "job", "cook", RIGHT)
    )
    datasets.save_regions(regions, photos)
    models = [sees(), sees(job=[1, 0])]
    models[1].name = "turned"
    material = of_models(models, photos, "test", attribution="saliency", **HOW)
    columns = set(material.models[0].scores)
    assert {"hidden/job/cook", "person/job/pilot", "hidden/objects/cup"} <= columns
    assert "evidence/saliency/pointing_game/job" in columns
    assert "evidence/saliency/pointing_game/objects" not in columns
    rows = measure(material.models, None, replicates=20)
    of_job = figure(rows, "pointing_game", task="job")
    assert (of_job["value"], of_job["n"]) == (pytest.approx(2 / 3), 3)
    assert figure(rows, "pointing_game", "turned", task="job")["value"] == pytest.approx(1 / 3)
    assert figure(rows, "relevance_mass_lift", task="job")["value"] == pytest.approx(1 / 6)
    change = figure(rows, "pointing_game", "turned - sees", task="job")
    assert change["value"] == pytest.approx(-1 / 3)
    women = figure(rows, "pointing_game", attribute="gender", task="job", group="woman")
    assert (women["value"], women["n"]) == (1, 1)
    gap = figure(rows, "pointing_game_gap", attribute="gender", task="job")
    assert gap["value"] == pytest.approx(0.5)
    # the attribute keeps its own
    assert figure(rows, "pointing_game", attribute="gender")["n"] == 6


class TestPersonEffect:
    """Probabilities by hand: women raise `cook` by .3, men lower it by .1."""

    @pytest.fixture
    def samples(self) -> Samples:
        n = 40
        gender = np.array(["woman", "man"] * (n // 2), object)
        job = np.where(np.arange(n) % 4 < 2, "cook", "pilot").astype(object)
        gender[:2] = None
        job[2] = None
        objects = [("pan",) if i % 2 else ("pan", "cup") for i in range(n)]
        truth = Dataset.of_columns(
            SCHEMA,
            pd.DataFrame({"id": [f"p{i}" for i in range(n)], "split": "test"}),
            {
                "gender": SCHEMA.column("gender", gender),
                "job": SCHEMA.column("job", job),
                "objects": SCHEMA.column("objects", objects),
            },
            root=None,
            name="by hand",
        )
        cook = 0.5 + np.where(np.arange(n) % 2 == 0, 0.3, -0.1)
        scores = {"score/job/cook": cook, "score/job/pilot": 1 - cook}
        scores |= dict.fromkeys(score_columns("hidden", "job", ("cook", "pilot")), np.full(n, 0.5))
        for label, change in {"pan": 0.2, "hat": 0.0, "cup": -0.4}.items():
            scores[f"score/objects/{label}"] = np.full(n, 0.5 + change)
            scores[f"hidden/objects/{label}"] = np.full(n, 0.5)
        table = pd.DataFrame(scores)
        table.loc[39, [name for name in table if name.startswith("hidden")]] = np.nan  # no mask
        return Samples("sees", truth, table)

    @pytest.fixture
    def rows(self, samples):
        return measure([samples], None, replicates=50)

    def test_of_each_label_by_group(self, rows):
        keys = {"attribute": "gender", "task": "job"}
        cook = {"label": "cook"}
        women = figure(rows, "person_effect", group="woman", **keys, **cook)
        men = figure(rows, "person_effect", group="man", **keys, **cook)
        assert (women["value"], women["n"]) == (pytest.approx(0.3), 19)
        assert (men["value"], men["n"]) == (pytest.approx(-0.1), 18)
        for label in ("cook", "pilot"):
            gap = figure(rows, "person_effect_gap", label=label, **keys)
            assert gap["value"] == pytest.approx(0.4)
            assert gap["n"] == 36  # those whose job is known
        everybody = figure(rows, "person_effect", task="job", **cook)
        assert (everybody["value"], everybody["n"]) == (pytest.approx((20 * 0.3 - 1.9) / 39), 39)

    def test_of_the_true_label(self, rows, samples):
        effect = np.where(np.arange(40) % 2 == 0, 0.3, -0.1)
        effect *= np.where(samples.truth.samples["job"] == "cook", 1, -1)
        effect[[2, 39]] = np.nan
        whole = figure(rows, "person_effect", task="job")
        assert (whole["value"], whole["n"]) == (pytest.approx(np.nanmean(effect)), 38)
        groups = samples.truth.samples["gender"]
        means = metrics.mean_by_group(effect, groups, replicates=0)
        women = figure(rows, "person_effect", attribute="gender", task="job", group="woman")
        assert women["value"] == pytest.approx(means["woman"].value)
        gap = figure(rows, "person_effect_gap", attribute="gender", task="job")
        jobs = samples.truth.samples["job"][~np.isnan(effect) & groups.notna()]
        cooks = (jobs == "cook").mean()
        assert gap["value"] == pytest.approx(abs(0.4 * cooks - 0.4 * (1 - cooks)))
        assert gap["low"] - 1e-9 <= gap["value"] <= gap["high"] + 1e-9

    def test_groups_that_are_shown_with_other_things_are_compared_alike(self):
        """Seeing a person adds .6 where there is a pan, whoever it is; women stand by pans."""
        random = np.random.default_rng(0)
        gender = np.repeat(["woman", "man"], 100).astype(object)
        job = np.where(random.random(200) < np.repeat([0.9, 0.1], 100), "cook", "pilot")
        truth = Dataset.of_columns(
            SCHEMA,
            pd.DataFrame({"id": [f"p{i}" for i in range(200)], "split": "test"}),
            {
                "gender": SCHEMA.column("gender", gender),
                "job": SCHEMA.column("job", job.astype(object)),
                "objects": SCHEMA.column("objects", [("pan",) if j == "cook" else () for j in job]),
            },
            root=None,
            name="n",
        )
        cook = np.where(job == "cook", 0.8, 0.2)
        scores = {"score/job/cook": cook, "score/job/pilot": 1 - cook}
        scores |= {"hidden/job/cook": np.full(200, 0.2), "hidden/job/pilot": np.full(200, 0.8)}
        for kind in ("score", "hidden"):
            of_pan = scores[f"{kind}/job/cook"]
            scores |= {f"{kind}/objects/{o}": of_pan * (o == "pan") for o in ("pan", "hat", "cup")}
        rows = measure([Samples("sees", truth, pd.DataFrame(scores))], None, replicates=50)
        for task, label in (("job", "cook"), ("objects", "pan")):
            keys = {"attribute": "gender", "task": task, "label": label}
            women, men = (
                figure(rows, "person_effect", group=group, **keys)["value"]
                for group in ("woman", "man")
            )
            assert women > 0.45
            assert men < 0.15
            gap = figure(rows, "person_effect_gap", **keys)
            for end in ("value", "low", "high"):
                assert gap[end] == pytest.approx(0)
        assert not len(
            rows[(rows["metric"] == "person_effect_gap") & (rows["task"] == "objects")].query(
                "label == ''"
            )
        )

    def test_groups_that_are_never_shown_alike_have_no_gap(self, samples):
        truth = samples.truth
        apart = [{"woman": "cook", "man": "pilot"}.get(group) for group in truth.samples["gender"]]
        columns = {head: truth.schema.column(head, truth.samples[head]) for head in truth.schema}
        columns["job"] = truth.schema.column("job", apart)
        table = truth.samples[["id", "split"]]
        other = Dataset.of_columns(SCHEMA, table, columns, root=None, name="n")
        rows = measure([Samples("sees", other, samples.scores)], None, replicates=20)
        gap = figure(rows, "person_effect_gap", attribute="gender", task="job", label="cook")
        assert np.isnan(gap["value"])
        assert gap["n"] == 0

    def test_many_labels_are_averaged(self, rows):
        assert figure(rows, "person_effect", task="objects")["value"] == pytest.approx(
            (20 * 0.5 * (0.2 - 0.4) + 19 * 0.2) / 39
        )
        assert figure(rows, "person_effect", task="objects", label="hat")["value"] == 0

    def test_differences_are_paired(self, samples):
        other = samples.scores.assign(**{"score/job/cook": 0.5, "score/job/pilot": 0.5})
        blind = Samples("blind", samples.truth, other)
        rows = measure([samples, blind], None, replicates=50)
        keys = {"attribute": "gender", "task": "job", "label": "cook"}
        assert figure(rows, "person_effect_gap", "blind", **keys)["value"] == 0
        change = figure(rows, "person_effect_gap", "blind - sees", **keys)
        assert change["value"] == pytest.approx(-0.4)
        assert change["low"] == pytest.approx(-0.4)
        assert change["high"] == pytest.approx(-0.4)

    def test_without_masks_there_is_none(self, samples):
        scores = samples.scores[[c for c in samples.scores if not c.startswith("hidden")]]
        rows = measure([Samples("sees", samples.truth, scores)], None, replicates=10)
        assert not rows["metric"].str.startswith("person_effect").any()


def test_who_does_not_look_at_the_person_has_no_effect(photos):
    """Hiding a person on the left moves nothing of who looks at the right."""
    regions = datasets.read_regions(photos)
    assert not len(regions)
    models = [sees(objects=[1, 1, 1]), sees(objects=[0, 0, 0])]
    models[1].name = "left"
    material = of_models(models, photos, "test", attribution="saliency", **HOW)
    rows = measure(material.models, None, replicates=10)
    assert figure(rows, "person_effect", task="objects", label="pan")["value"] == 0
    assert figure(rows, "person_effect", "left", task="objects", label="pan")["value"] != 0


def test_a_rule_bends_what_is_said_of_parts_and_counterfactuals_too():
    """One threshold per group; women's is .2, so .4 is yes; and a draw that is the original's."""
    n = 200
    schema = Schema({"gender": ("woman", "man")}, {"job": Task(("cook",), many=True)})
    ids = [f"p{i}" for i in range(n)]
    columns = {
        "gender": schema.column("gender", ["woman", "man"] * (n // 2)),
        "job": schema.column("job", [("cook",)] * n),
    }
    truth = Dataset.of_columns(
        schema, pd.DataFrame({"id": ids, "split": "test"}), columns, root=None, name="n"
    )
    pairs = pd.DataFrame({"id": [f"{i}x" for i in ids], "split": "test"})
    pairs = pairs.assign(counterfactual_of=ids, changed="light")
    made = Dataset.of_columns(schema, pairs, columns, root=None, name="n")
    rule = Rule(
        "gender",
        {"job": {"cook": {"woman": Interpolation(1, 0.2, 0, 0.2), "man": HALF}}},
        with_group=n,
        images=n,
    )
    scores = pd.DataFrame({f"{kind}/job/cook": np.full(n, 0.4) for kind in tables.SCORES})
    alike = Samples("m", made, scores[["score/job/cook"]])
    changed = post_processed(Samples("m", truth, scores, counterfactuals=alike), rule, seed=0)
    for kind in tables.SCORES:
        np.testing.assert_array_equal(
            changed.scores[f"{kind}/job/cook"], changed.scores["score/job/cook"]
        )
    women = changed.scores["score/job/cook"].to_numpy()[::2]
    assert (women > 0.5).all()
    men = changed.scores["score/job/cook"].to_numpy()[1::2] > 0.5
    assert 0.3 < men.mean() < 0.7
    np.testing.assert_array_equal(
        changed.counterfactuals.scores["score/job/cook"], changed.scores["score/job/cook"]
    )

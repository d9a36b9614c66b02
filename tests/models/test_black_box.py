"""Any function as a model: answers, tries, what is kept, and what is refused."""

from __future__ import annotations

import sqlite3
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import fairvision
from fairvision import models
from fairvision.errors import InputError

HEADS = {"ripe": ["no", "yes"]}
IMAGES = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def redness(images):
    return np.array([np.asarray(image)[..., 0].mean() / 255 for image in images])


def of(function, **how):
    return fairvision.BlackBox(function, **({"heads": HEADS, "size": 8, "wait": 0.0} | how))


@pytest.mark.parametrize(
    "function",
    [
        redness,
        lambda images: redness(images)[:, None],
        lambda images: np.stack([1 - redness(images), redness(images)], axis=1),
        lambda images: {"ripe": redness(images).tolist()},
        lambda images: torch.from_numpy(redness(images)),
    ],
)
def test_figures_are_those_by_hand(function):
    model = of(function)
    assert isinstance(model, models.Model)
    assert model.module is None
    expected = ((IMAGES * 255).round() / 255)[:, 0].mean(dim=(1, 2))
    assert torch.allclose(model.predict(IMAGES)["ripe"][:, 1], expected, atol=1e-6)


def test_it_sees_batches_and_equal_images_once():
    sizes = []

    def counted(images):
        sizes.append(len(images))
        return redness(images)

    model = of(counted)
    model.predict(IMAGES)
    model.predict(torch.cat([IMAGES, IMAGES, 1 - IMAGES]))
    assert sizes == [6, 6]
    assert model.predict(IMAGES[:0])["ripe"].shape == (0, 2)


def test_calls_that_fail_are_tried_again():
    calls = []

    def flaky(images):
        calls.append(len(images))
        if len(calls) < 3:
            raise ConnectionError("try later")
        return redness(images)

    assert of(flaky).predict(IMAGES)["ripe"].shape == (6, 2)
    assert calls == [6, 6, 6]
    calls.clear()
    with pytest.raises(InputError, match=r"failed on 6 images in 2 tries: ConnectionError: try"):
        of(flaky, retries=1).predict(IMAGES)


def test_an_interrupted_audit_does_not_pay_twice(tmp_path):
    paid = []

    def dear(images):
        if len(paid) >= 4:
            raise RuntimeError("out of money")
        paid.extend(images)
        return redness(images)

    first = of(dear, cache=tmp_path / "answers", retries=0)
    before = first.predict(IMAGES[:4])["ripe"]
    with pytest.raises(InputError, match="out of money"):
        first.predict(IMAGES)
    paid.clear()
    again = of(dear, cache=tmp_path / "answers").predict(IMAGES)["ripe"]
    assert len(paid) == 2
    assert torch.equal(again[:4], before)
    with pytest.raises(InputError, match="other heads or labels"):
        of(dear, heads={"ripe": ["no", "maybe"]}, cache=tmp_path / "answers")


def test_damaged_answers_are_one_line(tmp_path):
    (tmp_path / "answers.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(InputError, match=r"answers.sqlite: file is not a database"):
        of(redness, cache=tmp_path)
    other = tmp_path / "other"
    model = of(redness, cache=other)
    model.predict(IMAGES)
    with sqlite3.connect(other / "answers.sqlite") as store:
        store.execute("UPDATE answers SET answer = ?", (b"12345678",))
    store.close()
    with pytest.raises(InputError, match="is damaged"):
        model.predict(IMAGES)


@pytest.mark.parametrize(
    ("function", "changes", "problem"),
    [
        (nn.Flatten(), {}, "fairvision.Model"),
        ("redness", {}, "takes a function"),
        (redness, {"size": 0}, "size must be"),
        (lambda images: [2.0] * len(images), {}, "numbers from -1 to 2"),
        (lambda images: [[0.5, 0.6]] * len(images), {}, "sum to 1.1"),
        (lambda images: [0.5], {}, r"shape \(1,\) for 'ripe' and 6 images: \(6, 2\) is expected"),
        (lambda images: "yes", {}, "an array of numbers is expected"),
        (lambda images: {"raw": redness(images)}, {}, "gave 'raw', but there are the heads ripe"),
        (redness, {"heads": {**HEADS, "x": ["a", "b"]}}, "gave one array, but there are the heads"),
        (redness, {"heads": {"ripe": ["a", "b", "c"]}}, r"\(6, 3\) is expected"),
    ],
)
def test_what_does_not_fit_is_one_line(function, changes, problem):
    with pytest.raises(InputError, match=problem) as raised:
        of(function, **changes).predict(IMAGES)
    assert "\n" not in str(raised.value)


def test_no_answer_is_nan():
    scores = of(lambda images: np.full((len(images), 2), np.nan)).predict(IMAGES)["ripe"]
    assert scores.isnan().all()


def both(images):
    return np.stack([1 - redness(images), redness(images)], axis=1)


def test_columns_of_a_table_are_taken_by_their_names():
    expected = of(both).predict(IMAGES)["ripe"]
    turned = of(lambda images: pd.DataFrame({"yes": redness(images), "no": 1 - redness(images)}))
    assert torch.equal(turned.predict(IMAGES)["ripe"], expected)
    numbered = of(lambda images: pd.DataFrame(both(images)))
    assert torch.equal(numbered.predict(IMAGES)["ripe"], expected)
    with pytest.raises(InputError, match=r"2 outputs \(a, b\)"):
        of(lambda images: pd.DataFrame(both(images), columns=["a", "b"])).predict(IMAGES)


def test_a_list_that_the_function_empties_is_its_own():
    def emptying(images):
        answers = both(images)
        images.clear()
        return answers

    assert torch.equal(of(emptying).predict(IMAGES)["ripe"], of(both).predict(IMAGES)["ripe"])
    with pytest.raises(InputError, match=r"shape \(5, 2\) for 'ripe' and 6 images"):
        of(lambda images: both(images[1:])).predict(IMAGES)


def test_rounding_is_cut_off():
    rounded = of(lambda images: np.tile([1 + 1e-7, -1e-7], (len(images), 1)))
    assert rounded.predict(IMAGES)["ripe"].unique().tolist() == [0, 1]


def test_what_would_end_the_program_and_what_is_no_array_are_told():
    with pytest.raises(InputError, match="SystemExit: 0"):
        of(lambda images: sys.exit(0)).predict(IMAGES)
    with pytest.raises(InputError, match="array of numbers"):
        of(lambda images: np.array([[{}, 1]] * 6)).predict(IMAGES)
    with_gradients = of(lambda images: torch.tensor(both(images), requires_grad=True))
    assert torch.equal(with_gradients.predict(IMAGES)["ripe"], of(both).predict(IMAGES)["ripe"])


@pytest.mark.parametrize("kept", ["text", 7, b"ab", np.array([5.0, -4.0]).tobytes()])
def test_answers_that_somebody_else_wrote_are_damaged(tmp_path, kept):
    model = of(redness, cache=tmp_path)
    model.predict(IMAGES)
    with sqlite3.connect(tmp_path / "answers.sqlite") as store:
        store.execute("UPDATE answers SET answer = ?", (kept,))
    store.close()
    with pytest.raises(InputError, match="is damaged"):
        model.predict(IMAGES)


def test_what_a_function_prints_is_no_output(capsys):
    def talking(images):
        print("progress")
        return redness(images)

    class Talking(nn.Module):
        def forward(self, images):
            print("progress")
            return images.mean(dim=(2, 3))[:, :2]

    of(talking).predict(IMAGES)
    fairvision.Model(Talking(), heads=HEADS, size=8).predict(IMAGES)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("progress")


def test_folders_of_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    of(redness, cache="~/answers").predict(IMAGES)
    assert (tmp_path / "answers" / "answers.sqlite").is_file()
    with pytest.raises(InputError, match=r"answers cannot be kept in 'a\\x00b': .*null") as refused:
        of(redness, cache="a\0b")
    assert "\n" not in str(refused.value)


def test_names_of_heads_without_characters_that_no_file_holds():
    with pytest.raises(InputError, match="cannot be the name of an attribute or task"):
        of(redness, heads={"ri\0pe": ["no", "yes"]})


def test_how_much_answers_change():
    model = of(redness)
    assert model.change(IMAGES) == 0
    random = np.random.default_rng(0)
    assert 0.01 < of(lambda images: random.random(len(images))).change(IMAGES) <= 1
    assert of(lambda images: np.full((len(images), 2), np.nan)).change(IMAGES) == 0

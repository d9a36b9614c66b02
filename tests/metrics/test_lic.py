from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.naive_bayes import BernoulliNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from fairvision import metrics
from fairvision.errors import FairvisionWarning, InputError

WORDS = ["dog", "tie", "kite", "skis", "tree", "bench", "pizza", "horse"]
CHANCE = DummyClassifier(strategy="prior")


def random_captions(seed: int, n: int) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, 3)) for _ in range(n)]


def groups_of(n: int) -> list[str]:
    return ["woman", "man"] * (n // 2)


def recording(seen: list[list[str]]) -> Any:
    """Return an attacker that keeps the texts it is given: training, then test, in each round."""

    def keep(texts: list[str]) -> np.ndarray:
        seen.append(list(texts))
        return np.zeros((len(texts), 1))

    return make_pipeline(FunctionTransformer(keep), CHANCE)


def test_captions_that_tell_nothing_score_chance() -> None:
    result = metrics.lic(random_captions(0, 2000), groups_of(2000))
    assert 0.22 < result < 0.31
    blank = metrics.lic(["a person"] * 400, groups_of(400))
    assert blank.value == pytest.approx(0.25, abs=1e-4)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_chance_is_exactly_one_in_k_squared_for_an_attacker_that_knows_nothing(k: int) -> None:
    groups = np.arange(80 * k) % k
    result = metrics.lic(random_captions(0, 80 * k), groups, attacker=CHANCE, test_size=0.2)
    assert result.value == pytest.approx(1 / k**2)
    assert list(result.pairs["group"]) == list(range(k))
    np.testing.assert_allclose(result.pairs["value"], 1 / k**2)


def test_a_word_of_the_context_that_betrays_the_group_leaks() -> None:
    plain, groups = random_captions(0, 600), groups_of(600)
    some, all_of = (
        [f"{text} tutu" if i % 2 == 0 and i % every == 0 else text for i, text in enumerate(plain)]
        for every in (4, 2)
    )
    blind, half, full = (
        metrics.lic(captions, groups, human_captions=plain, rounds=4)
        for captions in (plain, some, all_of)
    )
    assert blind.value == 0
    assert (blind.low, blind.high) == (0, 0)
    assert 0.1 < half < full
    assert half.low > 0
    assert full.model > 0.8
    assert metrics.compare(half, full).low > 0


def test_words_that_name_the_group_are_hidden_from_the_attacker() -> None:
    n = 200
    captions = ["a woman with her dog, mother", "a man with his dog, father"] * (n // 2)
    assert metrics.lic(captions, groups_of(n)).value == pytest.approx(0.25, abs=1e-4)
    assert metrics.lic(captions, groups_of(n), words=["dog"]) > 0.9
    seen: list[list[str]] = []
    metrics.lic(captions, groups_of(n), attacker=recording(seen), rounds=1)
    masked = "a maskedword with maskedword dog maskedword"
    assert {text for texts in seen for text in texts} == {masked}
    words = {"woman": ["dog"], "man": ["cat"]}
    seen.clear()
    metrics.lic(["A dog!"] * n, groups_of(n), words=words, attacker=recording(seen), rounds=1)
    assert {text for texts in seen for text in texts} == {"a maskedword"}


def test_people_are_heard_only_in_words_that_the_model_says() -> None:
    n = 200
    model = ["a person skis", "a person surfs"] * (n // 2)
    human = ["a skier in pink skis", "a skier in blue skis"] * (n // 2)
    seen: list[list[str]] = []
    metrics.lic(model, groups_of(n), human_captions=human, attacker=recording(seen), rounds=1)
    assert set(seen[-1]) == {"a unseenword unseenword unseenword skis"}
    matched = metrics.lic(model, groups_of(n), human_captions=human)
    assert matched.human.value == pytest.approx(0.25, abs=1e-4)
    assert matched > 0.6
    free = metrics.lic(model, groups_of(n), human_captions=human, match_vocabulary=False)
    assert free.human > 0.9
    assert abs(free) < 0.1


def test_training_and_test_hold_as_many_of_each_group_and_share_no_image() -> None:
    captions = [f"picture{i}" for i in range(230)]
    groups = np.array(["woman"] * 50 + ["man"] * 150 + [None] * 30, dtype=object)
    seen: list[list[str]] = []
    metrics.lic(captions, groups, attacker=recording(seen), rounds=3, test_size=0.2)
    of = dict(zip(captions, groups))
    assert len(seen) == 6
    for train, test in zip(seen[::2], seen[1::2]):
        assert not {*train} & {*test}
        assert pd.Series([of[text] for text in train]).value_counts().to_dict() == {
            "woman": 40,
            "man": 40,
        }
        assert pd.Series([of[text] for text in test]).value_counts().to_dict() == {
            "woman": 10,
            "man": 10,
        }
    assert {*seen[1]} != {*seen[3]}


def test_each_round_hears_one_caption_of_each_image() -> None:
    n = 120
    several = [[f"p{i} first", None, f"p{i} second"] for i in range(n)]
    seen: list[list[str]] = []
    metrics.lic(several, groups_of(n), attacker=recording(seen), rounds=2, test_size=0.2)
    for train, test in zip(seen[::2], seen[1::2]):
        images = [text.split()[0] for text in (*train, *test)]
        assert sorted(images) == sorted(f"p{i}" for i in range(n))
        assert len({text.split()[1] for text in train}) == 2


def test_rounds_mean_spread_and_parts() -> None:
    captions, groups = random_captions(1, 300), groups_of(300)
    result = metrics.lic(captions, groups, human_captions=random_captions(2, 300), rounds=5)
    assert result.rounds.shape == (5,)
    assert result.value == pytest.approx(result.rounds.mean())
    assert result.std == pytest.approx(np.std(result.rounds, ddof=1))
    assert result.value == pytest.approx(result.model - result.human)
    np.testing.assert_allclose(result.rounds, result.model.rounds - result.human.rounds)
    assert result.low <= result <= result.high
    assert result.n == result.pairs["n"].sum() <= 5 * 30
    assert result.value == pytest.approx(result.pairs["value"].mean())
    assert metrics.compare(result.human, result.model).value == pytest.approx(result.value)
    alone = metrics.lic(captions, groups, rounds=5)
    assert alone.human is None
    assert alone.value == alone.model.value == result.model.value
    assert alone.name == "lic_model"
    assert "over 5 rounds" in repr(result)
    assert np.isnan(metrics.lic(captions, groups, rounds=1).std)


def test_same_seed_same_result() -> None:
    captions, groups = random_captions(1, 300), groups_of(300)
    attacker = SGDClassifier(loss="log_loss", random_state=3)
    once, again, other = (
        metrics.lic(captions, groups, attacker=attacker, rounds=2, seed=seed) for seed in (5, 5, 6)
    )
    assert (once.value, once.low, once.high) == (again.value, again.low, again.high)
    assert once.value != other.value
    assert attacker.random_state == 3
    assert not hasattr(attacker, "classes_")


@pytest.mark.parametrize(
    "attacker", [BernoulliNB(), make_pipeline(CountVectorizer(binary=True), BernoulliNB())]
)
def test_any_estimator_attacks(attacker: Any) -> None:
    captions = ["a person cooks", "a person works"] * 60
    assert metrics.lic(captions, groups_of(120), attacker=attacker, test_size=0.2) > 0.9


def test_unknown_rows_take_no_part_and_codes_are_groups() -> None:
    captions, groups = random_captions(3, 200), groups_of(200)
    human = random_captions(4, 200)
    result = metrics.lic(captions, groups, human_captions=human, rounds=2)
    longer = metrics.lic(
        [*captions, "dog", None, "dog", "dog"],
        [*groups, None, "man", "woman", "unknown"],
        human_captions=[*human, "dog", "dog", [], "dog"],
        rounds=2,
    )
    assert (longer.value, longer.n) == (result.value, result.n)
    for names in ((0, 1), (1, 0), ("a", "b"), ("b", "a")):
        renamed = [names[group == "woman"] for group in groups]
        coded = metrics.lic(captions, renamed, human_captions=human, rounds=2)
        assert coded.value == pytest.approx(result.value)


@pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
@pytest.mark.parametrize(
    ("captions", "groups"),
    [([], []), (["a"] * 9, ["man"] * 9), (["a"] * 9, ["man"] * 8 + ["woman"]), ([None], [None])],
)
def test_nothing_to_tell_apart_is_nan(captions: list[Any], groups: list[Any]) -> None:
    result = metrics.lic(captions, groups, human_captions=captions)
    assert np.isnan([result, result.low, result.high, result.model, result.human]).all()
    assert result.n == 0
    assert result.rounds.shape == (10,)


def test_captions_without_words_tell_that_they_have_none() -> None:
    assert metrics.lic(["", "!?"] * 100, groups_of(200)).value == pytest.approx(0.25, abs=1e-4)
    assert metrics.lic(["", "a dog"] * 100, groups_of(200)) > 0.9


def test_few_images_warn() -> None:
    with pytest.warns(FairvisionWarning, match="tested on 1 "):
        metrics.lic(random_captions(0, 20), groups_of(20), rounds=1)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"rounds": 0}, "rounds"),
        ({"test_size": 1}, "test_size"),
        ({"attacker": LinearSVC()}, "predict_proba"),
        ({"counts": [1] * 200}, "counts and weights"),
        ({"human_captions": ["a"]}, "rows"),
        ({"human_captions": [1] * 200}, "human_captions must hold text"),
        ({"words": "man"}, "list of words"),
        ({"replicates": -1}, "replicates"),
    ],
)
def test_bad_input_is_one_clear_line(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        metrics.lic(random_captions(0, 200), groups_of(200), **keywords)
    assert "\n" not in str(error.value)


def test_published_order_the_equalizer_leaks_more_than_its_baseline(shared: Path) -> None:
    folder = shared / "data/published/women-also-snowboard"
    labels = pd.read_csv(folder / "labels.csv")
    leaks = {}
    for model in ("baseline_ft", "equalizer"):
        listed = json.loads((folder / f"captions_{model}.json").read_text())
        said = {entry["image_id"]: entry["caption"] for entry in listed}
        leaks[model] = metrics.lic(labels["image_id"].map(said), labels["gender"], rounds=3)
    assert 0.4 < leaks["baseline_ft"] < leaks["equalizer"] < 0.6
    assert metrics.compare(leaks["baseline_ft"], leaks["equalizer"]).low > 0

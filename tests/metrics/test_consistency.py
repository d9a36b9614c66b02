"""Pairs that differ in one thing: shares by hand, originals as clusters, pairing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fairvision import metrics
from fairvision.errors import InputError

BOTH = (metrics.counterfactual_flips, metrics.counterfactual_misses)


def pairs(n=200, *, groups=3, seed=0):
    """Truth, answers and originals of n pairs, with what is not known in places."""
    random = np.random.default_rng(seed)
    names = np.array([*"abc"[:groups]], object)
    original = np.sort(random.integers(n // 3, size=n))
    truth = names[random.integers(groups, size=n // 3)][original]
    said = np.where(random.random(n // 3) < 0.8, names[0], None)[original]
    said = np.where(original % 3 == 0, truth, said)
    changed = np.where(random.random(n) < 0.5, truth, names[random.integers(groups, size=n)])
    answer = np.where(random.random(n) < 0.7, said, names[random.integers(groups, size=n)])
    changed[random.random(n) < 0.1] = None
    return truth, said, changed, answer, original


def by_hand(truth, said, changed, answer, original, *, turns):
    """Average per original first, in plain Python."""
    of = {}
    for t, s, c, a, o in zip(truth, said, changed, answer, original):
        if None in (t, s, c, a) or t != s or (c != t) != turns:
            continue
        of.setdefault(o, []).append((a == s) if turns else (a != s))
    shares = [np.mean(values) for values in of.values()]
    return np.mean(shares), sum(map(len, of.values()))


@pytest.mark.parametrize("groups", [2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_as_by_hand(groups, seed):
    *columns, original = pairs(groups=groups, seed=seed)
    for measure, turns in zip(BOTH, (False, True)):
        result = measure(*columns, originals=original, replicates=0)
        value, n = by_hand(*columns, original, turns=turns)
        assert result.value == pytest.approx(value)
        assert result.n == n
        alone = measure(*columns, replicates=0)
        value, n = by_hand(*columns, range(len(original)), turns=turns)
        assert (alone.value, alone.n) == (pytest.approx(value), n)


def test_who_looks_at_what_changed_and_who_does_not():
    """The truth is the shirt: places change it not, shirts do."""
    shirt, place = np.array(["s", "d"] * 20), np.array(["in"] * 10 + ["out"] * 30)
    typical = {"in": "s", "out": "d"}
    elsewhere = np.where(place == "in", "out", "in")
    other = np.where(shirt == "s", "d", "s")
    by_shirt = {"moved": shirt, "dressed": other, "whole": shirt}
    by_place = {
        "moved": pd.Series(elsewhere).map(typical),
        "dressed": pd.Series(place).map(typical),
        "whole": pd.Series(place).map(typical),
    }
    for answers, share in ((by_shirt, 0), (by_place, 1)):
        flips = metrics.counterfactual_flips(shirt, answers["whole"], shirt, answers["moved"])
        misses = metrics.counterfactual_misses(shirt, answers["whole"], other, answers["dressed"])
        assert (flips, misses) == (share, share)
        assert flips.n == misses.n == (40 if share == 0 else 20)


def test_pairs_of_one_original_are_one():
    """Ten counterfactuals of each of twenty originals say as much as one."""
    random = np.random.default_rng(0)
    right = np.full(20, "a")
    answer = np.where(random.random(20) < 0.4, "b", "a")
    one = metrics.counterfactual_flips(right, right, right, answer, originals=np.arange(20))
    ten = metrics.counterfactual_flips(
        *(np.repeat(column, 10) for column in (right, right, right, answer)),
        originals=np.repeat(np.arange(20), 10),
    )
    alone = metrics.counterfactual_flips(
        *(np.repeat(column, 10) for column in (right, right, right, answer))
    )
    assert (ten.value, ten.low, ten.high) == (one.value, one.low, one.high)
    assert (one.n, ten.n) == (20, 200)
    assert alone.high - alone.low < 0.5 * (ten.high - ten.low)


def test_the_interval_covers_the_truth():
    inside = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        share = random.beta(2, 3, size=60)  # of each original
        original = np.repeat(np.arange(60), 4)
        answer = np.where(random.random(240) < share[original], "b", "a")
        same = np.full(240, "a")
        result = metrics.counterfactual_flips(
            same, same, same, answer, originals=original, replicates=300
        )
        inside += result.low <= 0.4 <= result.high
    assert inside >= 88


def test_two_models_are_paired():
    truth, _, changed, answer, original = pairs(seed=4)
    results = [
        metrics.counterfactual_misses(truth, truth, changed, given, originals=original)
        for given in (answer, np.where(changed == "b", changed, answer))
    ]
    change = metrics.compare(*results)
    assert change.value == pytest.approx(results[1].value - results[0].value)
    apart = np.hypot(*(result.high - result.low for result in results))
    assert change.low < change.value < change.high < 0
    assert change.high - change.low < apart


def test_order_and_names_do_not_matter():
    *columns, original = pairs(seed=5)
    order = np.random.default_rng(1).permutation(len(original))
    for measure in BOTH:
        first = measure(*columns, originals=original)
        named = [f"photo-{o:03d}" for o in original[order]]
        again = measure(*(column[order] for column in columns), originals=named)
        assert (first.value, first.low, first.high, first.n) == (
            *(pytest.approx(x) for x in (again.value, again.low, again.high)),
            again.n,
        )


def test_nothing_to_count_is_nan():
    for measure in BOTH:
        nothing = measure(["a"], ["b"], ["a"], ["a"], originals=[1])
        assert np.isnan(nothing.value)
        assert nothing.n == 0
        left_out = measure(["a", "a"], ["a", "a"], ["a", "b"], ["a", "a"], where=[False, False])
        assert np.isnan(left_out.value)
        assert left_out.n == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"originals": [1, None]}, "originals is unknown in row 1"),
        ({"originals": [1]}, "originals"),
        ({"originals": [1, 2], "counts": [1, 2]}, "give counts or originals, not both"),
        ({"changed_predicted": np.ones((2, 2))}, "changed_predicted must hold one label per row"),
    ],
)
def test_bad_input_is_one_line(wrong, message):
    columns = {
        name: ["a", "b"] for name in ("truth", "predicted", "changed_truth", "changed_predicted")
    }
    with pytest.raises(InputError, match=message):
        metrics.counterfactual_flips(**(columns | wrong))

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from fairvision import metrics
from fairvision.auditing.tables import Samples
from fairvision.auditing.telling import (
    EVIDENCE,
    clarity,
    codes_by_evidence,
    in_turn,
    most_telling,
    telling_labels,
)
from fairvision.datasets import Dataset
from fairvision.metrics.causes import REASONS

GROUPS = ("f", "m")
NAN = float("nan")


def samples(rows):
    """A model's samples from (truth, guess, probability, hit, mass, chance) of each image."""
    truth, guess, probability, hit, mass, chance = (np.array(c, float) for c in zip(*rows))
    known = [GROUPS[int(t)] if t >= 0 else None for t in truth]
    images = pd.DataFrame({"id": range(len(rows)), "gender": pd.Series(known, dtype=object)})
    scores = np.where(guess[:, None] == [0, 1], probability[:, None], 1 - probability[:, None])
    columns = dict(zip([f"score/gender/{g}" for g in GROUPS], scores.T))
    columns |= {
        f"evidence/gradcam/{m}": v for m, v in zip(("pointing_game", "relevance_mass"), (hit, mass))
    }
    dataset = Dataset("", "drawn", {"gender": GROUPS}, {}, images)
    return Samples("A", dataset, pd.DataFrame({**columns, "evidence/chance": chance}))


def test_each_cell():
    model = samples(
        [
            (0, 0, 0.8, 1, 0.7, 0.2),
            (0, 0, 0.8, 0, 0.1, 0.3),
            (0, 1, 0.6, 1, 0.7, 0.2),
            (1, 0, 0.6, 0, 0.9, 0.4),
        ]
    )
    assert codes_by_evidence(model, "gender").tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(clarity(model, "gender"), [0.4, 0.16, 0.3, -0.3])
    assert [(name, rows.tolist()) for name, rows in most_telling(model, "gender")] == [
        (name, [i]) for i, name in enumerate(EVIDENCE)
    ]


def test_what_cannot_be_judged_is_in_no_cell():
    model = samples(
        [
            (-1, 0, 0.8, 1, 0.5, 0.2),
            (0, 0, 0.8, NAN, NAN, 0.2),
            (0, 0, NAN, 1, 0.5, 0.2),
            (0, 0, 0.8, NAN, NAN, NAN),
            (1, 1, 0.8, 1, 0.5, 0.2),
        ]
    )
    assert codes_by_evidence(model, "gender").tolist() == [-1, -1, -1, -1, 0]
    assert np.isnan(clarity(model, "gender")[:4]).all()
    assert sum(len(rows) for _, rows in most_telling(model, "gender")) == 1


def test_without_evidence_there_are_no_cells():
    model = samples([(0, 0, 0.8, NAN, NAN, NAN)] * 3)
    assert (codes_by_evidence(model, "gender") == -1).all()
    assert all(len(rows) == 0 for _, rows in most_telling(model, "gender"))


def test_the_clearest_come_first_and_ties_stay_in_order():
    masses = [0.3, 0.9, 0.5, 0.9, 0.1]
    model = samples([(0, 0, 0.8, 1, mass, 0.2) for mass in masses])
    assert most_telling(model, "gender")[0][1].tolist() == [1, 3, 2, 0, 4]
    assert most_telling(model, "gender", 2)[0][1].tolist() == [1, 3]


def by_cause(rows):
    """A model's samples from (truth, guess, probability, holds, elsewhere) of each image."""
    model = samples([(*row[:3], 1, 0.5, 0.2) for row in rows])
    holds, elsewhere = (np.array([row[i] for row in rows], float) for i in (3, 4))
    for name, values in (("holds", holds), ("swapped_right", elsewhere)):
        model.scores[f"{name}/gender"] = values
    return model


def test_causes_come_before_maps():
    model = by_cause(
        [
            (0, 0, 0.8, 1, 1),
            (0, 0, 0.8, 0.25, 0.25),
            (0, 1, 0.6, 0.5, 0.5),
            (1, 0, 0.6, 1, 0),
            (-1, 0, 0.6, 1, 0),
        ]
    )
    assert telling_labels([model], "gender") == REASONS
    assert [(name, rows.tolist()) for name, rows in most_telling(model, "gender")] == [
        (name, [i]) for i, name in enumerate(REASONS)
    ]
    np.testing.assert_allclose(clarity(model, "gender"), [0.8, 0.6, 0.3, 0.6, NAN])


def test_who_is_recognised_among_their_own_is_right_elsewhere():
    model = by_cause([(0, 1, 0.9, 1, 0)])
    assert [len(rows) for _, rows in most_telling(model, "gender")] == [0, 0, 0, 1]
    model.scores["same_swapped_right/gender"] = [0.75]
    assert [len(rows) for _, rows in most_telling(model, "gender")] == [0, 0, 1, 0]


def test_one_model_without_swaps_has_all_told_apart_by_maps():
    model = by_cause([(0, 0, 0.8, 1, 1)])
    other = samples([(0, 0, 0.8, 1, 0.7, 0.2)])
    assert telling_labels([model, other], "gender") == EVIDENCE


def test_groups_take_turns():
    rows = [(0, 0, 0.9, 0, 0.0, 0.9)] * 6 + [(1, 1, 0.6, 0, 0.1, 0.2)] * 2
    chosen = most_telling(samples(rows), "gender", 4)[1][1]
    assert chosen.tolist() == [0, 6, 1, 7]


@st.composite
def tables(draw):
    n = draw(st.integers(1, 30))
    share = st.floats(0, 1, width=16)
    row = st.tuples(
        st.integers(-1, 1),
        st.integers(0, 1),
        st.floats(0.5, 1, width=16),
        st.sampled_from([0, 0.25, 0.5, 1, NAN]),
        share,
        share,
    )
    return draw(st.lists(row, min_size=n, max_size=n))


@given(tables(), st.integers(1, 5))
def test_by_brute_force(rows, per_cell):
    """Cells are those of `metrics.evidence_cells`; the first of a group is its clearest."""
    model = samples(rows)
    reasons, clear = codes_by_evidence(model, "gender"), clarity(model, "gender")
    truth, guess, hits = (np.array(c, float) for c in (list(zip(*rows))[i] for i in (0, 1, 3)))
    right = np.where(truth < 0, NAN, np.where(guess == truth, 1, 0))
    undecided = np.array([p == 0.5 for _, _, p, *_ in rows])
    if not undecided.any():
        judged = ~np.isnan(hits)
        expected = metrics.evidence_cells(right, hits, where=judged, replicates=1).pairs["value"]
        counts = np.bincount(reasons[reasons >= 0], minlength=4)
        if counts.sum():
            np.testing.assert_allclose(counts / counts.sum(), expected[:4])
    for cell, (_, chosen) in enumerate(most_telling(model, "gender", per_cell)):
        assert len(chosen) == min(per_cell, (reasons == cell).sum())
        assert len(set(chosen)) == len(chosen)
        assert (reasons[chosen] == cell).all()
        for group in (0, 1):
            mine = [row for row in chosen if truth[row] == group]
            others = [
                r for r in np.flatnonzero((reasons == cell) & (truth == group)) if r not in mine
            ]
            assert all(clear[a] >= clear[b] for a, b in pairwise(mine))
            assert all(clear[mine[-1]] >= clear[other] for other in others if mine)


def test_turns_of_many_groups():
    codes = np.array([0, 0, 0, 1, 2, 2])
    assert in_turn(np.arange(6), codes).tolist() == [0, 3, 4, 1, 5, 2]
    assert in_turn(np.empty(0, int), codes).tolist() == []

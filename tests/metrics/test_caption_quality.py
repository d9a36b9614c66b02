"""BLEU, CIDEr and ROUGE-L: by hand, by their definitions, and as published."""

from __future__ import annotations

import gzip
import json
import math
import re
import time
import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairvision import metrics
from fairvision.errors import FairvisionWarning, InputError

Texts = list[list[str]]
MEASURES = {"bleu": metrics.bleu, "cider": metrics.cider, "rouge_l": metrics.rouge_l}
every_measure = pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)


def grams(words: list[str], size: int) -> Counter:
    return Counter(tuple(words[i : i + size]) for i in range(len(words) - size + 1))


def split(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower())


def bleu_by_definition(captions: list[str], references: Texts, order: int) -> float:
    length = closest = 0
    matches, ngrams = [0] * order, [0] * order
    for caption, texts in zip(captions, references):
        words, written = split(caption), [split(text) for text in texts]
        length += len(words)
        closest += min((abs(len(text) - len(words)), len(text)) for text in written)[1]
        for size in range(order):
            of_texts = [grams(text, size + 1) for text in written]
            of_caption = grams(words, size + 1)
            ngrams[size] += of_caption.total()
            for gram, times in of_caption.items():
                matches[size] += min(times, max(of[gram] for of in of_texts))
    if 0 in matches:
        return 0.0
    precision = math.prod(m / h for m, h in zip(matches, ngrams)) ** (1 / order)
    return precision * min(1.0, math.exp(1 - closest / length))


def cider_by_definition(captions: list[str], references: Texts, sigma: float = 6.0) -> float:
    total = 0.0
    for size in range(1, 5):
        images = Counter(
            gram
            for texts in references
            for gram in {gram for text in texts for gram in grams(split(text), size)}
        )

        def weight(gram: tuple[str, ...], images: Counter = images) -> float:
            return math.log(len(references) / max(1, images[gram]))

        for caption, texts in zip(captions, references):
            c = {g: n * weight(g) for g, n in grams(split(caption), size).items()}
            for text in texts:
                r = {g: n * weight(g) for g, n in grams(split(text), size).items()}
                norm = math.hypot(*c.values()) * math.hypot(*r.values())
                inner = sum(min(of, r[g]) * r[g] for g, of in c.items() if g in r)
                apart = len(split(caption)) - len(split(text))
                likeness = inner / norm if norm else 0.0
                total += likeness * math.exp(-(apart**2) / (2 * sigma**2)) / len(texts)
    return 10 * total / 4 / len(captions)


def common(a: list[str], b: list[str]) -> int:
    if not a or not b:
        return 0
    if a[-1] == b[-1]:
        return common(a[:-1], b[:-1]) + 1
    return max(common(a[:-1], b), common(a, b[:-1]))


def rouge_by_definition(captions: list[str], references: Texts, beta: float = 1.2) -> float:
    total = 0.0
    for caption, texts in zip(captions, references):
        words = split(caption)
        shared = [(common(words, split(text)), len(split(text))) for text in texts]
        p = max(s for s, _ in shared) / len(words) if words else 0
        r = max(s / length for s, length in shared)
        total += (1 + beta**2) * p * r / (r + beta**2 * p) if p and r else 0
    return total / len(captions)


text = st.lists(st.sampled_from(["a", "dog", "man", "on", "skis"]), max_size=7).map(" ".join)
described = st.lists(
    st.tuples(text, st.lists(text.filter(bool), min_size=1, max_size=3)), min_size=2, max_size=6
)


@settings(max_examples=60)
@given(rows=described, order=st.integers(1, 4))
def test_they_are_their_definitions(rows: list[tuple[str, list[str]]], order: int) -> None:
    captions, references = [caption for caption, _ in rows], [texts for _, texts in rows]
    given_texts = {"captions": captions, "references": references, "replicates": 0}
    expected = bleu_by_definition(captions, references, order)
    assert metrics.bleu(**given_texts, order=order).value == pytest.approx(expected, abs=1e-12)
    expected = cider_by_definition(captions, references)
    assert metrics.cider(**given_texts).value == pytest.approx(expected, abs=1e-12)
    expected = rouge_by_definition(captions, references)
    assert metrics.rouge_l(**given_texts).value == pytest.approx(expected, abs=1e-12)
    together = metrics.caption_metrics(**given_texts)
    for name, measure in MEASURES.items():
        assert together[name].value == measure(**given_texts).value
        assert together[name].name == name


def test_by_hand() -> None:
    captions = ["the cat the cat on the mat"]
    references = [["the cat is on the mat", "there is a cat on the mat"]]
    words, pairs = 5 / 7, 4 / 6  # "the" counts twice, "cat" once; cat the is in none
    assert metrics.bleu(captions, references, order=1).value == pytest.approx(words)
    assert metrics.bleu(captions, references, order=2).value == pytest.approx(
        math.sqrt(words * pairs)
    )
    p, r = 5 / 7, 5 / 6  # the cat on the mat
    expected = (1 + 1.2**2) * p * r / (r + 1.2**2 * p)
    assert metrics.rouge_l(captions, references).value == pytest.approx(expected)


def test_of_references_as_near_in_length_the_shorter_counts() -> None:
    result = metrics.bleu(["a b c d"], [["a b c d e", "a b c"]], order=1)
    assert result.value == 1.0
    result = metrics.bleu(["a b c d"], [["a b c d e", "a b"]], order=1)
    assert result.value == pytest.approx(math.exp(1 - 5 / 4))


def test_the_same_words_have_the_best_value() -> None:
    captions = ["a man rides a red bike", "two dogs sleep on a bed"]
    results = metrics.caption_metrics(captions, captions)  # a text is one reference
    assert {name: result.value for name, result in results.items()} == pytest.approx(
        {"bleu": 1.0, "cider": 10.0, "rouge_l": 1.0}
    )


def test_words_that_all_images_have_weigh_nothing() -> None:
    references = [["a man"], ["a dog"]]
    assert metrics.cider(["a a", "a a"], references).value == 0
    assert metrics.cider(["man", "a dog"], references).value > 0


@every_measure
def test_empty_is_zero_and_unknown_takes_no_part(measure: Any) -> None:
    captions = ["a man on skis", "", "?!", None, "a dog", "a dog"]
    references = [["a man on skis"], ["a cat sits there"], ["a bird in a tree"], ["x"], None, ["!"]]
    result = measure(captions, references)
    full = measure(captions[:3], references[:3] + [["x"]][:0])
    assert result.n == 3
    assert 0 < result.value < measure(captions[:1] * 3, [references[0]] * 2 + [["a bird"]]).value
    if measure is not metrics.cider:  # whose weights are of all images with references
        assert result.value == full.value
    assert measure(["", " "], [["a dog"], ["a cat"]]).value == 0
    nothing = measure([None, "a"], [["a"], None])
    assert math.isnan(nothing.value)
    assert nothing.n == 0


def test_short_captions_hold_no_long_ngrams() -> None:
    assert metrics.bleu(["a dog"], [["a dog"]]).value == 0
    assert metrics.bleu(["a dog"], [["a dog"]], order=2).value == 1
    assert metrics.cider(["dog", "cat"], [["dog"], ["cat"]]).value == 2.5


def test_one_image_has_no_rare_words() -> None:
    result = metrics.cider(["a dog", None], [["a dog"], None])
    assert math.isnan(result.value)
    assert result.n == 0
    assert metrics.cider(["a dog", None], [["a dog"], ["a cat"]]).n == 1


def test_long_captions() -> None:
    words = [f"w{i}" for i in range(200)]
    captions = [" ".join(words), "w0", "w1 w0"]
    references = [[" ".join(words[::2] + words[1::2])], ["w0"], ["w0 w1", "w5"]]
    result = metrics.rouge_l(captions[:1], references[:1])
    assert result.value == pytest.approx(101 / 200)
    results = metrics.caption_metrics(captions, references, replicates=20)
    assert all(0 < result.value <= 10 for result in results.values() if result.name != "bleu")


def test_one_very_long_caption_costs_only_itself() -> None:
    captions = ["a man on skis"] * 2000 + ["x " * 3000]
    references = [["a man skis", "a man on two skis"]] * 2000 + [["x y " * 1500, "y"]]
    start = time.process_time()
    result = metrics.rouge_l(captions, references, replicates=0)
    assert time.process_time() - start < 5
    short = metrics.rouge_l(captions[:2000], references[:2000], replicates=0)
    long = metrics.rouge_l(captions[2000:], references[2000:], replicates=0)
    assert result.value == pytest.approx((2000 * short.value + long.value) / 2001)
    assert long.value == pytest.approx(0.5)


def test_groups_have_the_value_of_their_images() -> None:
    random = np.random.default_rng(0)
    words = np.array(["a", "man", "dog", "on", "skis", "there"])
    captions = [" ".join(random.choice(words, 7)) for _ in range(60)]
    references = [[" ".join(random.choice(words, 7)) for _ in range(3)] for _ in range(60)]
    groups = np.array(["woman", "man", None], dtype=object)[random.integers(0, 3, 60)]
    for measure in (metrics.bleu, metrics.rouge_l):
        result = measure(captions, references, groups)
        assert list(result.pairs["group"]) == ["man", "woman", "unknown"]
        for group, value, n in result.pairs[["group", "value", "n"]].itertuples(index=False):
            of = [i for i, name in enumerate(groups) if (name or "unknown") == group]
            alone = measure([captions[i] for i in of], [references[i] for i in of])
            assert (value, n) == (pytest.approx(alone.value), len(of))
    result = metrics.cider(captions, references, groups)
    weighted = (result.pairs["value"] * result.pairs["n"]).sum() / 60
    assert result.value == pytest.approx(weighted)
    gap = metrics.gap(result)
    assert gap.value == pytest.approx(abs(np.diff(result.pairs["value"][:2]).item()))
    assert gap.low < gap.value < gap.high


@every_measure
def test_captioners_are_compared_on_the_same_images(measure: Any) -> None:
    references = [[f"a dog on bed {i}", f"the dog sleeps on a bed {i}"] for i in range(40)]
    first = [f"a dog on bed {i}" if i % 2 else "a man" for i in range(40)]
    other = [f"a dog on bed {i}" if i % 2 else f"a dog in bed {i}" for i in range(40)]
    results = [measure(captions, references) for captions in (first, other)]
    change = metrics.compare(*results)
    assert change.value == pytest.approx(results[1].value - results[0].value)
    assert 0 < change.low < change.value < change.high
    width = change.high - change.low
    assert width < sum(result.high - result.low for result in results)


@every_measure
def test_images_of_a_scene_are_drawn_together(measure: Any) -> None:
    captions = [f"a dog on bed {i // 8}" if i // 8 % 3 else "a man on skis" for i in range(320)]
    references = [[f"a dog on bed {i // 8}", f"the dog sleeps on bed {i // 8}"] for i in range(320)]
    scene = [f"scene {i // 8}" for i in range(320)]
    alone, together = measure(captions, references), measure(captions, references, cluster=scene)
    assert alone.value == together.value
    assert 2 < (together.high - together.low) / (alone.high - alone.low) < 4  # about √8


def test_other_scripts() -> None:
    captions = ["Кошка сидит на окне", "Собака спит"]
    references = [["кошка сидит на окне", "кот"], ["Собака лежит!"]]
    with pytest.warns(FairvisionWarning, match="5 of 5 captions and references have no letters a"):
        result = metrics.bleu(captions, references)
    assert (math.isnan(result.value), result.n) == (True, 0)
    assert metrics.bleu(captions, references, tokens="words", order=1).value == 5 / 6
    chinese = metrics.rouge_l(["一只猫在床上"], [["一只猫，在床上。"]], tokens="characters")
    assert chinese.value == 1
    hindi = ["हिन्दी में बिल्ली"]
    assert metrics.bleu(hindi, [["हिन्दी में कुत्ता"]], tokens="words", order=1).value == pytest.approx(
        2 / 3
    )
    assert metrics.bleu(["A-B"], ["a-b"], tokens=str.split, order=1).value == 0
    assert metrics.bleu(["a-b"], ["a-b"], tokens=lambda t: t.split("-"), order=2).value == 1


def test_letters_of_mixed_texts_are_no_reason_to_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics.rouge_l(["a café", "…", "♥"], [["a café"], ["—"], ["a heart"]], replicates=0)


@pytest.mark.parametrize(
    ("given_texts", "says"),
    [
        ({"captions": ["a", ["b", "c"]]}, "captions must hold one text per image, but row 1 hol"),
        ({"captions": ["a", 5]}, "captions must hold text, but row 1 holds 5"),
        ({"references": [["a"], [5]]}, "references must hold text, but row 1 holds 5"),
        ({"references": [["a"]]}, "references has 1 rows, but captions has 2"),
        ({"groups": ["a"]}, "groups has 1 rows, but captions has 2"),
        ({"captions": "a dog"}, "captions must be a list of one text"),
        ({"tokens": "ptb"}, "tokens must be one of coco, words, characters, or a function"),
        ({"tokens": lambda text: text}, "tokens must return a list of texts, not 'a'"),
        ({"tokens": lambda text: [1]}, "tokens must return a list of texts"),
    ],
)
def test_bad_input(given_texts: dict[str, Any], says: str) -> None:
    texts = {"captions": ["a", "b"], "references": [["a"], ["b"]], **given_texts}
    for measure in (*MEASURES.values(), metrics.caption_metrics):
        with pytest.raises(InputError, match=re.escape(says)):
            measure(**texts)


@pytest.mark.parametrize(
    ("measure", "option"),
    [
        *((metrics.bleu, {"order": order}) for order in (0, 5, 1.5, 2.0, True, "4")),
        *((metrics.cider, {"sigma": sigma}) for sigma in (0, -1, math.nan, "6")),
        *((metrics.rouge_l, {"beta": beta}) for beta in (-1, math.nan, math.inf, "1")),
    ],
)
def test_options_out_of_range(measure: Any, option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(option))} must be a"):
        measure(["a"], ["a"], **option)


def test_any_difference_in_length_may_be() -> None:
    captions, references = ["dog in the red house", "cat"], [["dog"], ["cat"]]
    for sigma in (math.inf, 6, 1):
        likeness = math.exp(-(4**2) / (2 * sigma**2)) / math.sqrt(5)  # of single words
        expected = 10 / 4 * (likeness + 1) / 2
        assert metrics.cider(captions, references, sigma=sigma).value == pytest.approx(expected)


PUBLISHED = {
    "baseline_ft": (0.296, 0.871),
    "balanced": (0.296, 0.873),
    "upweight": (0.275, 0.826),
    "confident": (0.287, 0.827),
    "confusion": (0.297, 0.874),
    "equalizer": (0.288, 0.836),
}


def test_published_captioners_have_the_published_quality(shared: Any) -> None:
    """Hendricks et al. (2018), table of image quality; of 10,990 of the 11,197 images."""
    place = shared / "data" / "coco-captions" / "captions_val2014_part.json.gz"
    with gzip.open(place) as file:
        annotations = json.load(file)["annotations"]
    references: dict[int, list[str]] = {}
    for entry in annotations:
        references.setdefault(entry["image_id"], []).append(entry["caption"])
    folder = shared / "data" / "published" / "women-also-snowboard"
    for model, printed in PUBLISHED.items():
        entries = json.loads((folder / f"captions_{model}.json").read_text())
        captions = {entry["image_id"]: entry["caption"] for entry in entries}
        texts = [captions[image] for image in references]
        results = metrics.caption_metrics(texts, references.values(), replicates=0)
        assert results["bleu"].n == 10_990
        assert (results["bleu"].value, results["cider"].value) == pytest.approx(printed, abs=0.003)


def test_options_at_the_ends_give_the_figures_of_their_limits():
    captions, written = ["a man", "a dog"], [["a man rides"], ["a dog"]]
    recall = metrics.rouge_l(captions, written, beta=1e200, replicates=0)
    assert recall.value == pytest.approx((2 / 3 + 1) / 2, abs=1e-15)
    assert metrics.rouge_l(captions, written, beta=0, replicates=0).value == 1
    of_length = metrics.cider(captions, written, sigma=1e-200, replicates=0)
    any_length = metrics.cider(captions, written, sigma=math.inf, replicates=0)
    assert metrics.cider(captions, written, sigma=1e200, replicates=0) == any_length
    alone = metrics.cider(["", "a dog"], written, sigma=6, replicates=0)
    assert of_length.value == alone.value
    assert metrics.bleu(captions, written, order=np.int64(2)) == metrics.bleu(
        captions, written, order=2
    )

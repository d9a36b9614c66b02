"""Measures written out as loops over images: what `fairvision.metrics` has to give.

An image is a dict of plain values, None where unknown; `repeated` makes as many of a row as it
counts. Labels are names or codes; those of an image with many are a frozenset. A measure returns
what it is, of how many images, and the same for each pair of group and label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations, product
from math import inf, isnan, log2, nan, nextafter
from typing import Any, NamedTuple

Image = dict[str, Any]
Row = tuple[Any, Any]  # the labels that hold, and the group


class Expected(NamedTuple):
    """A figure, the images behind it, and the same by group and label; None: not looked at."""

    value: float
    n: int | None = None
    pairs: dict[tuple, tuple[float, int]] | None = None


def repeated(columns: dict[str, Sequence[Any]], counts: Iterable[int]) -> list[Image]:
    """The images, each row of the columns as often as it counts."""
    return [
        {name: column[row] for name, column in columns.items()}
        for row, times in enumerate(counts)
        for _ in range(times)
    ]


def share(part: float, whole: float) -> float:
    return part / whole if whole else nan


def mean_of(values: Iterable[float]) -> float:
    defined = [value for value in values if not isnan(value)]
    return share(sum(defined), len(defined))


def weigh(images: Iterable[Image]) -> float:
    return sum(image["weight"] for image in images)


def present(images: list[Image], *names: str, declared: Iterable[Any] = ()) -> list[Any]:
    """What occurs in columns, or is declared, in order."""
    held = {image[name] for image in images for name in names} - {None}
    return sorted(held | set(declared))


def holds(labels: Any, label: Any) -> bool:
    return label in labels if isinstance(labels, frozenset) else labels == label


# rates ---------------------------------------------------------------------------------------

# of truth and prediction: what stands above, and what below the line
RATIOS: dict[str, tuple[Callable[[bool, bool], int], Callable[[bool, bool], int]]] = {
    "selection_rate": (lambda t, p: p, lambda t, p: 1),
    "true_positive_rate": (lambda t, p: t and p, lambda t, p: t),
    "false_negative_rate": (lambda t, p: t and not p, lambda t, p: t),
    "false_positive_rate": (lambda t, p: p and not t, lambda t, p: not t),
    "true_negative_rate": (lambda t, p: not t and not p, lambda t, p: not t),
    "precision": (lambda t, p: t and p, lambda t, p: p),
    "f1_score": (lambda t, p: 2 * (t and p), lambda t, p: t + p),
    "accuracy": (lambda t, p: t == p, lambda t, p: 1),
    "error_rate": (lambda t, p: t != p, lambda t, p: 1),
}


def _ratio(name: str, images: list[Image], label: Any) -> tuple[float, set[int]]:
    """A rate of one label, and the images in its denominator."""
    if name == "balanced_accuracy":
        parts = [_ratio(f"true_{kind}_rate", images, label) for kind in ("positive", "negative")]
        return (parts[0][0] + parts[1][0]) / 2, parts[0][1] | parts[1][1]
    above, below = RATIOS[name]
    signs = [(holds(i["truth"], label), holds(i["predicted"], label)) for i in images]
    weights = [image["weight"] for image in images]
    part = sum(w * above(*s) for w, s in zip(weights, signs))
    whole = sum(w * below(*s) for w, s in zip(weights, signs))
    return share(part, whole), {id(i) for i, s in zip(images, signs) if below(*s)}


def rate(
    name: str,
    images: list[Image],
    labels: list[Any],
    groups: list[Any] | None,
    kind: str,
) -> Expected:
    """A rate of labels: a "single" one, those of a "table", or "classes", of which one holds.

    `groups` are those that occur or are declared; None: not asked for.
    """
    classes = kind == "classes"
    needed = ("predicted",) if name == "selection_rate" else ("truth", "predicted")
    used = [i for i in images if i["where"] and None not in [i[part] for part in needed]]
    pooled = classes and name in ("accuracy", "error_rate")
    if classes and name == "balanced_accuracy":
        name = "true_positive_rate"

    def of(some: list[Image], label: Any) -> tuple[float, set[int]]:
        if not pooled:
            return _ratio(name, some, label)
        right = [i for i in some if (i["truth"] == i["predicted"]) == (name == "accuracy")]
        return share(weigh(right), weigh(some)), set(map(id, some))

    kinds = ["all"] if pooled else labels
    overall = [of(used, label) for label in kinds]
    single = pooled or kind == "single"
    value = mean_of(one for one, _ in overall)
    n = len(set().union(*(of_label for _, of_label in overall)))
    if groups is None:
        pairs = {(label,): (one, len(i)) for label, (one, i) in zip(kinds, overall)}
        return Expected(value, n, None if single else pairs)
    listed = [*groups, *(["unknown"] if any(i["group"] is None for i in used) else [])]
    pairs = {}
    for group, label in product(listed, kinds):
        members = [
            i for i in used if (i["group"] if i["group"] is not None else "unknown") == group
        ]
        one, of_label = of(members, label)
        pairs[(group,) if single else (group, label)] = one, len(of_label)
    return Expected(value, n, pairs)


def between(
    rates: Sequence[str],
    images: list[Image],
    labels: list[Any],
    groups: list[Any],
    kind: str,
    *,
    ratio: bool = False,
    mean: bool = False,
) -> Expected:
    """How far groups lie apart in rates: the worst of these or their mean; the mean over labels."""
    found = [rate(name, images, labels, groups, kind) for name in rates]
    of_labels = []
    for label in sorted({key[1:] for key in (found[0].pairs or {})}):
        apart = []
        for each in found:
            assert each.pairs is not None
            values = [
                value
                for key, (value, _) in each.pairs.items()
                if key[1:] == label and key[0] != "unknown" and not isnan(value)
            ]
            if len(values) < 2:
                apart.append(nan)
            else:
                apart.append(
                    share(min(values), max(values)) if ratio else max(values) - min(values)
                )
        if any(map(isnan, apart)):
            of_labels.append(nan)
        else:
            worst = min(apart) if ratio else max(apart)
            of_labels.append(sum(apart) / len(apart) if mean else worst)
    return Expected(mean_of(of_labels))


# means, confusion, reasons -------------------------------------------------------------------


def right_share(truth: Any, predicted: Any, labels: list[Any]) -> float:
    """The share of right decisions in an image."""
    if truth is None or predicted is None:
        return nan
    if not isinstance(truth, frozenset):
        return float(truth == predicted)
    return sum((label in truth) == (label in predicted) for label in labels) / len(labels)


def mean(images: list[Image], of: str = "value") -> Expected:
    used = [i for i in images if i["where"] and i[of] is not None]
    return Expected(share(sum(i[of] * i["weight"] for i in used), weigh(used)), len(used))


def mean_by_group(images: list[Image], groups: list[Any]) -> dict[Any, Expected]:
    unknown = [None] if any(i["group"] is None for i in images) else []
    return {
        "unknown" if group is None else group: mean([i for i in images if i["group"] == group])
        for group in [*groups, *unknown]
    }


def gap(by_group: dict[Any, Expected]) -> float:
    values = [e.value for group, e in by_group.items() if group != "unknown" and not isnan(e.value)]
    return max(values) - min(values) if len(values) > 1 else nan


def confusion(images: list[Image], groups: list[Any]) -> Expected:
    answered = [i for i in images if i["pred_group"] is not None]
    known = [i for i in answered if i["group"] is not None]
    right = [i for i in known if i["group"] == i["pred_group"]]
    unknown = [None] if len(known) < len(answered) else []
    pairs = {}
    for true, said in product([*groups, *unknown], groups):
        members = [i for i in answered if i["group"] == true]
        so = [i for i in members if i["pred_group"] == said]
        key = "unknown" if true is None else true
        pairs[key, said] = share(weigh(so), weigh(members)), len(members)
    return Expected(share(weigh(right), weigh(known)), len(known), pairs)


def reasons(images: list[Image]) -> Expected:
    """Of causes: what stays in three quarters of the swaps, what a quarter of them puts right."""
    cells = {
        "right and holds": lambda i: i["right"] and i["holds"] >= 0.75,
        "right, turns with the surroundings": lambda i: i["right"] and i["holds"] < 0.75,
        "wrong, right elsewhere": lambda i: not i["right"] and i["elsewhere"] > 0.25,
        "wrong everywhere": lambda i: not i["right"] and i["elsewhere"] <= 0.25,
    }
    used = [
        i
        for i in images
        if i["where"]
        and i["right"] is not None
        and i["holds" if i["right"] else "elsewhere"] is not None
    ]
    return _shares_of_cells(cells, used)


def evidence_cells(images: list[Image]) -> Expected:
    """Of right or wrong and where a map has its evidence."""
    cells = {
        f"{word}, evidence {place}": lambda i, right=right, inside=inside: (
            i["inside"] is not None and (bool(i["right"]), i["inside"] > 0.5) == (right, inside)
        )
        for word, right in (("right", True), ("wrong", False))
        for place, inside in (("on the person", True), ("elsewhere", False))
    }
    cells["no evidence"] = lambda i: i["inside"] is None
    return _shares_of_cells(cells, [i for i in images if i["where"] and i["right"] is not None])


def _shares_of_cells(cells: dict[str, Any], used: list[Image]) -> Expected:
    pairs = {
        (name,): (share(weigh(i for i in used if is_in(i)), weigh(used)), len(used))
        for name, is_in in cells.items()
    }
    return Expected(next(iter(pairs.values()))[0], len(used), pairs)


def divergence(images: list[Image], groups: list[Any], other: Any = "other") -> Expected:
    """Of what is correct, incorrect or `other` in each group."""
    used = [i for i in images if None not in (i["group"], i["pred_group"])]
    pairs, shares = {}, []
    for group in groups:
        members = [i for i in used if i["group"] == group]
        kinds: dict[str, list[Image]] = {"correct": [], "incorrect": [], "other": []}
        for i in members:
            said = i["pred_group"]
            kind = "other" if said == other else "correct" if said == group else "incorrect"
            kinds[kind].append(i)
        of_group = [share(weigh(some), weigh(members)) for some in kinds.values()]
        pairs |= {(group, k): (v, len(members)) for k, v in zip(kinds, of_group)}
        shares += [of_group] if members else []
    if len(shares) < 2:
        return Expected(nan, len(used), pairs)
    middle = [sum(column) / len(shares) for column in zip(*shares)]
    apart = sum(p * log2(p / m) for of in shares for p, m in zip(of, middle) if p) / len(shares)
    undefined = any(isnan(p) for of in shares for p in of)
    return Expected(nan if undefined else apart, len(used), pairs)


def cifar10s(images: list[Image], labels: list[Any], domains: list[Any]) -> Expected:
    used = [i for i in images if None not in (i["label"], i["group"])]
    pairs = {}
    for label in labels:
        said = [i for i in used if i["label"] == label]
        of_domain = [weigh(i for i in said if i["group"] == domain) for domain in domains]
        bias = share(max(of_domain, default=0), sum(of_domain)) - 1 / max(1, len(domains))
        pairs[label,] = bias if len(domains) > 1 else nan, len(said)
    return Expected(mean_of(bias for bias, _ in pairs.values()), len(used), pairs)


# scores --------------------------------------------------------------------------------------


def average_precision(images: list[Image], labels: list[Any], groups: list[Any] | None) -> Expected:
    """Of `labels`, the places of which are those of an image's `scores`."""
    used = [i for i in images if i["truth"] is not None and None not in i["scores"]]

    def of(some: list[Image], place: int) -> float:
        right = [i for i in some if holds(i["truth"], labels[place])]
        total, last = 0.0, 0.0
        for threshold in sorted({i["scores"][place] for i in some}, reverse=True):
            above = weigh(i for i in some if i["scores"][place] >= threshold)
            hit = weigh(i for i in right if i["scores"][place] >= threshold)
            total += (hit - last) * (share(hit, above) if hit else 0)
            last = hit
        return share(total, weigh(right))

    overall = [of(used, place) for place in range(len(labels))]
    pairs = {(label,): (one, len(used)) for label, one in zip(labels, overall)}
    if groups is not None:
        pairs = {}
        unknown = [None] if any(i["group"] is None for i in used) else []
        for group, place in product([*groups, *unknown], range(len(labels))):
            members = [i for i in used if i["group"] == group]
            name = "unknown" if group is None else group
            key = (name, labels[place]) if len(labels) > 1 else (name,)
            pairs[key] = of(members, place), len(members)
    return Expected(mean_of(overall), len(used), pairs)


def calibration(
    images: list[Image],
    labels: list[Any],
    groups: list[Any] | None,
    *,
    bins: int,
    classes: bool,
) -> Expected:
    """Of `labels`, the places of which are those of `scores`; of classes, of the surest one."""
    used = [i for i in images if i["where"] and i["truth"] is not None and None not in i["scores"]]

    def sure(image: Image, place: int) -> tuple[bool, float]:
        if classes:
            place = max(range(len(labels)), key=lambda k: (image["scores"][k], -k))
        return holds(image["truth"], labels[place]), image["scores"][place]

    def of(some: list[Image], place: int) -> float:
        off: Counter = Counter()
        for image in some:
            right, score = sure(image, place)
            number = sum(score > edge / bins for edge in range(1, bins))
            off[number] += image["weight"] * (right - score)
        return share(sum(map(abs, off.values())), weigh(some))

    places = range(1 if classes else len(labels))
    many = not classes and len(labels) > 1
    overall = [of(used, place) for place in places]
    if groups is None:
        pairs = {(label,): (one, len(used)) for label, one in zip(labels, overall)}
        return Expected(mean_of(overall), len(used), pairs if many else None)
    pairs = {}
    unknown = [None] if any(i["group"] is None for i in used) else []
    for group, place in product([*groups, *unknown], places):
        members = [i for i in used if i["group"] == group]
        name = "unknown" if group is None else group
        pairs[(name, labels[place]) if many else (name,)] = of(members, place), len(members)
    return Expected(mean_of(overall), len(used), pairs)


def decided(scores: Sequence[float | None], many: bool) -> Any:
    if None in scores:
        return [-1] * len(scores) if many else -1
    if many:
        return [int(score > 0.5) for score in scores if score is not None]
    return max(range(len(scores)), key=lambda k: (scores[k], -k))


def pairwise_gap(scores: Sequence[float | None]) -> float:
    if None in scores or len(scores) < 2:
        return nan
    apart = [abs(a - b) for a, b in combinations(scores, 2)]  # type: ignore[operator]
    return sum(apart) / len(apart)


def calibrated(images: list[Image], labels: list[Any]) -> list[float]:
    """The threshold of each label above which as many score as have it, or nearly."""
    used = [i for i in images if i["truth"] is not None and None not in i["scores"]]
    found = []
    for place, label in enumerate(labels):
        scores = [i["scores"][place] for i in used]
        wanted = sum(holds(i["truth"], label) for i in used)
        best = (nan, len(used) + 1)
        lowest = [nextafter(min(scores), -inf)] if scores else []
        for threshold in [*sorted(set(scores), reverse=True), *lowest]:
            above = sum(score > threshold for score in scores)
            if abs(above - wanted) < best[1]:
                best = threshold, abs(above - wanted)
        found.append(best[0])
    return found if used else [nan] * len(labels)


# amplification, of (labels, group) of images in which both are known ----------------------------


def sets_of(images: list[Image], labels: str, group: str) -> list[Row]:
    """Labels as sets, and groups; None where unknown."""
    return [
        (
            i[labels]
            if i[labels] is None or isinstance(i[labels], frozenset)
            else frozenset([i[labels]]),
            i[group],
        )
        for i in images
    ]


def complete(*rows: list[Row]) -> list[list[Row]]:
    kept = [all(None not in row for row in together) for together in zip(*rows)]
    return [[row for row, keep in zip(some, kept) if keep] for some in rows]


def universe(*rows: list[Row]) -> tuple[list, list]:
    groups = sorted({group for some in rows for _, group in some if group is not None})
    labels = sorted({label for some in rows for held, _ in some for label in held or ()})
    return groups, labels


def _pairs_of(rows: list[Row]) -> Counter:
    return Counter((label, group) for labels, group in rows for label in labels)


def mals(train: list[Row], pred: list[Row], groups: list, labels: list) -> float:
    was, now = _pairs_of(train), _pairs_of(pred)
    sums = []
    for label in labels:
        of_train, of_pred = (sum(c[label, g] for g in groups) for c in (was, now))
        leaning = [g for g in groups if was[label, g] * len(groups) > of_train]
        changes = [share(now[label, g], of_pred) - share(was[label, g], of_train) for g in leaning]
        sums.append(sum(changes) if of_train and of_pred else nan)
    return mean_of(sums) if len(groups) > 1 else nan


def directed(
    train: list[Row], true: list[Row], said: list[Row], groups: list, labels: list, to_task: bool
) -> float:
    was, before, now = _pairs_of(train), _pairs_of(true), _pairs_of(said)
    of_train, of_true = (Counter(group for _, group in rows) for rows in (train, true))
    values = []
    for label in labels:
        trained, with_label = (sum(c[label, g] for g in groups) for c in (was, before))
        for g in groups:
            lean = was[label, g] * len(train) - trained * of_train[g]
            whole = of_true[g] if to_task else with_label
            sign = (lean > 0) - (lean < 0)
            values.append(sign * share(now[label, g] - before[label, g], whole))
    return mean_of(values) if len(groups) > 1 else nan


def multi(train: list[Row], pred: list[Row], groups: list) -> float:
    counts: list[Counter] = [Counter(), Counter()]
    for rows, counter in zip((train, pred), counts):
        for labels, group in rows:
            for size in range(1, len(labels) + 1):
                counter.update((m, group) for m in combinations(sorted(labels), size))
    was, now = counts
    sums = []
    for m in {m for m, _ in was} & {m for m, _ in now}:
        of_train, of_pred = (sum(c[m, g] for g in groups) for c in counts)
        sums.append(
            sum(
                abs(now[m, g] / of_pred - was[m, g] / of_train)
                for g in groups
                if was[m, g] * len(groups) > of_train
            )
        )
    return mean_of(sums) if len(groups) > 1 else nan


def typical(train: list[Row], rows: list[Any], groups: list) -> list[Any]:
    """The group that each image's labels are most typical of; None for no one group."""
    (known,) = complete(train)
    pairs, sizes = _pairs_of(known), Counter(group for _, group in known)
    found = []
    for labels in rows:
        sums = dict.fromkeys(groups, 0.0)
        for label in labels or ():
            often = {g: share(pairs[label, g], sizes[g]) if sizes[g] else 0 for g in groups}
            for g in groups:
                sums[g] += often[g] / sum(often.values()) if sum(often.values()) else 0
        most = max(sums.values(), default=0)
        best = [g for g, total in sums.items() if total >= most - 1e-12]
        found.append(best[0] if most > 0 and len(best) == 1 else None)
    return found

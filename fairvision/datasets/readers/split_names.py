"""Splits that the names of files and folders say."""

from __future__ import annotations

import re
from pathlib import PurePath

from fairvision.datasets.dataset import SPLIT_NAMES

_SPLITS = SPLIT_NAMES | {
    "eval": "test",
    "evaluation": "test",
}  # as the package `datasets` reads them
_SHARD = re.compile(r"(.+?)-\d{5}-of-\d{5}.*")


def split_of(path: PurePath) -> str | None:
    """Return the split that the name of a file says, or else of the innermost folder that does.

    >>> split_of(PurePath("data/validation-00000-of-00001-a0b1.parquet"))
    'val'
    >>> split_of(PurePath("default/test/0000.parquet")), split_of(PurePath("extra.parquet"))
    ('test', None)
    """
    shard = _SHARD.fullmatch(path.stem)
    for name in (shard[1] if shard else path.stem, *reversed(path.parts[:-1])):
        words = re.split(r"[^a-z]+", name.lower())
        splits = {_SPLITS[word] for word in words if word in _SPLITS}
        if len(splits) == 1:
            return splits.pop()
    return None

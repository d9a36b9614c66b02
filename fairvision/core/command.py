"""What was called in the shell, for a record of how an output was made."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

SILENT = {"--overwrite", "--quiet", "-q", "--open", "--json"}
"""Options that say nothing of what an output is."""
OF_SHARDS = {"--shards", "--shard-images", "--shard-lapse"}
"""Options with a value that say who did which part of the work, not which work it was."""


def command() -> str:
    """Return the command of this process; "" where that is not fairvision's own.

    Without options that change nothing in the output, so that the same work gives the same record.

    >>> command()
    ''
    """
    program = Path(sys.argv[0]) if sys.argv else Path()
    is_module = program.name == "__main__.py" and program.parent.name == "fairvision"
    if not is_module and program.name not in ("fairvision", "fairvision.exe"):
        return ""
    words, words_before = sys.argv[1:], ["", *sys.argv[1:]]
    kept = [
        word
        for word, before in zip(words, words_before)
        if word not in SILENT
        and before not in OF_SHARDS
        and word.partition("=")[0] not in OF_SHARDS
    ]
    return shlex.join(["fairvision", *kept])

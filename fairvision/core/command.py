"""What was called in the shell, for a record of how an output was made."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

SILENT = {"--overwrite", "--quiet", "-q", "--open", "--json"}
"""Options that say nothing of what an output is."""


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
    return shlex.join(["fairvision", *(word for word in sys.argv[1:] if word not in SILENT)])

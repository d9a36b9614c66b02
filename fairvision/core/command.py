"""What was called in the shell, for a record of how an output was made."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def command() -> str:
    """Return the command of this process as it was typed; "" where that is not fairvision's own.

    >>> command()
    ''
    """
    program = Path(sys.argv[0]) if sys.argv else Path()
    is_module = program.name == "__main__.py" and program.parent.name == "fairvision"
    if not is_module and program.name not in ("fairvision", "fairvision.exe"):
        return ""
    return shlex.join(["fairvision", *sys.argv[1:]])

"""Run commands of fairvision one after the other, each in a process of its own, and kill them.

A line on stdin is a job as JSON: `args`, `folder`, and optionally `kill_at` and `signal`. The
process is killed at that change of the file system: at the opening of a file to write, a renaming,
a removal. A line on stdout answers: how it ended, and how many changes there were.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
import warnings
from pathlib import Path
from typing import Any

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.symlink", "os.link"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def is_change(event: str, arguments: tuple[Any, ...], folder: str) -> bool:
    if event == "open":
        path, _, flags = arguments
        is_written = bool(flags & WRITES)
    else:
        is_written, path = event in CHANGES, arguments[0] if arguments else None
    return (
        is_written
        and isinstance(path, (str, bytes, Path))
        and os.fsdecode(path)[:1] != ""
        and (not os.path.isabs(os.fsdecode(path)) or os.fsdecode(path).startswith(folder))
    )


def run(job: dict[str, Any], count: mmap.mmap) -> None:
    """Become the command; does not return."""
    folder, kill_at = job["folder"], job.get("kill_at")
    os.chdir(folder)
    os.environ["FAIRVISION_CACHE"] = f"{folder}/cache"
    for number, name in ((1, "out.txt"), (2, "err.txt")):
        os.dup2(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" or event in CHANGES:
            if not is_change(event, arguments, folder):
                return
            changes = int.from_bytes(count[:8], "little") + 1
            count[:8] = changes.to_bytes(8, "little")
            if changes == kill_at:
                os.kill(os.getpid(), job["signal"])

    from fairvision.cli import main

    sys.addaudithook(watch)
    sys.argv = ["fairvision", *job["args"]]
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    import fairvision.auditing
    import fairvision.captioning
    import fairvision.inference
    import fairvision.sweeping
    import fairvision.training  # noqa: F401

    for line in sys.stdin:
        count = mmap.mmap(-1, 8)
        process = os.fork()
        if process == 0:
            try:
                run(json.loads(line), count)
            finally:
                os._exit(99)
        _, status = os.waitpid(process, 0)
        changes = int.from_bytes(count[:8], "little")
        answer = {"code": os.waitstatus_to_exitcode(status), "changes": changes}
        print(json.dumps(answer), flush=True)

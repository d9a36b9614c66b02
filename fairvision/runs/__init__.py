"""The run folder: training writes it; prediction and the audit read it."""

from fairvision.runs.folder import (
    AGAIN,
    BEST,
    CHECKPOINT,
    CONFIG,
    FIRST,
    HISTORY,
    LAST,
    WEIGHTS,
    Run,
    check_unchanged,
    history,
    load,
    network,
    read_config,
    score,
    summary,
)

__all__ = [
    "AGAIN",
    "BEST",
    "CHECKPOINT",
    "CONFIG",
    "FIRST",
    "HISTORY",
    "LAST",
    "WEIGHTS",
    "Run",
    "check_unchanged",
    "history",
    "load",
    "network",
    "read_config",
    "score",
    "summary",
]

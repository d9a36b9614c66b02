"""Plain training: cross entropy of every head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fairvision.methods.method import Method


@dataclass(frozen=True)
class Baseline(Method):
    """The defaults of every method, and no option."""

    summary: ClassVar[str] = "cross entropy"

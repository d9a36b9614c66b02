"""What figures are and how they are said: the register of metrics, the metrics table, verdicts."""

from fairvision.results import sections
from fairvision.results.registry import (
    Expectation,
    LeaderboardEntry,
    Metric,
    MetricInputs,
    Place,
    Section,
    find,
    register,
    registered,
    unregister,
)

__all__ = [
    "Expectation",
    "LeaderboardEntry",
    "Metric",
    "MetricInputs",
    "Place",
    "Section",
    "find",
    "register",
    "registered",
    "sections",
    "unregister",
]

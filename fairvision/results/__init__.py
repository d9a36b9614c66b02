"""What figures are and how they are said: the register of metrics, the metrics table, verdicts."""

from fairvision.results import sections
from fairvision.results.figures import Figure, Figures, Key, read, read_metrics
from fairvision.results.folder import AuditSettings
from fairvision.results.gallery import GalleryImage, ModelAnswer
from fairvision.results.metric import Expectation, LeaderboardEntry, Metric, MetricInputs, Place
from fairvision.results.registry import find, register, registered, unregister
from fairvision.results.sections import Section
from fairvision.results.verdict import Answer, Verdict

__all__ = [
    "Answer",
    "AuditSettings",
    "Expectation",
    "Figure",
    "Figures",
    "GalleryImage",
    "Key",
    "LeaderboardEntry",
    "Metric",
    "MetricInputs",
    "ModelAnswer",
    "Place",
    "Section",
    "Verdict",
    "find",
    "read",
    "read_metrics",
    "register",
    "registered",
    "sections",
    "unregister",
]

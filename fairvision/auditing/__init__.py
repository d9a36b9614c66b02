"""Comparing models: from their predictions to figures, words and the report."""

from fairvision.auditing.folder import Audit, audit
from fairvision.auditing.hidden_files import hide_folder

__all__ = ["Audit", "audit", "hide_folder"]

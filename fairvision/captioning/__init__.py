"""Comparing captioners: whom their captions name, and what else these tell of the group."""

from fairvision.captioning.folder import CaptionAudit, captions

__all__ = ["CaptionAudit", "captions"]

"""Methods side by side: trained over several seeds, audited, and put on one page."""

from fairvision.sweeping.folder import Sweep, sweep

__all__ = ["Sweep", "sweep"]

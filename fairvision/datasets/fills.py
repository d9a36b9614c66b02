"""What the ways to fill the place of a person are called; `swapping` has them, and needs torch."""

FILLS = ("rows", "smooth", "mean")
"""The first is the default."""

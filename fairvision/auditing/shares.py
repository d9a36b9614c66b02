"""Of how many images of each group something is true, in a few words."""

from __future__ import annotations

from collections.abc import Mapping

_NAMED = 6


def shares(parts: Mapping[str, tuple[int, int]]) -> str:
    """Return how many of each group, the largest share first; empty groups are left out.

    >>> shares({"male": (0, 46), "female": (18, 34), "unknown": (0, 0)})
    'female 18 of 34, male 0 of 46'
    """
    there = [(share / of, group, share, of) for group, (share, of) in parts.items() if of]
    there.sort(key=lambda part: -part[0])
    listed = ", ".join(f"{group} {share} of {of}" for _, group, share, of in there[:_NAMED])
    return listed + (f", … ({len(there) - _NAMED} more)" if len(there) > _NAMED else "")

"""Text in Markdown."""

from __future__ import annotations

import re

from fairvision.errors import one_line

_LONGEST = 400


def escaped(text: str) -> str:
    r"""Return text as it is read in Markdown: no markup, no HTML, and nobody is notified.

    >>> print(escaped("<b>|*@you"))
    &lt;b\>\|\*&#64;you
    """
    text = re.sub(r"([\\`*_{}\[\]<>|#&~$])", r"\\\1", one_line(text, _LONGEST))
    return text.replace("\\<", "&lt;").replace("@", "&#64;")

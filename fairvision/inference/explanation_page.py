"""The page that shows what `explain` drew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment

_TEMPLATE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>What {{ settings.run }} saw</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 75rem; margin: auto;
         padding: 1rem; }
  h2 { font-size: 1.1rem; overflow-wrap: anywhere; margin: 2rem 0 0; }
  .sheet { overflow-x: auto; }
  .sheet img { min-width: 44rem; max-width: 100%; height: auto; }
</style>
<h1>What {{ settings.run }} saw</h1>
<p>Evidence for <b>{{ settings.head }}</b> by {{ settings.method }}
{%- if settings.layer %} at layer <code>{{ settings.layer }}</code>{% endif %}.
An attribution shows where the evidence lies, not whether the answer is right.</p>
{% for entry in entries %}
<h2>{{ entry.image }}</h2>
<p class="sheet"><img src="{{ entry.evidence }}" alt="{{ entry.answers }}"></p>
{% if entry.activations %}
<details{{ " open" if entries|length == 1 }}>
<summary>What the layers made of it (activation maps)</summary>
<p class="sheet"><img src="{{ entry.activations }}" alt="Activation maps of {{ entry.image }}"></p>
</details>
{% endif %}
{% endfor %}
{% if settings.kernels %}
<h2>Kernels of the first convolution</h2>
<p class="sheet"><img src="{{ settings.kernels }}" alt="Kernels of the first convolution"></p>
{% endif %}
</html>
"""


def page(settings: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> str:
    """Return HTML that shows the drawings that lie beside it; every name is escaped.

    Parameters
    ----------
    settings : `run`, `head`, `method`; perhaps `layer` and `kernels`
    entries : per image `image`, `answers`, `evidence`; perhaps `activations`

    Examples
    --------
    >>> settings = {"run": "a", "head": "b", "method": "c"}
    >>> entry = {"image": "<script>.png", "answers": "b: d", "evidence": "001.png"}
    >>> "<script>" in page(settings, [entry])
    False
    """
    template = Environment(autoescape=True).from_string(_TEMPLATE)
    return template.render(settings=settings, entries=entries)

"""What axe-core finds wrong with a page for people who cannot see it, or not well."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from playwright.sync_api import Page

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"

RUN = """
async ([only, without]) => {
  const options = {resultTypes: ['violations'], rules: {'target-size': {enabled: true}}};
  for (const rule of without) options.rules[rule] = {enabled: false};
  if (only.length) options.runOnly = only;
  const {violations} = await axe.run(document, options);
  return violations.flatMap(violation => violation.nodes.map(
    node => `${violation.id}: ${node.target.join(' ')}: ${node.failureSummary}`
  ));
}
"""


@cache
def _source() -> str:
    return AXE.read_text(encoding="utf-8")


def violations(
    page: Page, *only: str, without: Sequence[str] = (), folded: bool = False
) -> list[str]:
    """Return what breaks a rule of axe, of all rules or of those that are named.

    What is folded away is opened first; what does not break a rule for sure is left out.

    Parameters
    ----------
    only, without : names of rules
    folded : leave out what is folded away, which takes long on long pages
    """
    opened = "fold.open = true" if not folded else "fold.lastElementChild.remove()"
    page.evaluate(f"document.querySelectorAll('details').forEach(fold => {opened})")
    if not page.evaluate("'axe' in window"):
        page.evaluate(_source())
    return page.evaluate(RUN, [only, without])

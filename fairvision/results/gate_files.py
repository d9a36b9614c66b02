"""What became of rules, for other programs: JUnit's XML, and Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree import ElementTree

from fairvision.results.gate import Outcome
from fairvision.results.markdown import escaped


def as_junit(outcomes: Sequence[Outcome], audit: str) -> str:
    """Return outcomes as JUnit's XML, a test case for each rule.

    It has all that the schemas of Jenkins and of Ant ask for.

    Parameters
    ----------
    outcomes : as `judge` returns them
    audit : what was judged
    """
    failures = sum(not outcome.passed for outcome in outcomes)
    whole = ElementTree.Element("testsuites")
    about = {
        "name": _plain(audit),
        "package": "fairvision",
        "id": "0",
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        "hostname": "localhost",
        "tests": str(len(outcomes)),
        "failures": str(failures),
        "errors": "0",
        "time": "0",
    }
    suite = ElementTree.SubElement(whole, "testsuite", about)
    ElementTree.SubElement(suite, "properties")
    for outcome in outcomes:
        attributes = {"name": _plain(outcome.rule.text), "classname": "fairvision.gate"}
        case = ElementTree.SubElement(suite, "testcase", {**attributes, "time": "0"})
        if not outcome.passed:
            text = _plain("\n".join(outcome.reasons))
            about = {"message": text.splitlines()[0], "type": "rule"}
            failure = ElementTree.SubElement(case, "failure", about)
            failure.text = text
    for stream in ("system-out", "system-err"):
        ElementTree.SubElement(suite, stream)
    ElementTree.indent(whole)
    text = ElementTree.tostring(whole, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def as_markdown(outcomes: Sequence[Outcome], audit: str) -> str:
    """Return outcomes as a table in Markdown, for the summary of a pull request."""
    failures = sum(not outcome.passed for outcome in outcomes)
    verdict = f"{failures} of {len(outcomes)} rules broken" if failures else "all rules kept"
    lines = [
        f"**fairvision**, {escaped(audit)}: {verdict}",
        "",
        "| rule | | figures |",
        "|---|---|---|",
    ]
    for outcome in outcomes:
        words = "kept" if outcome.passed else "**broken**"
        reasons = outcome.reasons or [f"{outcome.kept} figures keep it"]
        lines.append(
            f"| fails if {escaped(outcome.rule.text)} | {words} | "
            f"{'<br>'.join(map(escaped, reasons))} |"
        )
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Return text without what XML cannot hold."""
    return "".join(c if c in "\n\t" or c.isprintable() else "�" for c in text)

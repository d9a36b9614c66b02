"""The documentation as a site: links and anchors lead somewhere, nothing is asked for elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ASKED = re.compile(
    r'<(?:script|img|iframe|link(?! rel="canonical"))[^>]+(?:src|href)="?(?:https?:)?//'
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    assert built.stderr == ""
    return folder


def test_docstrings_become_descriptions() -> None:
    pytest.importorskip("griffe", reason="the extra `docs` is not installed")
    program = ROOT / "docs" / "hooks" / "prose.py"
    tested = subprocess.run([sys.executable, "-m", "doctest", program], check=False)
    assert tested.returncode == 0


def test_nothing_is_asked_for_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    assert not [page for page in pages if ASKED.search(page.read_text("utf-8"))]


def test_the_reference_is_made_of_docstrings(site: Path) -> None:
    page = (site / "reference" / "metrics" / "index.html").read_text("utf-8")
    from fairvision import metrics

    for name in metrics.__all__:
        assert f'id="fairvision.metrics.{name}"' in page
    assert "As in <code>selection_rate</code>" in page  # signatures that a decorator makes


def test_audits_and_their_methods_are_in_the_reference(site: Path) -> None:
    import fairvision

    page = (site / "reference" / "fairvision" / "index.html").read_text("utf-8")
    for name in (*fairvision.__all__, "auditing.Audit.images", "auditing.Audit.figure"):
        assert name in ("__version__", "metrics") or f'id="fairvision.{name}"' in page


def test_every_command_is_in_the_reference(site: Path) -> None:
    page = (site / "reference" / "cli" / "index.html").read_text("utf-8")
    for name in ("fairvision-audit", "fairvision-data-celeba", "fairvision-gate"):
        assert f'id="{name}"' in page
    assert "--fail-on" in page


def test_formulas_need_no_script(site: Path) -> None:
    page = (site / "counterfactuals" / "index.html").read_text("utf-8")
    assert "<math" in page
    assert r"\frac" not in page

"""How large, how long and how fast a report is, in Chromium.

`python benchmarks/page.py REPORT.html…` prints for each page its size; how long after the start of
navigation something was first painted, and the whole page had been read, the median of some
loads; how far down the first photograph is, and how long the page, on a desk (1280 × 800) and on
a phone (390 × 844); and how many pages of A4 it prints. It takes playwright and a Chromium.
"""

from __future__ import annotations

import io
import shutil
import statistics
import sys
from pathlib import Path

from playwright.sync_api import Browser, ViewportSize, sync_playwright
from pypdf import PdfReader

LOADS = 5
WINDOWS: dict[str, ViewportSize] = {
    "desk": {"width": 1280, "height": 800},
    "phone": {"width": 390, "height": 844},
}
TIMES = """
() => new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(() => resolve([
  performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN,
  performance.getEntriesByType('navigation')[0].loadEventEnd,
]))))
"""
PLACES = """
() => [
  document.images.length ? document.images[0].getBoundingClientRect().top + scrollY : NaN,
  document.documentElement.scrollHeight,
]
"""


def measure(browser: Browser, path: Path) -> list[str]:
    lines = [f"{path}: {path.stat().st_size / 1e6:.2f} MB"]
    for name, window in WINDOWS.items():
        times: list[tuple[float, float]] = []
        for _ in range(LOADS):
            context = browser.new_context(viewport=window)
            page = context.new_page()
            page.goto(path.absolute().as_uri())
            times.append(tuple(page.evaluate(TIMES)))
            photograph, length = page.evaluate(PLACES)
            context.close()
        painted, read = (statistics.median(column) for column in zip(*times))
        lines.append(
            f"  {name}: first paint {painted:.0f} ms, read {read:.0f} ms; first photograph at "
            f"{photograph:.0f} px, {length} px long"
        )
    page = browser.new_page()
    page.goto(path.absolute().as_uri())
    lines.append(f"  {len(PdfReader(io.BytesIO(page.pdf(format='A4'))).pages)} pages of A4")
    page.close()
    return lines


def main() -> None:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        for path in map(Path, sys.argv[1:]):
            print("\n".join(measure(browser, path)), flush=True)
        browser.close()


if __name__ == "__main__":
    main()

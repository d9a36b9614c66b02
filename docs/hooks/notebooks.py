"""Notebooks as pages, with their outputs where `make docs` ran them, and the reports they wrote."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "docs" / "notebooks"
RUN = ROOT / "build" / "notebooks"
"""Where `run_notebooks.py` leaves them with their outputs, and the folders in which they ran."""
GALLERY = """# Gallery

Reports that the [notebooks](notebooks/index.md) wrote when this site was built, each a page that
needs nothing else."""
NONE = "This site was built without running them: `make docs` does."


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each notebook, and the gallery."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        for name, content in pages(path):
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    listed = [GALLERY]
    for page in sorted(RUN.glob("*/*/report.html")):
        notebook, audit = page.parts[-3:-1]
        described = json.loads(next(page.parent.glob("*.json")).read_text("utf-8"))
        name = f"reports/{notebook}-{audit}.html"
        headline = described["verdict"]["headline"].splitlines()[0]
        listed.append(f"- [{notebook}, {audit}]({name}): {headline}")
        files.append(File.generated(config, name, abs_src_path=str(page)))
    listed += [NONE] * (len(listed) == 1)
    files.append(File.generated(config, "gallery.md", content="\n\n".join(listed)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Link the page of a notebook where GitHub is linked to its file."""
    is_list = page.file.src_uri == "notebooks/index.md"
    return re.sub(r"\.ipynb\)", ".md)", markdown) if is_list else markdown


def pages(path: Path) -> Iterator[tuple[str, str | bytes]]:
    """Yield names and contents of the files of a notebook: images of its outputs, then the page."""
    notebook = nbformat.read(path, as_version=4)
    ran = RUN / path.name
    if ran.is_file():
        with_outputs = nbformat.read(ran, as_version=4)
        if [cell.source for cell in with_outputs.cells] == [cell.source for cell in notebook.cells]:
            notebook = with_outputs
    parts = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        texts = []
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                image = f"{path.stem}-{len(parts)}.png"
                yield image, base64.b64decode(data["image/png"])
                parts.append(f"![What the cell draws]({image})")
            elif "text/html" in data:
                parts.append(f'<div class="output">\n{data["text/html"]}\n</div>')
            elif output.get("name") != "stderr":
                texts.append(data.get("text/plain") or output.text)
        if texts:
            parts.append("```text\n" + "".join(texts).rstrip() + "\n```")
    parts.append(f"[The notebook]({path.name})")
    yield f"{path.stem}.md", "\n\n".join(parts)

"""XML files: read without what XML can do beside holding text."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from fairvision.errors import InputError, check_file, reading


def read_xml(path: str | Path) -> ElementTree.Element:
    """Read an XML file in UTF-8.

    Declarations of a document type are refused: only they could name other files, or entities that
    grow without end.

    Raises
    ------
    InputError
        The file cannot be read, is no XML, or declares a document type.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.xml").write_text('<a><b n="1"/></a>')
    ...     read_xml(f"{folder}/a.xml")[0].attrib
    {'n': '1'}
    """
    path = check_file(path, "an XML file")
    with reading(path, "XML"):
        text = path.read_text(encoding="utf-8-sig")
    if "<!DOCTYPE" in text:
        raise InputError(f"{path} declares a document type (<!DOCTYPE): remove what it declares")
    with reading(path, "XML"):
        return ElementTree.fromstring(text)

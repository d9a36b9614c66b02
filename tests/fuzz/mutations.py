"""What may become of a file: other bytes, other values, or no file at all; all of it by chance."""

from __future__ import annotations

import copy
import csv
import gzip
import hashlib
import io
import json
import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 1.5, -0.0, 10**9, 10**18, 2**63, 2**64, 10**400, "HUGE"),
    *(1e308, float("nan"), float("inf"), -float("inf"), "", " ", "a", "0", "unknown", "none"),
    *("\ud800", "\x00", "\x1b[2J", "../x", "/etc/passwd", "~", "a/b", "x" * 3000, "\ufeff", "ü\r"),
    *([], [[]], {}, {"": {}}, [None], [1, "a"], {"a": [{"b": 1}]}, ["\udfff"], [1e999]),
)
CELLS = (
    *("", " ", "nan", "NaN", "inf", "-inf", "1e999", "-1", "2", "0.5", "9" * 400, "unknown", "é"),
    *(
        "\x00",
        "\x1b[31m",
        '"',
        '"a',
        "a,b",
        "a;b",
        ";",
        "['a', 'b']",
        "True",
        "../../x",
        "/dev/zero",
    ),
    *("\u202e", "\ufeff", "=1+1", "x" * 5000, "a\rb", "a\nb", "b'\\x89PNG'", "{'bytes': 1}"),
)


def mutate(path: Path, chance: random.Random) -> str:
    """Damage a file in one of many ways; return in words which one it was."""
    kinds = ["bytes"] * 6 + ["values"] * 6 + ["digits"] * 2 + list(_REPLACEMENTS)
    kind = chance.choice(kinds)
    if kind in _REPLACEMENTS:
        path.unlink()
        _REPLACEMENTS[kind](path, chance)
        return kind
    by_values = _BY_VALUES.get("".join(path.suffixes[-1:]))
    if kind == "values" and by_values is not None:
        by_values(path, chance)
    else:
        content = path.read_bytes()
        change = _digits if kind == "digits" else _bytes
        path.write_bytes(change(content, chance))
    return kind


def _bytes(content: bytes, chance: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8, 50))):
        start = chance.randrange(min(len(data), chance.choice((64, 10**9, 10**9))) + 1)
        end = min(len(data), start + chance.choice((1, 1, 2, 4, 16, 256)))
        match chance.choice(("flip", "flip", "insert", "delete", "cut", "double", "zero", "other")):
            case "flip" if start < len(data):
                data[start] ^= 1 << chance.randrange(8)
            case "insert":
                data[start:start] = chance.randbytes(end - start)
            case "delete":
                del data[start:end]
            case "cut":
                del data[start:]
            case "double":
                data[start:start] = data[start:end]
            case "zero":
                data[start:end] = bytes(end - start)
            case "other":
                data[start:end] = chance.randbytes(end - start)
    return bytes(data)


def _digits(content: bytes, chance: random.Random) -> bytes:
    """Replace a number that is written in digits."""
    places = list(re.finditer(rb"\d+", content))
    if not places:
        return _bytes(content, chance)
    place = chance.choice(places)
    numbers = (b"0", b"-1", b"7", b"1000000007", b"9" * 30, b"1e400", b"NaN", b"1" * 5000, b"null")
    return content[: place.start()] + chance.choice(numbers) + content[place.end() :]


def _json(path: Path, chance: random.Random) -> None:
    value = json.loads(path.read_text(encoding="utf-8"))
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        value = _with_odd(value, chance)
    text = _dumped(value)
    if chance.random() < 0.1:
        name = chance.choice(re.findall(r'"[^"\\]*":', text) or ['"a":'])
        text = text.replace(name, f"{name} 1, {name}", 1)
    elif chance.random() < 0.05:
        text = "[" * 100_000 + text
    path.write_text(text, encoding="utf-8")


def _dumped(value: Any) -> str:
    return json.dumps(value).replace('"HUGE"', "1" * 5000)


def _with_odd(value: Any, chance: random.Random) -> Any:
    """Return a value in which one entry, at any depth, is another, gone, or renamed."""
    inner: list[Any] = []
    if isinstance(value, (dict, list)):
        inner = list(value) if isinstance(value, dict) else list(range(len(value)))
    if not inner or chance.random() < 0.15:
        return copy.deepcopy(chance.choice(ODD))
    key = chance.choice(inner)
    match chance.choice(("deeper", "deeper", "deeper", "deeper", "gone", "renamed", "again")):
        case "gone":
            del value[key]
        case "renamed" if isinstance(value, dict):
            value[f"{key}{chance.choice((' ', 'x', chr(0), chr(0xD800)))}"] = value.pop(key)
        case "again" if isinstance(value, list):
            value.insert(key, copy.deepcopy(value[key]))
        case _:
            value[key] = _with_odd(value[key], chance)
    return value


def _csv(path: Path, chance: random.Random, delimiter: str = ",") -> None:
    path.write_text(_changed_table(path.read_text("utf-8"), chance, delimiter), "utf-8", newline="")


def _csv_gz(path: Path, chance: random.Random) -> None:
    content = gzip.decompress(path.read_bytes())
    try:
        path.write_bytes(gzip.compress(_changed_table(content.decode(), chance, ",").encode()))
    except UnicodeDecodeError:  # an idx file
        path.write_bytes(gzip.compress(_bytes(content, chance)))


def _changed_table(text: str, chance: random.Random, delimiter: str) -> str:
    rows = list(csv.reader(io.StringIO(text), delimiter=delimiter)) or [[""]]
    for _ in range(chance.choice((1, 1, 2, 4))):
        row = chance.choice(rows) if chance.random() < 0.6 else rows[0]
        place = chance.randrange(len(row)) if row else 0
        match chance.choice(("cell", "cell", "cell", "gone", "more", "row gone", "double", "swap")):
            case "cell" if row:
                row[place] = chance.choice(CELLS)
            case "gone" if row:
                del row[place]
            case "more":
                row.insert(place, chance.choice(CELLS))
            case "row gone" if len(rows) > 1:
                rows.remove(row)
            case "double" if row:
                for each in rows:
                    each.append(each[place] if place < len(each) else "")
            case "swap" if len(row) > 1:
                row[0], row[place] = row[place], row[0]
    file = io.StringIO()
    plain = chance.random() < 0.2
    if plain:
        return "\n".join(delimiter.join(row) for row in rows)
    csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return file.getvalue()


def _parquet(path: Path, chance: random.Random) -> None:
    table = pq.read_table(path)
    place = chance.randrange(table.num_columns)
    name, n = table.column_names[place], len(table)
    match chance.choice(
        ("type", "type", "type", "type", "gone", "renamed", "double", "rows", "none")
    ):
        case "type":
            column = pa.array([_ODD_CELL[chance.randrange(len(_ODD_CELL))]] * n)
            table = table.set_column(place, name, column)
        case "gone":
            table = table.remove_column(place)
        case "renamed":
            names = [
                chance.choice(CELLS) if i == place else c for i, c in enumerate(table.column_names)
            ]
            table = table.rename_columns(names)
        case "double":
            table = table.append_column(name, table.column(place))
        case "rows":
            table = pa.concat_tables([table.slice(0, chance.randrange(n + 1)), table])
        case "none":
            table = table.slice(0, 0)
    pq.write_table(table.replace_schema_metadata(None), path)


_ODD_CELL: tuple[Any, ...] = (
    *(None, True, 0, -1, 2**62, 0.5, float("nan"), float("inf"), "", "a", "unknown", "x" * 5000),
    *(b"\xff\x00", [], ["a"], [["a"]], [None], {"bytes": b"\x89PNG", "path": "a"}, {"a": 1}),
    *("\x1b[2J", "../x", [1, 2], [0.5], "nan", "/dev/zero"),
)


def _ckpt(path: Path, chance: random.Random) -> None:
    """Damage what is inside a checkpoint, whose checksum is then right again."""
    head = len(b"fairvision checkpoint\n")
    content = path.read_bytes()
    body = _bytes(content[head + 32 :], chance)
    path.write_bytes(content[:head] + hashlib.sha256(body).digest() + body)


def _safetensors(path: Path, chance: random.Random) -> None:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = _dumped(_with_odd(json.loads(content[8 : 8 + length]), chance)).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])


def _toml(path: Path, chance: random.Random) -> None:
    lines = path.read_text("utf-8").splitlines()
    place = chance.randrange(len(lines))
    key = lines[place].partition("=")[0].strip(" []") or "a"
    value = chance.choice(_TOML_VALUES)
    lines[place] = chance.choice((f"{key} = {value}", f"[{key}]", f"[[{key}]]", key))
    more = chance.choice((lines[place], "", "x = 1", "[a.b]"))
    lines.insert(chance.randrange(len(lines) + 1), more)
    path.write_text("\n".join(lines) + "\n", "utf-8")


_TOML_VALUES = (
    *("1", "-1", "nan", "inf", "1e400", "1" * 5000, "true", "1979-05-27", "[1, 2]", "[[1], 'a']"),
    *("{a = 1}", "'~'", "'a\0'", '"\\u0000"', '"\\ud800"', "''", "'" + "x" * 3000 + "'", "[]"),
    *("'../x'", "'/dev/zero'", "0x10", "1_0", "'list'", "[" * 2000),
)


def _loop(path: Path, chance: random.Random) -> None:
    path.symlink_to(path.name)


_REPLACEMENTS: dict[str, Callable[[Path, random.Random], Any]] = {
    "empty": lambda path, chance: path.write_bytes(b""),
    "random": lambda path, chance: path.write_bytes(chance.randbytes(chance.randrange(1, 5000))),
    "folder": lambda path, chance: path.mkdir(),
    "pipe": lambda path, chance: os.mkfifo(path),
    "loop": _loop,
    "device": lambda path, chance: path.symlink_to("/dev/zero"),
    "gone": lambda path, chance: None,
    "other": lambda path, chance: (
        shutil.copy(chance.choice(sorted(path.parent.glob("*.*"))), path)
        if any(p.is_file() for p in path.parent.glob("*.*"))
        else None
    ),
}
_BY_VALUES: dict[str, Callable[[Path, random.Random], None]] = {
    ".json": _json,
    ".csv": _csv,
    ".tsv": lambda path, chance: _csv(path, chance, "\t"),
    ".gz": _csv_gz,
    ".parquet": _parquet,
    ".ckpt": _ckpt,
    ".safetensors": _safetensors,
    ".toml": _toml,
}

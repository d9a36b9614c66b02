"""Reading what torch.export wrote with nothing in it executed.

`torch.export.load` unpickles, imports, evaluates and compiles what a file asks for. So a file is
read here first, what is plain in it (weights as bytes, a graph of torch's own operators, names that
are names) is written to memory anew, and torch reads that; anything else is refused.
"""

from __future__ import annotations

import ast
import json
import re
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch.export.pt2_archive import PT2ArchiveReader, PT2ArchiveWriter

from fairvision.errors import InputError, reading, shown

_MODEL = "models/model.json"
_CONFIGS = {
    "data/weights/": "model_weights_config.json",
    "data/constants/": "model_constants_config.json",
}
_SAMPLES = "data/sample_inputs/model.pt"
_STORED = re.compile(r"(weight|tensor)_\d+")
_NAME = re.compile(r"[\w-]+(\.[\w-]+)*|")
_TEXT = re.compile(r"[\w ,.>+-]*")  # "gelu", "bhqd,bhkd->bhqk"
_OPERATOR = re.compile(r"torch\.ops\.(aten|prims)\.(\w+)\.(\w+)")
_MAKERS = {"arange", "empty", "eye", "full", "linspace", "ones", "scalar_tensor", "zeros"}
_OTHERS = {
    "torch.ops.higher_order.wrap_with_set_grad_enabled",
    *(f"_operator.{name}" for name in ("add", "floordiv", "getitem", "mod", "mul", "neg", "sub")),
}
_ARITHMETIC = {"Add", "FloorDiv", "Integer", "Max", "Min", "Mod", "Mul", "Symbol"}
_CONTAINERS = {None, "builtins.dict", "builtins.list", "builtins.tuple", "collections.OrderedDict"}

_SYMBOL = re.compile(r"[su]\d+")


def plain_archive(path: Path) -> BytesIO:
    """Return a file of torch.export as one that runs nothing when torch reads it.

    Raises
    ------
    InputError
        If it is none, or holds anything but tensors and a graph of torch's operators.
    """
    with reading(path, "a file of torch.export"):
        with zipfile.ZipFile(path) as archive:
            packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist())
            names = [entry.filename.partition("/")[2] for entry in archive.infolist()]
        if packed or _MODEL not in names:
            raise InputError(
                f"{path} is not what torch.export.save of torch 2.9 or later writes: export it anew"
            )
        reader = PT2ArchiveReader(str(path))
        program = json.loads(reader.read_bytes(_MODEL))
        configs = {
            folder: json.loads(reader.read_bytes(f"{folder}{name}"))
            for folder, name in _CONFIGS.items()
        }
    clean = BytesIO()
    try:
        with PT2ArchiveWriter(clean) as writer:
            writer.write_bytes(_MODEL, json.dumps(_program(program)).encode())
            writer.write_bytes(_SAMPLES, b"")
            for folder, config in configs.items():
                writer.write_bytes(
                    f"{folder}{_CONFIGS[folder]}", json.dumps(_plain(config)).encode()
                )
                for name in _stored(config):
                    writer.write_bytes(f"{folder}{name}", reader.read_bytes(f"{folder}{name}"))
    except InputError as error:
        raise InputError(f"{path} cannot be read without running what it holds: {error}") from None
    except Exception as error:  # damage has no one kind of error
        raise InputError(f"{path} is damaged: {type(error).__name__} {error}") from None
    clean.seek(0)
    return clean


def _program(program: Mapping[str, Any]) -> Any:
    """Return a program without what is for debugging only, checked."""
    module = program["graph_module"]
    kept = {**module, "metadata": {}, "treespec_namedtuple_fields": {}}
    kept["module_call_graph"] = module["module_call_graph"][:1]
    return _plain({**program, "graph_module": kept, "guards_code": []})


def _stored(config: Mapping[str, Any]) -> set[str]:
    """Return the names of the files that hold tensors; `InputError` where any holds more."""
    entries = config["config"].values()
    for entry in entries:
        if entry["use_pickle"] is not False or not _STORED.fullmatch(entry["path_name"]):
            raise InputError(f"{shown(entry['path_name'])} is a Python object, not a plain tensor")
    return {entry["path_name"] for entry in entries}


def _plain(value: Any, key: str = "") -> Any:
    """Return a part of a program, by its key; `InputError` if a text in it may be more than a name.

    Tensors are taken to the CPU, and the traces of nodes left out.
    """
    match value:
        case {"type": str(), "index": _} if key in ("device", "as_device"):
            return {"type": "cpu", "index": None}
        case dict():
            return {
                _checked(_NAME, name): {} if name == "metadata" else _plain(part, name)
                for name, part in value.items()
            }
        case list():
            return [_plain(part, key) for part in value]
        case str() if key == "target":
            return _operator(value)
        case str() if key == "expr_str":
            return _arithmetic(value)
        case str() if key in ("in_spec", "out_spec"):
            return json.dumps(_containers(json.loads(value)))
        case str() if key == "torch_version":
            return ""
        case str():
            return _checked(_TEXT if key in ("as_string", "as_strings") else _NAME, value)
    return value


def _checked(pattern: re.Pattern[str], text: str) -> str:
    """Return a text that a pattern allows."""
    if not pattern.fullmatch(text):
        raise InputError(f"{shown(text)} is no plain name")
    return text


def _operator(target: str) -> str:
    """Return the name of an operator that computes tensors of tensors, or a few others."""
    match = _OPERATOR.fullmatch(target)
    if target in _OTHERS:
        return target
    if match:
        namespace, name, overload = match.groups()
        packet = getattr(getattr(torch.ops, namespace), name, None)
        operator = getattr(packet, overload, None)
        if isinstance(operator, torch._ops.OpOverload) and (
            name in _MAKERS
            or any("Tensor" in str(argument.type) for argument in operator._schema.arguments)
        ):
            return target
    raise InputError(f"it calls {shown(target)}, which is none of torch's operators on tensors")


def _arithmetic(text: str) -> str:
    """Return an expression of whole numbers and symbols, as sympy writes it."""
    for node in ast.walk(ast.parse(text, mode="eval")):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in _ARITHMETIC:
                pass
            case ast.Name(id=name) if name in _ARITHMETIC or _SYMBOL.fullmatch(name):
                pass
            case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult()) | ast.operator():
                pass
            case ast.Constant(value=str(name)) if name.isidentifier():
                pass
            case ast.Constant(value=bool() | int()):
                pass
            case ast.Expression() | ast.keyword() | ast.Load():
                pass
            case ast.UnaryOp(op=ast.USub()) | ast.USub():
                pass
            case _:
                raise InputError(f"{shown(text)} is more than arithmetic")
    return text


def _containers(tree: Any) -> Any:
    """Return how inputs or outputs are nested: in tuples, lists and dictionaries with names."""
    match tree:
        case [int(), dict(description)] if len(tree) == 2:
            return [tree[0], _containers(description)]
        case {"type": kind, "context": context, "children_spec": list(children)}:
            if str(kind).startswith("transformers.modeling_outputs."):
                kind = "builtins.dict"
            if kind not in _CONTAINERS:
                raise InputError(
                    f"it takes or gives {shown(kind)}, not tensors, tuples or dictionaries"
                )
            names = json.loads(context) if context else None
            if not (names is None or isinstance(names, list)):
                raise InputError(f"{shown(context)} is no list of names")
            for name in names or ():
                _checked(_TEXT, str(name) if isinstance(name, int) else name)
            return {
                "type": kind,
                "context": context,
                "children_spec": [_containers(child) for child in children],
            }
    raise InputError(f"{shown(tree)} says not how outputs are nested")

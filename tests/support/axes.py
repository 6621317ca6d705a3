"""The names of axes that a module uses: in the shapes of its annotations, and as dims of its results."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import jaxtyping


def of_annotations(tree: ast.Module) -> Iterator[str]:
    """Names in shapes such as ``Float[Tensor, "pair point d_model"]``, without the marks that jaxtyping reads."""
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=ast.Name(id=kind), slice=ast.Tuple(elts=[_, shape])):
                if isinstance(getattr(jaxtyping, kind, None), type(jaxtyping.Float)):
                    assert isinstance(shape, ast.Constant), f"a shape is a string: {ast.unparse(node)}"
                    yield from re.findall(r"[a-z]\w*", shape.value)


def of_results(tree: ast.Module) -> Iterator[str]:
    """Dims as xarray is given them: in ``name: (dims, values)``, ``dims = ...``, ``xr.concat(parts, dim)``."""
    if "import xarray as xr" not in {ast.unparse(node) for node in tree.body}:
        return
    for node in ast.walk(tree):
        match node:
            case ast.Dict(values=found):
                yield from _of_variables(found)
            case ast.DictComp(value=found) | ast.Assign(targets=[ast.Subscript()], value=found):
                yield from _of_variables([found])
            case ast.Assign(targets=[ast.Name(id="dims")], value=found):
                yield from _names(found)
            case ast.Call(keywords=named):
                yield from _of_variables([one.value for one in named])
                yield from (name for one in named if one.arg == "dims" for name in _names(one.value))
                yield from _third_or_second(node)


def _third_or_second(call: ast.Call) -> Iterator[str]:
    """Dims that are given by their place."""
    place = {"xr.concat": 1, "xr.DataArray": 2}.get(ast.unparse(call.func))
    if place is not None and place < len(call.args):
        yield from _names(call.args[place])


def _of_variables(values: list[ast.expr]) -> Iterator[str]:
    """Dims of the values that are (dims, values), or (dims, values, attributes)."""
    for value in values:
        match value:
            case ast.Tuple(elts=[dims, data, *_]) if not isinstance(data, ast.Constant):
                yield from _names(dims)


def _names(dims: ast.expr) -> list[str]:
    match dims:
        case ast.Constant(value=str(name)):
            return [name]
        case ast.Tuple(elts=names):
            return [name for one in names for name in _names(one)]
        case ast.Subscript(value=ast.Tuple() as names):  # ("pair", "alpha", "rank")[: values.ndim]
            return _names(names)
    return []

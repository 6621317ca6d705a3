"""The content of any Python value as a hash that is the same in every process."""

from __future__ import annotations

import copyreg
import enum
import functools
import hashlib
import struct
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from srtoolkit.models.model import Model
from srtoolkit.sweeps import codes

#: What Python adds to a class, and what says nothing about what the class does.
_OF_EVERY_CLASS = {
    "__dict__", "__weakref__", "__module__", "__doc__", "__qualname__", "__firstlineno__", "__static_attributes__",
    "__annotations__", "__annotations_cache__", "__annotate__", "__annotate_func__", "__abstractmethods__", "_abc_impl",
    "__dataclass_fields__", "__dataclass_params__", "__slotnames__",
}  # fmt: skip

_DESCRIPTORS = (
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
)


def content_hash(value: Any, name: str) -> str:
    """SHA-256 (first 16 digits) of a value's content: equal for equal content, in whatever process it is computed.

    Containers, arrays, tensors and Datasets are taken with all that is in them, and other objects with all that a copy
    would be made of. The order of a dictionary counts, since a measurement may follow it. A function is its bytecode
    and whatever it names; a function or class of a library is its name and the library's version.

    Args:
        value: The value.
        name: What the value is called, for the error message.

    Raises:
        TypeError: Something in the value has no content that could be compared, such as a lock or an open file.
    """
    try:
        return _Contents().of(value, name).hex()[:16]
    except RecursionError:
        raise _unhashable(name, value, "it is nested too deeply") from None


def _unhashable(where: str, value: Any, why: str) -> TypeError:
    return TypeError(
        f"the measurement uses {where}, of type {type(value).__name__}, whose content cannot be hashed ({why}), so a "
        "store could not tell when it changes. Make it inside the measurement, give what it is made of as an argument "
        "(functools.partial), or give sweep(mark=...): a text of your own that you change with the measurement."
    )


class _Contents:
    """One walk through a value. Containers may hold themselves; functions and classes may name each other."""

    def __init__(self) -> None:
        self._open: dict[Any, int] = {}  # containers that are being hashed, by their depth
        self._top = 0  # depth of the outermost container that the one in hand refers back to
        self._known: dict[Any, tuple[Any, bytes]] = {}  # kept alive, so that no other gets its id
        self._named: dict[int, tuple[Any, int]] = {}  # functions and classes by the order in which they are met

    def of(self, value: Any, where: str) -> bytes:
        """The hash of a value."""
        if (plain := _plain(value)) is not None:
            return plain
        key = (id(value.module), value.names) if isinstance(value, codes.Modules) else id(value)
        if key in self._known:
            return self._known[key][1]
        depth = len(self._open)
        if key in self._open:
            self._top = min(self._top, self._open[key])
            return _hash("again", depth - self._open[key])
        self._open[key] = depth
        outer, self._top = self._top, depth
        try:
            found = self._parts(value, where)
        finally:
            del self._open[key]
        if self._top >= depth:  # else it means something else elsewhere
            self._known[key] = value, found
            self._top = outer
        self._top = min(outer, self._top)
        return found

    def _parts(self, value: Any, where: str) -> bytes:
        """The hash of a value that has parts."""
        if isinstance(value, types.FunctionType | type):
            return self._once(value, where)
        if type(value) in (list, tuple):
            return _hash(type(value).__name__, *(self.of(part, f"{where}[{i}]") for i, part in enumerate(value)))
        if type(value) is dict or isinstance(value, types.MappingProxyType):
            return _hash("dict", *self._items(value.items(), where))
        if isinstance(value, set | frozenset):
            return _hash(type(value).__name__, *sorted(_Contents().of(part, f"a member of {where}") for part in value))
        for kind, parts in _OF_LIBRARIES.items():
            if isinstance(value, kind):
                content = _taken(parts, value, where)
                return _hash(kind.__name__, self.of(type(value), where), self.of(content, where))
        return self._reduced(value, where)

    def _items(self, items: Iterable[tuple[Any, Any]], where: str) -> list[bytes]:
        return [
            digest
            for key, part in items
            for digest in (self.of(key, f"a key of {where}"), self.of(part, f"{where}[{key!r}]"))
        ]

    def _fields(self, fields: Mapping[str, Any], where: str) -> bytes:
        """The hash of things by name, whatever their order."""
        return _hash("fields", *(_hash(name, self.of(fields[name], f"{where}{name}")) for name in sorted(fields)))

    def _once(self, value: Any, where: str) -> bytes:
        """The hash of a function or class, which is taken apart where it is met first."""
        if known := self._named.get(id(value)):
            return _hash("met before", known[1])
        self._named[id(value)] = value, len(self._named)
        if codes.is_of_library(value):
            return _hash("library", *codes.library_name(value))
        if isinstance(value, type):
            own = {key: part for key, part in vars(value).items() if key not in _OF_EVERY_CLASS}
            parents = (type(value), *(base for base in value.__bases__ if base is not object))
            parts = self.of(parents, where), self._fields(own, f"{where}: {value.__name__}.")
            return _hash("class", value.__name__, *parts)
        code, uses = codes.taken_apart(value)
        return _hash("function", self.of(code, where), self._fields(uses, f"{where}: "))

    def _reduced(self, value: Any, where: str) -> bytes:
        """The hash of any other object, by the parts from which a copy of it would be made."""
        reduce = copyreg.dispatch_table.get(type(value), lambda value: value.__reduce_ex__(4))
        reduced = _taken(reduce, value, where)
        if isinstance(reduced, str):  # its name in a module
            return _hash("named", str(getattr(value, "__module__", None)), reduced)
        make, arguments, state, entries, items = (*tuple(reduced), None, None, None)[:5]
        if isinstance(state, dict):
            cached = [name for name in state if isinstance(getattr(type(value), name, None), functools.cached_property)]
            held = self._fields({name: part for name, part in state.items() if name not in cached}, f"{where}.")
        else:
            held = self.of(state, where)
        return _hash(
            "object",
            self.of(make, where),
            self.of(arguments, where),
            held,
            self.of(list(entries or ()), where),
            *self._items(items or (), where),
        )


def _taken(apart: Callable[[Any], Any], value: Any, where: str) -> Any:
    try:
        return apart(value)
    except Exception as error:  # every kind of object refuses in its own way
        raise _unhashable(where, value, " ".join(str(error).split())[:100]) from None


def _plain(value: Any) -> bytes | None:
    """The hash of a value without parts; ``None`` for one that has parts."""
    kind = type(value)
    if value is None or value is Ellipsis or value is NotImplemented or kind is bool:
        return _hash(kind.__name__, value)
    if kind is int:
        return _hash("int", hex(value))
    if kind in (float, complex):
        return _hash(kind.__name__, struct.pack("<2d", complex(value).real, complex(value).imag))
    if kind is str:
        return _hash("str", value)
    if kind in (bytes, bytearray):
        return _hash(kind.__name__, bytes(value))
    return None


def _hash(*parts: Any) -> bytes:
    """SHA-256 of parts, each with its length in front, so that no two lists of parts run into one."""
    found = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
        found.update(len(content).to_bytes(8, "little"))
        found.update(content)
    return found.digest()


def _of_array(array: Any) -> tuple[Any, ...]:
    added = getattr(array, "__dict__", {})  # of a subclass
    if array.dtype.hasobject:
        return array.shape, array.tolist(), added
    return array.dtype.descr if array.dtype.names else array.dtype.str, array.shape, array.tobytes(), added


def _of_tensor(tensor: Any) -> tuple[Any, ...]:
    here = tensor.detach().cpu().resolve_conj().resolve_neg()
    whole = (here.to_dense() if here.layout is not torch.strided else here).contiguous()
    content = whole.reshape(-1).view(torch.uint8).as_subclass(torch.Tensor).numpy()
    return str(tensor.dtype), tuple(tensor.shape), str(tensor.layout), content, vars(tensor)


def _of_variable(variable: Any) -> tuple[Any, ...]:
    return variable.dims, np.asarray(variable.values), sorted(variable.attrs.items())


def _of_dataset(dataset: xr.Dataset) -> tuple[Any, ...]:
    variables = [
        (str(name), name in dataset.coords, _of_variable(dataset[name].variable)) for name in dataset.variables
    ]
    return sorted(variables, key=lambda variable: variable[0]), sorted(dataset.attrs.items())


def _of_model(model: Model) -> tuple[Any, ...]:
    return model.name, model.dtype, model.init, model.seed, model.fingerprint


def _of_index(index: Any) -> tuple[Any, ...]:
    return index.dtype, list(index.names), np.asarray(index)


def _of_series(series: Any) -> tuple[Any, ...]:
    return series.dtype, series.name, series.index, np.asarray(series)


def _of_frame(frame: Any) -> tuple[Any, ...]:
    return frame.columns, [frame.iloc[:, place] for place in range(frame.shape[1])], frame.index


#: How objects are taken apart whose own parts are not their content. The first that fits counts.
_OF_LIBRARIES: dict[Any, Callable[[Any], Any]] = {
    enum.Enum: lambda member: (member.name, member.value),
    np.ma.MaskedArray: lambda array: (np.asarray(array.data), np.asarray(np.ma.getmaskarray(array))),
    np.ndarray: _of_array,
    np.generic: lambda number: _of_array(np.asarray(number)),
    torch.Tensor: _of_tensor,
    xr.Dataset: _of_dataset,
    xr.DataArray: lambda array: (array.name, _of_variable(array.variable), _of_dataset(array.coords.to_dataset())),
    xr.Variable: _of_variable,
    pd.DataFrame: _of_frame,
    pd.Series: _of_series,
    pd.Index: _of_index,
    Model: _of_model,
    codes.Modules: lambda module: module.parts(),
    types.ModuleType: lambda module: codes.Modules(module, frozenset()).parts(),
    types.CodeType: codes.of_code,
    types.MethodType: lambda method: (method.__func__, method.__self__),
    types.BuiltinFunctionType: codes.of_builtin,
    functools.partial: lambda made: (made.func, made.args, sorted(made.keywords.items())),
    functools._lru_cache_wrapper: lambda cached: cached.__wrapped__,
    functools.cached_property: lambda cached: cached.func,
    property: lambda made: (made.fget, made.fset, made.fdel),
    staticmethod: lambda made: made.__func__,
    classmethod: lambda made: made.__func__,
    **dict.fromkeys(_DESCRIPTORS, lambda slot: slot.__name__),
}

"""What a function does, as far as it can be compared: its bytecode, and the things that it names.

Bytecode is what runs: a module that was edited after it was imported, two lambdas of one line, or a function without a
file are told apart by it, which source does not do.
"""

from __future__ import annotations

import builtins
import contextlib
import dis
import functools
import importlib
import importlib.metadata
import importlib.util
import inspect
import platform
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from srtoolkit.version import __version__

#: Flags of code that change what it does: how arguments are taken, and generators and coroutines.
_DOES = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS | inspect.CO_GENERATOR | inspect.CO_COROUTINE
_DOES |= inspect.CO_ITERABLE_COROUTINE | inspect.CO_ASYNC_GENERATOR

_LOADS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}

_INSTALLED = {"site-packages", "dist-packages"}


@dataclass(frozen=True)
class Modules:
    """A module of the user's own, of which a function names some attributes.

    Attributes:
        module: The module.
        names: Names in the function, among them those of the attributes.
    """

    module: ModuleType
    names: frozenset[str]

    def parts(self) -> Any:
        """The module's attributes that are named, or all where none is; of a library, its name and version."""
        if is_library(self.module.__name__):
            return _with_version(self.module.__name__)
        own = {name: value for name, value in vars(self.module).items() if not name.startswith("__")}
        named = {name: value for name, value in own.items() if name in self.names} or own
        return [
            (name, Modules(value, self.names) if isinstance(value, ModuleType) else value)
            for name, value in sorted(named.items())
        ]


def taken_apart(function: FunctionType) -> tuple[Any, dict[str, Any]]:
    """The code of a function, and by name what else decides what it does.

    Args:
        function: A function that is not a library's.

    Returns:
        The code, or the name of the library that it is from; and values of globals, closure, defaults and attributes.
    """
    code, defaults = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount]
    uses = {
        **dict(_closure(function)),
        **{f"default of {name}": value for name, value in zip(names, defaults, strict=True)},
        **{f"default of {name}": value for name, value in (function.__kwdefaults__ or {}).items()},
        **{f"attribute {name}": value for name, value in vars(function).items() if name != "__wrapped__"},
    }
    home = str(function.__globals__.get("__name__"))
    if is_library(home):  # a library's wrapper around a function
        return (*_with_version(home), code.co_qualname), uses
    return code, {**_globals(function), **uses}


def _closure(function: FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # nothing has been put into it so far
            yield name, cell.cell_contents


def _globals(function: FunctionType) -> dict[str, Any]:
    """What a function finds in its module, in builtins, and by imports of its own."""
    named = [code.co_names + code.co_consts for code in _codes(function.__code__)]  # constants, for getattr
    names = frozenset(name for both in named for name in both if isinstance(name, str))
    found: dict[str, Any] = {}
    for code in _codes(function.__code__):
        for instruction in dis.get_instructions(code):
            if instruction.opname in _LOADS:
                name = str(instruction.argval)
                found[name] = function.__globals__.get(name, getattr(builtins, name, None))
        for name in _imported(code, function.__globals__):
            found[f"import {name}"] = sys.modules.get(name)
    return {
        name: Modules(value, names) if isinstance(value, ModuleType) else value
        for name, value in found.items()
        if not _is_builtin(name, value)
    }


def _is_builtin(name: str, value: Any) -> bool:
    return name in vars(builtins) and vars(builtins)[name] is value


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code of a function and of all functions and classes inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _imported(code: CodeType, namespace: dict[str, Any]) -> Iterator[str]:
    """Modules that a function imports when it runs. They are imported now: it is about to run."""
    loaded: list[Any] = []
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            level, wanted = loaded[-2:]
            package = "." * level + str(instruction.argval)
            try:
                name = importlib.util.resolve_name(package, namespace.get("__package__"))
                importlib.import_module(name)
            except Exception:  # perhaps the measurement is ready for it; if not, it will say so itself
                continue
            yield name
            for part in wanted or ():
                if f"{name}.{part}" in sys.modules:
                    yield f"{name}.{part}"
        elif instruction.opname.startswith("LOAD"):
            loaded.append(instruction.argval)


def of_code(code: CodeType) -> tuple[Any, ...]:
    """The parts of code that decide what it does: no file, no line, no name.

    Args:
        code: The code of a function.
    """
    return (
        code.co_code,
        code.co_exceptiontable,
        code.co_consts,
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_cellvars,
        (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & _DOES),
    )


def of_builtin(function: Any) -> tuple[Any, ...]:
    """The parts of a function written in C: its name, and the object whose method it is.

    Args:
        function: The function.
    """
    owner = function.__self__
    if owner is None or isinstance(owner, ModuleType):
        return library_name(function)
    return function.__name__, owner


def is_of_library(value: Any) -> bool:
    """Whether a function or class is a library's own, so that its name and the library's version say what it is.

    Args:
        value: The function or class.
    """
    made_by_call = isinstance(value, FunctionType) and "<locals>" in value.__qualname__
    return is_library(str(value.__module__)) and not made_by_call


def library_name(value: Any) -> tuple[str, ...]:
    """Module, version and name of something that a library has by name.

    Args:
        value: A function, class or other object with a name.
    """
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None) or repr(value)
    return *_with_version(str(getattr(value, "__module__", None) or type(value).__module__)), name


def _with_version(module: str) -> tuple[str, str]:
    return module, _version(module.partition(".")[0])


@functools.cache
def _version(package: str) -> str:
    """Version of an installed package; of Python for its own modules."""
    if package == "srtoolkit":
        return __version__
    if package in sys.stdlib_module_names:
        return ".".join(platform.python_version_tuple()[:2])
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        homes = importlib.metadata.packages_distributions().get(package, [])
        return " ".join(importlib.metadata.version(home) for home in sorted(set(homes)))


@functools.cache
def is_library(module: str) -> bool:
    """Whether a module is Python's own, installed, or of this package; what is not, is the user's own.

    Args:
        module: Full name of the module.
    """
    top = module.partition(".")[0]
    if top == "srtoolkit" or top in sys.builtin_module_names:
        return True
    if module == "__main__" or module not in sys.modules:
        return False
    file = getattr(sys.modules[module], "__file__", None)
    if file is None:
        return top in sys.stdlib_module_names
    path = Path(file)
    return bool(_INSTALLED & set(path.parts)) or path.is_relative_to(sysconfig.get_path("stdlib"))

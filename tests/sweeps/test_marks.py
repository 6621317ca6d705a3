"""The mark of a measurement: another one for other code or other inputs, the same one in every process."""

from __future__ import annotations

import enum
import functools
import importlib
import json
import linecache
import logging
import os
import re
import subprocess
import sys
import textwrap
import threading
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import srtoolkit as srt
from srtoolkit.sweeps.marks import mark


@dataclass
class Settings:
    steps: int = 5
    names: list = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Frozen:
    steps: int


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Plain:
    def __init__(self, steps):
        self.steps = steps

    def __call__(self, _model):
        return self.steps

    @functools.cached_property
    def costly(self):
        return self.steps**2


Named = namedtuple("Named", "a b")


def pairs(label="x", last=3):
    ids = tuple(torch.tensor(row) for row in ([1, 2], [2, last]))
    return srt.PromptPairs(ids, ids, ("a", "b"), ("c", "d"), (label, "y"), bos=False, source="here")


def dataset(value=1.0, **attrs):
    return xr.Dataset({"v": ("pair", [value, 2.0])}, {"pair": ["a", "b"]}, {"steps": 5, **attrs})


def nested(last):
    whole = {"a": [1, {"b": (2, {3, last})}]}
    whole["itself"] = whole
    return whole


#: Pairs of makers: values of the first are equal whenever they are made, and none equals one of the second.
VALUES = {
    "list": (lambda: ["a cat", "a dog"], lambda: ["a cat", "a cow"]),
    "order": (lambda: ["a", "b"], lambda: ["b", "a"]),
    "grouping": (lambda: [["a"], ["b"]], lambda: [["a", "b"], []]),
    "kind": (lambda: 1, lambda: 1.0),
    "text": (lambda: "1", lambda: 1),
    "truth": (lambda: True, lambda: 1),
    "bytes": (lambda: b"ab", lambda: "ab"),
    "large number": (lambda: 10**6000, lambda: 10**6000 + 1),
    "zero": (lambda: 0.0, lambda: -0.0),
    "dictionary": (lambda: {"steps": 5, "path": None}, lambda: {"steps": 6, "path": None}),
    "ordered": (lambda: OrderedDict(a=1), lambda: OrderedDict(a=2)),
    "default": (lambda: defaultdict(list, a=[1]), lambda: defaultdict(list, a=[2])),
    "set": (lambda: {"p", "q", "r"}, lambda: {"p", "q", "s"}),
    "frozen set": (lambda: frozenset({1, (2, 3)}), lambda: frozenset({1, (2, 4)})),
    "nested": (lambda: nested(4), lambda: nested(5)),
    "named tuple": (lambda: Named(1, 2), lambda: Named(1, 3)),
    "dataclass": (lambda: Settings(5, ["a"]), lambda: Settings(5, ["b"])),
    "dataclass with slots": (lambda: Frozen(5), lambda: Frozen(6)),
    "class of another name": (lambda: Settings(5), lambda: Plain(5)),
    "enum": (lambda: Colour.RED, lambda: Colour.BLUE),
    "object": (lambda: Plain(5), lambda: Plain(6)),
    "path": (lambda: Path("a") / "b", lambda: Path("a") / "c"),
    "array": (lambda: np.arange(9).reshape(3, 3), lambda: np.arange(9)),
    "array's dtype": (lambda: np.zeros(4, np.int32), lambda: np.zeros(4, np.float32)),
    "large array": (lambda: np.arange(1e5), lambda: np.where(np.arange(1e5) == 5e4, 0, np.arange(1e5))),
    "strided array": (lambda: np.arange(9).reshape(3, 3).T, lambda: np.arange(9).reshape(3, 3)),
    "array of objects": (lambda: np.array(["a", None], object), lambda: np.array(["b", None], object)),
    "masked array": (lambda: np.ma.masked_equal([1, 2], 2), lambda: np.ma.masked_equal([1, 2], 1)),
    "numpy's number": (lambda: np.float32(1), lambda: np.float64(1)),
    "tensor": (lambda: torch.arange(4), lambda: torch.tensor([0, 1, 2, 4])),
    "bfloat16": (lambda: torch.ones(2, dtype=torch.bfloat16), lambda: torch.zeros(2, dtype=torch.bfloat16)),
    "no tensor": (lambda: torch.empty(0, 2), lambda: torch.empty(0, 3)),
    "module of torch": (lambda: seeded_linear(0), lambda: seeded_linear(1)),
    "Dataset": (dataset, lambda: dataset(1.5)),
    "Dataset's attributes": (lambda: dataset(seed=1), lambda: dataset(seed=2)),
    "DataArray": (lambda: dataset()["v"], lambda: dataset(1.5)["v"]),
    "DataArray's labels": (lambda: dataset()["v"], lambda: dataset()["v"].assign_coords(pair=["a", "c"])),
    "table": (lambda: pd.DataFrame({"a": [1, 2]}), lambda: pd.DataFrame({"a": [1, 3]})),
    "column's name": (lambda: pd.Series([1], name="a"), lambda: pd.Series([1], name="b")),
    "prompts": (pairs, lambda: pairs(last=4)),
    "prompts' labels": (pairs, lambda: pairs("z")),
    "function": (lambda: lambda x: x + 1, lambda: lambda x: x + 2),
    "function of a library": (lambda: srt.interpolate, lambda: srt.sharpness),
    "ufunc": (lambda: np.add, lambda: np.subtract),
    "builtin": (lambda: len, lambda: max),
    "method of a text": (lambda: "a".join, lambda: "b".join),
    "bound method": (lambda: Plain(5).__call__, lambda: Plain(6).__call__),
    "partial": (lambda: functools.partial(max, [1]), lambda: functools.partial(max, [2])),
    "class": (lambda: made_class(1), lambda: made_class(2)),
    "cached function": (lambda: functools.cache(lambda: 1), lambda: functools.cache(lambda: 2)),
    "function under no_grad": (lambda: torch.no_grad()(lambda: 1), lambda: torch.no_grad()(lambda: 2)),
    "random numbers": (lambda: np.random.default_rng(1), lambda: np.random.default_rng(2)),
    "dtype": (lambda: torch.float32, lambda: torch.float16),
    "slice": (lambda: slice(1, 2), lambda: slice(1, 3)),
    "pattern": (lambda: re.compile("a"), lambda: re.compile("b")),
    "categories": (lambda: categories("ab"), lambda: categories("ba")),
    "class's name": (lambda: type("A", (), {}), lambda: type("B", (), {})),
    "class's class": (lambda: Made("A", (), {}), lambda: MadeOtherwise("A", (), {})),
    "attribute of an array": (lambda: labelled_array(1), lambda: labelled_array(2)),
    "attribute of a tensor": (lambda: labelled_tensor(1), lambda: labelled_tensor(2)),
    "logger": (lambda: logging.getLogger("a"), lambda: logging.getLogger("b")),
}


class Made(type):
    share = 1


class MadeOtherwise(type):
    share = 2


class Labelled(np.ndarray):
    label: int


def labelled_array(label):
    array = np.zeros(2).view(Labelled)
    array.label = label
    return array


def labelled_tensor(label):
    tensor = torch.zeros(2)
    tensor.label = label
    return tensor


def categories(names):
    return pd.Series(["a"], dtype=pd.CategoricalDtype(list(names)))


def seeded_linear(seed):
    torch.manual_seed(seed)
    return torch.nn.Linear(2, 2)


def made_class(value):
    class Made:
        def run(self):
            return value

    return Made


def closing(value):
    return lambda _model: value


def defaulting(value):
    def measure(model, value=value, *, other=None):
        return value

    return measure


def by_keyword(value):
    def measure(model, *, value=value):
        return value

    return measure


def with_attribute(value):
    def measure(model):
        return measure.value

    measure.value = value
    return measure


class Holder:
    def __init__(self, value):
        self.value = value

    def __call__(self, _model):
        return self.value

    def method(self, _model):
        return self.value


def in_globals(value):
    namespace = {"__name__": "of_the_user", "VALUE": value}
    exec("def measure(model):\n    return [VALUE for _ in '12']", namespace)
    return namespace["measure"]


def given(model, value):
    return value


#: Where a measurement may have a value from.
PLACES = {
    "closure": closing,
    "default": defaulting,
    "keyword's default": by_keyword,
    "attribute": with_attribute,
    "object": Holder,
    "method": lambda value: Holder(value).method,
    "global": in_globals,
    "argument": lambda value: functools.partial(given, value=value),
    "place": lambda value: functools.partial(given, None, value),
    "helper": lambda value: closing(closing(value)),
}


@pytest.mark.parametrize("kind", VALUES)
def test_another_value_is_another_measurement(kind):
    one, other = VALUES[kind]
    for place, make in PLACES.items():
        assert mark(make(one())) == mark(make(one())), place
        assert mark(make(one()))["inputs"] != mark(make(other()))["inputs"], place


def written(folder, name, code):
    (folder / f"{name}.py").write_text(textwrap.dedent(code))


MEASURE = """
import numpy as np
import helpers
from helpers import outer

class Local:
    share = 0.5
    def run(self, model):
        return outer(model)

def measure(model):
    from helpers import late
    import srtoolkit as srt
    return Local().run(model), helpers.by_module(model), late(model), {"one", "two", "three"}, srt.sharpness, np.mean
"""

HELPERS = """
TABLE = {"a": {"x", "y", "z"}}
_UNUSED = 1

def outer(model):
    return inner(model)

def inner(model):
    return outer if model is None else [TABLE[key] for key in "a"]

def by_module(model):
    return 1

def late(model):
    return 2
"""

FROM_FILE = "import sys; sys.path.insert(0, sys.argv[1]); from measuring import measure"
TYPED = "import sys; sys.path.insert(0, sys.argv[1]); exec(open(sys.argv[1] + '/measuring.py').read())"
SAID = "; from srtoolkit.sweeps.marks import mark; import json; print(json.dumps(mark(measure)))"


def in_a_process(folder, seed="0", how=FROM_FILE):
    """The mark of the measurement in a folder, as another process sees it."""
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", how + SAID, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout


def marked_anew(monkeypatch):
    """The mark of the measurement in a folder on the path, imported anew."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in ("measuring", "helpers"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    linecache.clearcache()
    return mark(importlib.import_module("measuring").measure)


@pytest.mark.slow
def test_every_process_finds_the_same_mark(tmp_path, monkeypatch):
    written(tmp_path, "measuring", MEASURE)
    written(tmp_path, "helpers", HELPERS)
    monkeypatch.syspath_prepend(tmp_path)
    here = marked_anew(monkeypatch)
    assert json.loads(in_a_process(tmp_path, "1")) == here
    assert json.loads(in_a_process(tmp_path, "2", TYPED)) == here  # in __main__, where no source is found


def test_a_change_in_what_a_measurement_calls_is_another_measurement(tmp_path, monkeypatch):
    written(tmp_path, "measuring", MEASURE)
    written(tmp_path, "helpers", HELPERS)
    monkeypatch.syspath_prepend(tmp_path)
    whole = marked_anew(monkeypatch)
    written(tmp_path, "helpers", "# A remark, and what is not used.\n" + HELPERS.replace("_UNUSED = 1", "_UNUSED = 2"))
    assert marked_anew(monkeypatch) == whole
    for before, after in (
        ('"z"', '"w"'), ("else [TABLE", "else 2 * [TABLE"), ("return 1", "return 3"), ("return 2", "return 3"),
    ):  # fmt: skip
        written(tmp_path, "helpers", HELPERS.replace(before, after))
        assert marked_anew(monkeypatch) != whole, before
    written(tmp_path, "helpers", HELPERS)
    assert marked_anew(monkeypatch) == whole
    written(tmp_path, "measuring", MEASURE.replace("0.5", "0.6"))
    assert marked_anew(monkeypatch) != whole


def test_two_lambdas_of_one_line_are_two_measurements():
    one, other = (lambda model: model + 1), (lambda model: model + 2)
    assert mark(one) != mark(other)


def test_functions_that_call_each_other_are_told_apart():
    def pair(value):
        def even(n):
            return n == 0 or odd(n - 1)

        def odd(n):
            return n != value and even(n - 1)

        return even

    assert mark(pair(0)) == mark(pair(0)) and mark(pair(0)) != mark(pair(1))


def test_the_version_of_a_library_that_is_used_counts(monkeypatch):
    def measure(model):
        return np.mean(model)

    before = mark(measure)
    monkeypatch.setattr("srtoolkit.sweeps.codes._version", lambda _: "0")
    assert mark(measure)["inputs"] != before["inputs"]
    monkeypatch.setattr("srtoolkit.results.FORMAT", 99)
    assert mark(measure)["format"] == 99 != before["format"]


def test_what_is_computed_once_and_kept_changes_nothing():
    looked_at, fresh = Plain(5), Plain(5)
    assert looked_at.costly == 25
    assert mark(closing(looked_at)) == mark(closing(fresh))


@pytest.mark.parametrize(
    "value", [threading.Lock(), (i for i in "ab"), sys.__stderr__], ids=["lock", "generator", "file"]
)
def test_what_cannot_be_compared_is_refused_by_name(value):
    with pytest.raises(TypeError, match=r"measurement uses value\['deep'\]\[1\].*cannot be hashed.*partial.*mark="):
        mark(closing({"deep": [1, value]}))
    with pytest.raises(TypeError, match=r"measurement uses VALUE, of type"):
        mark(in_globals(value))


def test_a_model_is_its_weights(text_model):
    again = srt.wrap(text_model.hf, text_model.tokenizer, name="again")
    before = mark(closing(again))
    with torch.no_grad():
        weight = next(again.hf.parameters())
        kept = weight.clone()
        weight += 1
    try:
        assert mark(closing(again)) != before
    finally:
        with torch.no_grad():
            weight.copy_(kept)
    assert mark(closing(again)) == before


@pytest.mark.parametrize("name", ["VALUE", "getattr"])
def test_modules_that_import_each_other_are_taken_once(name, tmp_path, monkeypatch):
    """By name, and as a whole where the name is looked up when the measurement runs."""
    written(tmp_path, "helpers", "import measuring\nVALUE = 1")
    use = {"VALUE": "helpers.VALUE", "getattr": "getattr(helpers, 'value'.upper())"}[name]
    written(tmp_path, "measuring", f"import helpers\nROOT = 1\ndef measure(model):\n    return {use}")
    monkeypatch.syspath_prepend(tmp_path)
    before = marked_anew(monkeypatch)
    assert marked_anew(monkeypatch) == before
    written(tmp_path, "helpers", "import measuring\nVALUE = 2")
    assert marked_anew(monkeypatch) != before


def test_a_name_given_to_getattr_is_seen(tmp_path, monkeypatch):
    written(tmp_path, "helpers", "VALUE = 1\nOTHER = 1")
    code = "import helpers\ndef measure(model):\n    return getattr(helpers, 'VALUE'), helpers.OTHER"
    written(tmp_path, "measuring", code)
    monkeypatch.syspath_prepend(tmp_path)
    before = marked_anew(monkeypatch)
    written(tmp_path, "helpers", "VALUE = 2\nOTHER = 1")
    assert marked_anew(monkeypatch) != before


def test_code_compiled_under_another_future_is_the_same():
    code = "def measure(model):\n    return model + 1"
    namespaces = [{"__name__": "of_the_user"}, {"__name__": "of_the_user"}]
    exec(compile(code, "a", "exec", dont_inherit=True), namespaces[0])
    exec(compile("from __future__ import annotations\n" + code, "b", "exec"), namespaces[1])
    assert mark(namespaces[0]["measure"]) == mark(namespaces[1]["measure"])

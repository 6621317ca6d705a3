"""A result of any numbers and texts comes back from disk as it was, or is refused before anything is written."""

from __future__ import annotations

import numpy as np
import xarray as xr
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import srtoolkit as srt
from oracles import cases, refused
from srtoolkit.sweeps.members import label
from strategies import odd

text = st.text(max_size=5)
KINDS = (np.float32, np.float64, np.int64, np.int32, np.int8, np.uint8, bool)


@st.composite
def results(draw):
    """Datasets of any numbers, texts and attributes."""
    n, m = draw(st.integers(0, 3)), draw(st.integers(1, 3))
    data = {}
    for index in range(draw(st.integers(1, 3))):
        dims, shape = draw(st.sampled_from([((), ()), (("pair",), (n,)), (("pair", "alpha"), (n, m))]))
        kind = draw(st.sampled_from(KINDS))
        data[f"v{index}"] = dims, draw(arrays(kind, shape)), {"long_name": draw(text)}
    names = draw(st.lists(text, min_size=n, max_size=n))
    attrs = draw(
        st.dictionaries(st.sampled_from(["model", "path", "x"]), text | st.integers(-9, 9) | st.floats(allow_nan=False))
    )
    return xr.Dataset(
        data, {"pair": np.array(names, dtype=object), "alpha": np.arange(m) / m}, {**attrs, "srtoolkit": "0"}
    )


def odd_letters(result):
    kept = [
        *result["pair"].values,
        *result.attrs.values(),
        *(v.attrs.get("long_name", "") for v in result.variables.values()),
    ]
    return any(isinstance(value, str) and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value) for value in kept)


@cases(60)
@given(results())
@example(xr.Dataset({"v0": ("pair", [1.0])}, {"pair": ["a\0b"]}, {"srtoolkit": "0"})).via("discovered failure")
@example(xr.Dataset({"v0": ("pair", [1.0])}, {"pair": ["\ud800"]}, {"srtoolkit": "0"}))
def test_a_result_comes_back_as_it_was(tmp_path_factory, result):
    path = tmp_path_factory.mktemp("files") / "result.nc"
    refuses = refused(lambda: srt.save(result, path))
    assert refuses == odd_letters(result) != path.exists()
    if not refuses:
        again = srt.load(path)
        assert again.identical(result.assign_coords(pair=result["pair"].astype(again["pair"].dtype)))


@cases(80)
@given(odd, st.sampled_from(["attribute", "variable", "dataset", "variable's attribute"]))
def test_what_netcdf_cannot_hold_is_refused(tmp_path_factory, value, where):
    path = tmp_path_factory.mktemp("files") / "result.nc"
    good = xr.Dataset({"v": ("pair", [1.0])}, attrs={"srtoolkit": "0"})
    if where == "dataset":
        assert refused(lambda: srt.save(value, path)) or isinstance(value, xr.Dataset)
        return
    if where == "variable" and isinstance(value, str) and value == "\ud800":
        return  # xarray makes no such variable
    array = np.empty(1, dtype=object)
    array[0] = value
    bad = {
        "attribute": lambda: good.assign_attrs(x=value),
        "variable": lambda: good.assign(x=xr.Variable("pair", array)),
        "variable's attribute": lambda: good.assign(v=good["v"].assign_attrs(x=value)),
    }[where]()
    if not refused(lambda: srt.save(bad, path)):
        again = srt.load(path)
        kept = {
            "attribute": again.attrs.get("x"),
            "variable": again.get("x"),
            "variable's attribute": again["v"].attrs.get("x"),
        }
        np.testing.assert_array_equal(np.ravel(kept[where]), np.ravel(np.asarray(value)))


@cases(50)
@given(st.binary(max_size=300), st.booleans())
def test_a_file_of_anything_is_refused(tmp_path_factory, content, after_a_result):
    path = tmp_path_factory.mktemp("files") / "result.nc"
    if after_a_result:
        srt.save(xr.Dataset({"v": ("pair", np.arange(9.0))}, attrs={"srtoolkit": "0"}), path)
        content = path.read_bytes()[: 10 * len(content)]  # cut short
    path.write_bytes(content)
    assert refused(lambda: srt.load(path)) or after_a_result


members = st.one_of(
    st.text(min_size=1, max_size=6),
    st.fixed_dictionaries(
        {"name": st.text(min_size=1, max_size=4)},
        optional={
            "revision": st.none() | st.text("ab@1", min_size=1, max_size=3),
            "seed": st.integers(0, 3),
            "init": st.just("random"),
        },
    ),
)


@cases(80)
@given(members, members)
def test_members_of_a_sweep_have_labels_that_tell_them_apart(one, other):
    def arguments(member):
        if isinstance(member, str):
            name, _, revision = member.partition("@")
            return {"name": name, **({"revision": revision} if revision else {})}
        return {key: value for key, value in member.items() if value is not None}

    if arguments(one) == arguments(other):
        assert label(one) == label(other)
    elif not any(sign in arguments(member)["name"] for member in (one, other) for sign in "@("):
        assert label(one) != label(other)

"""Arguments that were called or given otherwise go on working, with a warning that says the new spelling."""

from __future__ import annotations

import inspect
import warnings

import pytest

from srtoolkit.validation import former_spellings


@former_spellings("layer", "seed", read="reads")
def measured(model, *, layer=0, seed=1, reads="resid"):
    return model, layer, seed, reads


def test_the_new_spelling_is_silent_and_keeps_its_signature():
    with warnings.catch_warnings(action="error"):
        assert measured("m", layer=3, reads="logits") == ("m", 3, 1, "logits")
    assert list(inspect.signature(measured).parameters) == ["model", "layer", "seed", "reads"]


@pytest.mark.parametrize(
    ("given", "named", "found", "said"),
    [
        (("m", 2), {}, ("m", 2, 1, "resid"), "layer=..."),
        (("m", 2, 7), {"reads": "logits"}, ("m", 2, 7, "logits"), "layer=..., seed=..."),
        (("m",), {"read": "logits"}, ("m", 0, 1, "logits"), "called reads="),
        (("m", 2), {"read": "logits"}, ("m", 2, 1, "logits"), "layer=..."),
    ],
)
def test_the_former_spelling_works_and_says_the_new_one(given, named, found, said):
    with pytest.warns(DeprecationWarning) as warned:
        assert measured(*given, **named) == found
    assert said in str(warned[0].message)


@pytest.mark.parametrize(
    ("given", "named"),
    [(("m", 1, 2, 3), {}), (("m", 1), {"layer": 2}), (("m",), {"read": 1, "reads": 2}), (("m",), {"other": 1})],
)
def test_what_never_worked_is_still_an_error(given, named):
    with pytest.raises(TypeError):
        measured(*given, **named)

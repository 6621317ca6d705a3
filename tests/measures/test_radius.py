"""Radii: right on maps whose boundaries are known, by plain hooks on models; predictions against finite differences."""

from __future__ import annotations

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch

import srtoolkit as srt
from families import BLOCKS, FAMILIES, VOCAB, WIDTH, tiny
from hooks import directional, hooked_everywhere
from srtoolkit.measures.bisection import first_reach

TEXTS = ["the cat sat", "a dog", "the cow saw"]
LADDER = 4 * 2.0 ** torch.arange(-15, 1)


def directions(n, width=WIDTH, seed=0):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


#: Maps with a known first place on every ray (an offset from 0 to 1): the value at a place, and where it reaches 1.
MAPS = {
    "half-space": (lambda where, size: (size > where).double() * 2, lambda where: where),
    "ball": (lambda where, size: (size / where) ** 2, lambda where: where),
    "cone": (lambda where, size: size / where, lambda where: where),
    "staircase": (lambda where, size: torch.floor(size / where * 4) / 4, lambda where: where),
}


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("tolerance", [0.1, 0.01, 1e-6])
def test_a_bracket_holds_the_place_and_is_narrow(name, tolerance):
    value, place = MAPS[name]
    where = torch.tensor([1e-4, 0.001, 0.3, 0.999, 1.5, 3.9], dtype=torch.float64)
    calls = []

    def values_at(ray, size):
        calls.append(len(ray))
        return value(where[ray], size)

    low, high = first_reach(values_at, LADDER, len(where), 1.0, tolerance)
    assert (low <= place(where)).all() and (place(where) <= high).all()
    assert (high - low <= tolerance * high).all()
    assert len(calls) <= len(LADDER) + np.ceil(np.log2(1 / tolerance)) + 1


def test_what_never_gets_there_is_infinite():
    low, high = first_reach(lambda ray, _: torch.zeros(len(ray)), LADDER, 2, 1.0, 0.01)
    assert (high == torch.inf).all() and (low == 4).all()


def test_a_value_that_is_not_a_number_ends_the_bracket():
    low, high = first_reach(lambda _, size: torch.where(size > 1.5, torch.nan, 0.0), LADDER, 1, 1.0, 0.01)
    assert low <= 1.5 <= high and high - low <= 0.01 * high


@pytest.mark.parametrize("metric", ["kl", "l2", "hellinger"])
def test_outputs_at_the_radius_have_moved_by_delta(text_model, metric):
    delta, ways = {"kl": 0.01, "l2": 0.5, "hellinger": 0.05}[metric], directions(3, text_model.d_model)
    found = srt.radius(text_model, TEXTS, ways, delta=delta, metric=metric, layer=1)
    assert np.isfinite(found.radius).all()
    assert (found.radius - found.radius_below <= 0.01 * found.radius * (1 + 1e-9)).all()
    for index, text in enumerate(TEXTS):
        ids = text_model.tokenize(text)
        start = hooked_everywhere(text_model, ids, 1)
        for number, way in enumerate(ways):
            for name, reached in (("radius", True), ("radius_below", False)):
                size = float(found[name].values[index, number])
                point = start["resid.1"][-1] + size * way / way.norm()
                moved = hooked_everywhere(text_model, ids, 1, point)
                before, after = start["logprobs"][-1], moved["logprobs"][-1]
                far = {
                    "kl": (before.exp() * (before - after)).sum(),
                    "l2": (start["final_norm"][-1] - moved["final_norm"][-1]).norm(),
                    "hellinger": ((before / 2).exp() - (after / 2).exp()).norm() / 2**0.5,
                }[metric]
                assert far > delta * 0.999 if reached else far < delta * 1.001


def test_a_distance_that_is_never_reached_is_infinite(text_model):
    found = srt.radius(text_model, TEXTS, directions(2, text_model.d_model), delta=1e6, metric="l2")
    assert (found.radius == np.inf).all() and np.allclose(found.radius_below, 4 * found.norm.values[:, None])


@pytest.fixture(scope="module", params=FAMILIES)
def model(request):
    return tiny(request.param)


def only_float64(monkeypatch):
    """Norms of many families compute in float32 whatever the model's format; here they are kept from it."""
    real = torch.Tensor.to

    def to(tensor, *given, **named):
        widened = [torch.float64 if one is torch.float32 else one for one in given]
        return real(tensor, *widened, **{k: torch.float64 if v is torch.float32 else v for k, v in named.items()})

    real_softmax = torch.nn.functional.softmax

    def softmax(tensor, *given, dtype=None, **named):
        return real_softmax(tensor, *given, dtype=torch.float64 if dtype else None, **named)

    monkeypatch.setattr(torch.Tensor, "to", to)
    monkeypatch.setattr(torch.nn.functional, "softmax", softmax)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)


@pytest.mark.parametrize("layer", range(BLOCKS))
@pytest.mark.parametrize("reads", ["final_norm", "logits"])
def test_derivatives_equal_finite_differences_in_float64(model, layer, reads, monkeypatch):
    wide = srt.wrap(copy.deepcopy(model.hf).double(), None, name="wide")
    ids = torch.randint(3, VOCAB, (2, 7), generator=torch.Generator().manual_seed(0))
    ways, size = directions(2).double(), 1e-5
    only_float64(monkeypatch)
    starts = torch.stack([hooked_everywhere(wide, row, layer)[f"resid.{layer}"][-1] for row in ids])
    monkeypatch.undo()
    value, found = directional(model, ids, starts.float(), ways.float(), layer=layer, reads=reads)
    only_float64(monkeypatch)
    for row in range(2):
        up, down = (
            hooked_everywhere(wide, ids[row], layer, starts[row] + sign * size * ways[row])[reads][-1]
            for sign in (1, -1)
        )
        expected = (up - down) / (2 * size)
        assert float((found[row] - expected).abs().max() / expected.abs().max()) < 1e-3
        torch.testing.assert_close(value[row].double(), (up + down) / 2, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("metric", ["kl", "hellinger", "l2", "l2_resid"])
def test_predicted_radii_equal_finite_differences_in_float64(model, metric, monkeypatch):
    layer, delta, size, ways = 1, 0.02, 1e-5, directions(2)
    ids = torch.randint(3, VOCAB, (7,), generator=torch.Generator().manual_seed(0))
    wide = srt.wrap(copy.deepcopy(model.hf).double(), None, name="wide")
    with monkeypatch.context() as without_tokenizer:
        without_tokenizer.setattr(type(model), "tokenize", lambda *_: ids)
        predicted = srt.predicted_radius(model, ["seven tokens"], ways, delta=delta, metric=metric, layer=layer)
    only_float64(monkeypatch)
    start = hooked_everywhere(wide, ids, layer)[f"resid.{layer}"][-1]
    for number, way in enumerate(ways.double()):
        step = size * way / way.norm()
        before, after = (hooked_everywhere(wide, ids, layer, start + sign * step) for sign in (-1, 1))
        if metric.startswith("l2"):
            read = "final_norm" if metric == "l2" else f"resid.{BLOCKS - 1}"
            expected = delta / float((after[read][-1] - before[read][-1]).norm() / (2 * size))
        else:  # the Hellinger distance per unit, whose square is an eighth of the Fisher information
            roots = [(found["logprobs"][-1] / 2).exp() for found in (before, after)]
            speed = float((roots[1] - roots[0]).norm()) / 2**0.5 / (2 * size)
            expected = delta / speed if metric == "hellinger" else (delta / 4) ** 0.5 / speed
        assert float(predicted.predicted_radius[0, number]) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("metric", ["kl", "hellinger", "l2", "l2_resid"])
def test_small_radii_are_as_predicted(text_model, metric):
    ways = directions(2, text_model.d_model)
    wide = srt.wrap(copy.deepcopy(text_model.hf).double(), text_model.tokenizer, name="wide")
    delta = 1e-8 if metric == "kl" else 1e-4
    found = srt.radius(wide, TEXTS, ways, delta=delta, metric=metric, layer=1, tolerance=1e-4, largest=0.1)
    predicted = srt.predicted_radius(wide, TEXTS, ways, delta=delta, metric=metric, layer=1)
    np.testing.assert_allclose(predicted.predicted_radius, found.radius, rtol=3e-3)


@pytest.mark.parametrize("call", [srt.radius, srt.predicted_radius])
@pytest.mark.parametrize(
    ("prompts", "given", "settings", "error", "said"),
    [
        (TEXTS, torch.zeros(1, 32), {}, ValueError, "3 of 3 have length 0"),
        (TEXTS, torch.ones(1, 31), {}, ValueError, r"directions: expected shape .*got \[1, 31\]"),
        (TEXTS, torch.ones(2, 1, 32), {}, ValueError, r"directions: expected shape .*got \[2, 1, 32\]"),
        (TEXTS, torch.full((1, 32), torch.nan), {}, ValueError, "NaN"),
        ([], torch.ones(1, 32), {}, TypeError, "prompts"),
        (TEXTS, torch.ones(1, 32), {"delta": 0.0}, ValueError, "delta=0"),
        (TEXTS, torch.ones(1, 32), {"metric": "odd"}, ValueError, "metric='odd'"),
        (TEXTS, torch.ones(1, 32), {"layer": 99}, ValueError, "layer=99"),
    ],
)
def test_bad_input_is_refused_by_name(text_model, call, prompts, given, settings, error, said):
    with pytest.raises(error, match=said):
        call(text_model, prompts, given, **{"delta": 0.1, **settings})


_PEAK = """
import re
from pathlib import Path
import torch
import srtoolkit as srt

def peak():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

model = srt.load_model("nano-1m")
ways = torch.randn({many}, model.d_model, generator=torch.Generator().manual_seed(0))
for few in (ways[:{few}], ways):
    srt.predicted_radius(model, ["The house was very"], few, delta=0.1)
    print(peak())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process's memory is read from /proc")
def test_memory_is_flat_in_the_number_of_directions():
    """Logits of 4,000 directions more and their derivatives would be 131 MB; what the allocator keeps is let pass."""
    few, many = 2_000, 6_000
    command = [sys.executable, "-c", _PEAK.format(few=few, many=many)]
    low, high = map(int, subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-2:])
    assert high - low < 50e6

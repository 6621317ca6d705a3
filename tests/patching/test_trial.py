"""A trial measures a method's error in each context by how far that context's own outputs move."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

import srtoolkit as srt
from families import VOCAB, WIDTH, tiny
from srtoolkit.patching import trial
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.methods.method import Contexts


@pytest.fixture
def still(monkeypatch):
    """A trial whose second context hardly moves: a thousandth of the first one's path."""
    model = tiny("llama")
    context = torch.randint(3, VOCAB, (2, 7), generator=torch.Generator().manual_seed(0))
    own = srt.capture(model, context, layer=0)
    step = torch.randn(2, 1, WIDTH, generator=torch.Generator().manual_seed(1))
    step[1] *= 1e-3
    line = own[:, None] + torch.linspace(0, 1, 5)[:, None] * step
    monkeypatch.setattr(trial, "_paths", lambda *_: line)
    return trial.set_up(model, context, Contexts(7, 5), 0)


def moves(outputs):
    return (outputs - outputs[:, :1]).norm(dim=-1).amax(1)


@pytest.mark.parametrize("context", [0, 1])
def test_an_error_is_measured_by_the_movement_in_its_own_context(still, monkeypatch, context):
    right = srt.patch(still.model, still.two, still.points, layer=0, method="full")
    wrong = right.clone()
    wrong[context] += 0.5 * moves(right)[context] / WIDTH**0.5
    monkeypatch.setitem(METHODS, "off", SimpleNamespace(run=lambda *_: {"final_norm": wrong}))
    monkeypatch.setitem(METHODS, "full", SimpleNamespace(run=lambda *_: {"final_norm": right}))
    assert moves(right)[1] < 0.01 * moves(right)[0]
    assert still.error("full").share < 1e-3
    assert still.error("off").share == pytest.approx(0.5, rel=0.01)


def test_outputs_that_overflow_hide_no_error(still, monkeypatch):
    wrong = srt.patch(still.model, still.two, still.points, layer=0, method="full")
    wrong[1] += moves(wrong)[1]
    wrong[1, -1] = torch.inf
    monkeypatch.setitem(METHODS, "off", SimpleNamespace(run=lambda *_: {"final_norm": wrong}))
    assert still.error("off").share > 0.5

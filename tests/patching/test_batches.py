"""Cutting into batches changes nothing, however the cut falls, and a batch that does not fit is halved."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from families import tiny
from srtoolkit.patching import batches
from srtoolkit.patching.batches import in_batches
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.reads import Readout


@pytest.fixture(scope="module")
def model():
    return tiny("llama")


def double(rows, batch):
    return {"twice": 2 * batch, "owner": rows[:, None, None].expand(*batch.shape[:2], 1).float()}


@given(st.integers(1, 5), st.integers(1, 40), st.integers(0, 60), st.integers(1, 20))
def test_any_cut_gives_the_same(n, k, per_batch, per_row):
    points = torch.arange(n * k * 3, dtype=torch.float32).reshape(n, k, 3)
    found = in_batches(double, points, per_batch, per_row)
    assert torch.equal(found["twice"], 2 * points)
    assert torch.equal(found["owner"], torch.arange(n)[:, None, None].expand(n, k, 1).float())


@given(st.integers(1, 5), st.integers(1, 300), st.integers(1, 60))
def test_batches_are_about_equal_and_none_is_larger_than_fits(n, k, per_batch):
    sizes = []

    def run(rows, batch):
        sizes.append(len(rows))
        assert batch.shape[0] * batch.shape[1] <= per_batch
        return double(rows, batch)

    in_batches(run, torch.zeros(n, k, 2), per_batch, 16)
    assert all(size == sizes[0] for size in sizes[:-1]) and sizes[-1] > sizes[0] - len(sizes)


@pytest.mark.parametrize("budget", [2**16, 2**20, 2**30])
@pytest.mark.parametrize("reads", [("final_norm",), ("logits",)])
@given(st.integers(1, 300), st.integers(1, 300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_prefix_and_points_fit_together(model, budget, reads, length, n_points):
    model.memory_budget = budget
    token = batches.bytes_per_token(model, Readout(reads, 0))
    fits = METHODS["joint"].points_that_fit(model, length, n_points, Readout(reads, 0))
    rows_a_context = -(-n_points // batches.PARALLEL_POINTS)
    row = min(-(-n_points // rows_a_context), max(1, fits))
    tokens = max(1, fits // row) * (length - 1 + row)
    # A context's prefix and one point are the least there is.
    assert tokens <= max(length, min(batches.CPU_TOKENS, budget // token))


@given(st.integers(1, 4), st.integers(1, 20), st.integers(1, 30))
@pytest.mark.slow
def test_out_of_memory_halves_until_it_fits(n, k, fits):
    """A real allocator is exercised in tests/models/test_models.py; here the arithmetic of halving is."""
    largest = []

    def run(rows, batch):
        if batch.shape[0] * batch.shape[1] > fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        largest.append(batch.shape[0] * batch.shape[1])
        return double(rows, batch)

    points = torch.arange(n * k * 2, dtype=torch.float32).reshape(n, k, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches.gc, "collect", lambda: 0)  # a third of a second, hundreds of times
        assert torch.equal(in_batches(run, points, 1000, 1000)["twice"], 2 * points)
    assert max(largest) <= fits


@pytest.mark.slow
def test_a_single_point_that_does_not_fit_is_an_error():
    def run(rows, batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(MemoryError, match="one point"):
        in_batches(run, torch.zeros(2, 3, 4), 100, 100)


def test_other_errors_pass_through():
    def run(rows, batch):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        in_batches(run, torch.zeros(2, 3, 4), 100, 100)

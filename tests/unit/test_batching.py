"""Cutting into batches changes nothing, however the cut falls, and a batch that does not fit is halved."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from srtoolkit.batching import in_batches


def double(rows, batch):
    return {"twice": 2 * batch, "owner": rows[:, None, None].expand(*batch.shape[:2], 1).float()}


@given(st.integers(1, 5), st.integers(1, 40), st.integers(0, 60), st.integers(1, 20))
def test_any_cut_gives_the_same(n, k, per_batch, per_row):
    points = torch.arange(n * k * 3, dtype=torch.float32).reshape(n, k, 3)
    found = in_batches(double, points, per_batch, per_row)
    assert torch.equal(found["twice"], 2 * points)
    assert torch.equal(found["owner"], torch.arange(n)[:, None, None].expand(n, k, 1).float())


@given(st.integers(1, 4), st.integers(1, 20), st.integers(1, 30))
def test_out_of_memory_halves_until_it_fits(n, k, fits):
    """A real allocator is exercised in tests/models; here the arithmetic of halving is."""
    largest = []

    def run(rows, batch):
        if batch.shape[0] * batch.shape[1] > fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        largest.append(batch.shape[0] * batch.shape[1])
        return double(rows, batch)

    points = torch.arange(n * k * 2, dtype=torch.float32).reshape(n, k, 2)
    assert torch.equal(in_batches(run, points, 1000, 1000)["twice"], 2 * points)
    assert max(largest) <= fits


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

"""How a property is run, and what it asks: the right answer, or an error that the library itself words."""

from __future__ import annotations

import dis
import functools
import os
import traceback
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from scipy.special import rel_entr

import srtoolkit as srt
from checkpoints_on_disk import byte_tokenizer
from families import hooked, tiny
from srtoolkit import results

#: ``SRT_EXPLORE=20`` runs twenty times as many cases, other ones every time; what fails is kept in ``.hypothesis``.
EXPLORE = int(os.environ.get("SRT_EXPLORE", "0"))

#: ``SRT_CASES=0.1`` runs a tenth of the cases, the same ones every time.
SHARE = float(os.environ.get("SRT_CASES", "1"))

LIBRARY = Path(srt.__file__).parent

#: What the library raises for bad input. Subclasses are somebody else's: numpy's, torch's, Python's own.
NAMED = (
    ValueError,
    TypeError,
    FileNotFoundError,
    srt.HubError,
    NotImplementedError,
    results.ResultError,
    results.DamagedResult,
)


def cases(number):
    """Run a property on this many cases, the same ones everywhere."""
    quiet = [
        hypothesis.HealthCheck.too_slow,
        hypothesis.HealthCheck.data_too_large,
        hypothesis.HealthCheck.filter_too_much,
    ]
    wanted = max(1, round(number * (EXPLORE or SHARE)))
    chosen = {"max_examples": wanted, "derandomize": not EXPLORE}
    if not EXPLORE:
        chosen["database"] = None
    settings = hypothesis.settings(deadline=None, suppress_health_check=quiet, print_blob=False, **chosen)
    return lambda test: pytest.mark.cases(wanted)(settings(test))


def refused(call):
    """Whether ``call`` is refused by the library in its own words; anything else that it raises is a failure."""
    try:
        call()
    except NAMED as error:
        *_, (frame, line) = traceback.walk_tb(error.__traceback__)
        innermost = error.__traceback__
        while innermost.tb_next:
            innermost = innermost.tb_next
        code = frame.f_code
        said = code.co_code[innermost.tb_lasti] == dis.opmap["RAISE_VARARGS"] and type(error) in NAMED
        assert said and Path(code.co_filename).is_relative_to(LIBRARY), f"bare {error!r}, {code.co_filename}:{line}"
        assert len(str(error)) > 30, f"{error!r} says too little"
        return True
    return False


@functools.cache
def model_of(family="llama"):
    """A tiny model of 4 blocks that reads bytes."""
    model = tiny(family, vocab_size=259)
    model.tokenizer = byte_tokenizer()
    return model


def ids_of(text):
    return model_of().tokenize(text)


@functools.cache
def activation(family, ids, layer):
    """Residual stream after a block at the last position, by a plain hook."""
    return hooked(model_of(family), torch.tensor(ids), layer)["own"]


def outputs(family, ids, layer, points):
    """What plain hooks read after each of some points was put in."""
    runs = [hooked(model_of(family), torch.as_tensor(ids), layer, point) for point in points]
    return {name: torch.stack([run[name] for run in runs]) for name in runs[0]}


def assert_close(found, expected, rel=1e-4, absolute=1e-6):
    """Equal to a share of the largest number there, with NaN and infinity in the same places."""
    found, expected = (
        values.detach().double().numpy() if isinstance(values, torch.Tensor) else np.asarray(values, dtype=np.float64)
        for values in (found, expected)
    )
    assert found.shape == expected.shape
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(found[~finite], expected[~finite])
    scale = np.abs(expected[finite]).max(initial=0)
    np.testing.assert_allclose(found[finite], expected[finite], rtol=rel, atol=rel * scale + absolute)


def jsd(p, q):
    """Jensen-Shannon divergence of distributions, row by row, in nats."""
    middle = (p + q) / 2
    return (rel_entr(p, middle).sum(-1) + rel_entr(q, middle).sum(-1)) / 2

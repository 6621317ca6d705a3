"""Ten thousand random cases of ``F_p``, a fixed tenth of them by default, each against plain hooks on whole prompts."""

from __future__ import annotations

import functools
import random

import pytest
import torch

import srtoolkit as srt
from every_decoder import small
from families import BLOCKS, FAMILIES, VOCAB, tiny
from hooks import whole_prompts
from oracles import SHARE
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.prefixes import Unsupported

LONGROPE = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [9.0] * 4, "rope_theta": 1e4}

#: Models that change what they do at a length, which some of the prompts reach.
CHANGING = {
    "mistral-8": {"sliding_window": 8},
    "gemma2-8": {"sliding_window": 8},
    "gemma3_text-8": {"sliding_window": 8},
    "gpt_neo-8": {"window_size": 8},
    "phi3-16": {"rope_parameters": LONGROPE, "original_max_position_embeddings": 16},
}

#: Families with blocks that keep a state instead of keys and values, or beside them.
HYBRIDS = ("olmo_hybrid", "qwen3_next")

KINDS = (*FAMILIES, *CHANGING, *HYBRIDS)
EACH = -(-10_000 // len(KINDS))

#: Cases of each kind at least: of four, most can be refused by chance.
FEWEST = 10

#: Largest error, relative to how far the outputs lie apart. In half precision methods round differently, as plain hooks
#: do from the exact value: what counts is that a method is not much further from it than they are.
#: In float64, GPT-Neo and others still compute attention in float32.
LARGEST = {torch.float32: 1e-3, torch.float64: 1e-6}
FURTHER = 5

#: Families that compute attention in float32 whatever the model's format is, and what float64 is held to there.
ATTENTION_IN_FLOAT32 = {"gemma2": 1e-6, "gpt_neo": 1e-6, "gptj": 1e-6}


@functools.cache
def model_of(kind, dtype):
    """The model of a kind, with the same weights in every number format."""
    if kind in HYBRIDS:
        return srt.wrap(small(kind), None, name=kind)
    made = tiny(kind.split("-")[0], dtype=dtype, **CHANGING.get(kind, {}))
    if dtype != torch.float32:
        made.hf.load_state_dict(model_of(kind, torch.float32).hf.state_dict())
    return made


def draw(kind, index):
    """One case: the model, the settings of the call, and what stands for all of it in words."""
    drawn = random.Random(f"{kind} {index}")
    halves = [torch.float16, torch.bfloat16]
    dtype = drawn.choices([torch.float32, torch.float64, *halves], [6, 2, 1, 1])[0] if kind in FAMILIES else None
    case = {
        "method": drawn.choice(["auto", "auto", "auto", *METHODS]),
        "layer": drawn.randrange(BLOCKS),
        "length": drawn.choice([1, 2, 3, 7, 8, 9, 10, 15, 16, 17, 18, drawn.randint(1, 40)]),
        "contexts": drawn.choice([1, 2, 3, 5]),
        "points": drawn.choice([1, 2, 3, 8, drawn.randint(1, 50), drawn.choice([10, 130])]),
        "budget": drawn.choice([None, None, 1, 2 ** drawn.randint(14, 22)]),
        "shared": drawn.random() < 0.2,
        "near": drawn.random() < 0.5,
        "seed": drawn.randrange(10**6),
    }
    return model_of(kind, dtype or torch.float32), case


def inputs(model, case):
    """Token ids and points: on lines between the contexts' own activations, or anywhere."""
    made = torch.Generator().manual_seed(case["seed"])
    ids = torch.randint(3, VOCAB, (case["contexts"], case["length"]), generator=made)
    if case["shared"]:
        ids[:, :-1] = ids[0, :-1].clone()
    own = srt.capture(model, ids, layer=case["layer"])
    size = own.norm(dim=-1, keepdim=True)[:, None] / model.d_model**0.5
    away = torch.randn(case["contexts"], case["points"], model.d_model, generator=made).to(own) * size
    if case["near"]:
        away = torch.linspace(0, 1, case["points"]).to(own)[:, None] * away[:, :1]
    return ids, own[:, None] + away


def plain(model, ids, layer, points):
    return torch.stack(
        [whole_prompts(model, *one, layer, put_in)["final_norm"] for *one, put_in in zip(ids, points, strict=True)]
    )


def apart(outputs):
    """Largest distance between outputs of one context, or their size where there is one point alone."""
    return torch.maximum((outputs - outputs[:, :1]).norm(dim=-1).amax(1), 0.1 * outputs[:, 0].norm(dim=-1))


def difference(kind, model, case):
    """Error against plain hooks as a share of the largest that is allowed; ``None`` where the method is refused."""
    ids, points = inputs(model, case)
    budget = model.memory_budget
    model.memory_budget = case["budget"] or budget
    try:
        found = srt.patch(model, ids, points, layer=case["layer"], method=case["method"]).double()
    except Unsupported:
        assert case["method"] not in ("auto", "full")
        return None
    finally:
        model.memory_budget = budget
    same = plain(model, ids, case["layer"], points).double()
    if not same.isfinite().all():
        return None
    error = ((found - same).norm(dim=-1).amax(1) / apart(same)).max()
    if model.hf.dtype in LARGEST:
        inside = ATTENTION_IN_FLOAT32.get(kind, 0.0)
        return float(error) / max(inside, LARGEST[model.hf.dtype])
    exact = plain(model_of(kind, torch.float64), ids, case["layer"], points.double())
    rounding = ((same - exact).norm(dim=-1).amax(1) / apart(same)).max()
    return float(error) / (FURTHER * float(rounding) + 8 * torch.finfo(model.hf.dtype).eps)


@pytest.mark.parametrize(
    "family", [*FAMILIES, *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS if kind not in FAMILIES)]
)
def test_random_cases(family, request):
    share = 1 if request.config.getoption("--all-cases") else 0.1 * SHARE
    ran, wrong = 0, []
    for index in range(max(FEWEST, round(EACH * share))):
        model, case = draw(family, index)
        error = difference(family, model, case)
        ran += error is not None
        if error is not None and not error < 1:
            wrong.append((index, error, model.dtype, case))
    assert not wrong
    assert ran > 0.5 * index  # families that keep states alone refuse every named method but the full path

"""A method that the caller names is held to whole prompts, once for each kind of context, and refused if it differs."""

from __future__ import annotations

import pytest
import torch

import srtoolkit as srt
from every_decoder import small
from families import VOCAB, WIDTH, tiny
from hooks import whole_prompts
from srtoolkit.patching.choice import choose_method
from srtoolkit.patching.methods import METHODS
from srtoolkit.patching.prefixes import Unsupported
from srtoolkit.patching.rounds import Rounds

FAST = [name for name in METHODS if name != "full"]


def prompts(n, length, seed=0):
    return torch.randint(3, VOCAB, (n, length), generator=torch.Generator().manual_seed(seed))


def points(n, k, seed=1):
    return torch.randn(n, k, WIDTH, generator=torch.Generator().manual_seed(seed))


def made(family):
    return tiny(family, sliding_window=8) if family == "moshi" else srt.wrap(small(family), None, name=family)


def error(model, ids, given, **settings):
    """Largest error against plain hooks, relative to how far the outputs lie apart."""
    found = srt.patch(model, ids, given, **settings)
    expected = torch.stack([whole_prompts(model, ids[row], 0, given[row])["final_norm"] for row in range(len(ids))])
    return float((found - expected).norm(dim=-1).max() / torch.pdist(expected.flatten(0, 1)).max())


#: Families that are wrong by cached prefixes at one length, and right at another: indexed attention behind its
#: ``index_topk``, a window that the cache keeps one token less of, and blocks that hand more than a stream to the next.
WRONG = {"deepseek_v32": (9, 3), "moshi": (9, 5), "zaya": (1, 5)}


@pytest.mark.parametrize("family", WRONG)
def test_a_method_is_refused_where_it_is_wrong_and_only_there(family):
    model, (wrong, right) = made(family), WRONG[family]
    ids, given = prompts(2, wrong), points(2, 3)
    says = rf"method='prefix': {model.name} .* {wrong} tokens, .* differs from whole prompts by .* one of \['full'\]"
    for _ in range(2):
        with pytest.raises(Unsupported, match=says):
            srt.patch(model, ids, given, method="prefix")
    assert error(model, ids, given) < 1e-3
    if family != "zaya":
        assert error(model, prompts(2, right), given, method="prefix") < 1e-3


def test_it_is_refused_wherever_a_method_can_be_named():
    model = made("deepseek_v32")
    ids, names = list(prompts(6, 9)), tuple("ab")
    pairs = srt.PromptPairs(tuple(ids[:2]), tuple(ids[2:4]), names, names, names, False, "made up")
    for adaptive in ({}, {"where": "adaptive"}):
        with pytest.raises(Unsupported, match="differs from whole prompts"):
            srt.interpolate(model, pairs, steps=5, method="prefix", progress=lambda *_: None, **adaptive)
    with pytest.raises(Unsupported, match=rf"{model.name} cannot be run so: .* differs"):
        Rounds(model, torch.stack(ids), layer=0, reads=("resid",), method="prefix")


@pytest.mark.parametrize("method", FAST)
def test_a_kind_of_context_is_tried_once(method):
    model, passes = tiny("llama"), []
    handle = model.hf.model.norm.register_forward_pre_hook(lambda *_: passes.append(1))

    def made_by(ids, **settings):
        passes.clear()
        srt.patch(model, ids, points(len(ids), 3), **settings)
        return len(passes)

    made_by(prompts(2, 7), method="full")  # what is probed once is not counted
    first = made_by(prompts(2, 7), method=method)
    again = [made_by(prompts(n, length, seed=2), method=method) for n, length in ((2, 7), (1, 7), (5, 9))]
    assert len(set(again)) == 1 and again[0] < first
    assert made_by(prompts(2, 7), method=method, layer=1) > again[0]  # another kind
    handle.remove()


def test_what_auto_has_tried_is_not_tried_again():
    model = tiny("llama")
    chosen = str(choose_method(model, prompts(2, 7), 3).method)
    before = dict(model.methods)
    srt.patch(model, prompts(2, 7), points(2, 3), method=chosen)
    assert model.methods == before


@pytest.mark.parametrize("method", FAST)
@pytest.mark.parametrize(
    ("family", "dtype"),
    [("llama", torch.float16), ("llama", torch.bfloat16), ("gpt2", torch.bfloat16), ("gpt_neo", torch.float64)],
)
def test_rounding_alone_refuses_nothing(family, dtype, method):
    """Two contexts that differ in their first token: their outputs lie so near each other that rounding shows."""
    model = tiny(family, dtype=dtype)
    for length in (2, 9, 30):
        ids = prompts(1, length).repeat(2, 1)
        ids[1, 0] = (ids[0, 0] + 1) % VOCAB
        assert srt.patch(model, ids, points(2, 3).to(dtype), method=method).isfinite().all()

"""What is written from a point is what a loop of plain hooks on ever longer prompts gives, for twenty families."""

from __future__ import annotations

import pytest
import torch

from families import BLOCKS, FAMILIES, VOCAB, WIDTH, tiny
from hooks import hooked_everywhere
from srtoolkit.patching import continuing
from srtoolkit.patching.continuing import write_on

TOKENS = 5


@pytest.fixture(scope="module", params=FAMILIES)
def model(request):
    return tiny(request.param)


def prompts(n, length=6):
    return torch.randint(3, VOCAB, (n, length), generator=torch.Generator().manual_seed(0))


def points(n, k):
    return torch.randn(n, k, WIDTH, generator=torch.Generator().manual_seed(1))


def likeliest(logits, rows, number):
    return logits.argmax(-1)


def write(model, ids, given, **settings):
    return write_on(model, ids, given, **{"layer": 1, "position": -1, "tokens": TOKENS, "pick": likeliest} | settings)


@pytest.mark.parametrize(("layer", "position"), [(0, -1), (2, 3), (1, 0), (BLOCKS - 1, -1), (BLOCKS - 1, 2)])
def test_every_token_is_the_likeliest_of_a_hooked_run_on_all_before_it(model, layer, position):
    ids, given = prompts(2), points(2, 3)
    found = write(model, ids, given, layer=layer, position=position)
    assert found["token"].shape == found["logprob"].shape == (2, 3, TOKENS)
    place = position % ids.shape[1]
    for row in range(2):
        for k in range(3):
            grown = ids[row]
            for number in range(TOKENS):
                plain = hooked_everywhere(model, grown, layer, given[row, k], place)["logprobs"][-1]
                token = found["token"][row, k, number]
                assert plain[token] >= plain.max() - 1e-4
                assert float(found["logprob"][row, k, number]) == pytest.approx(float(plain[token]), abs=1e-3)
                grown = torch.cat([grown, token[None]])


def test_prompts_of_one_token(model):
    ids, given = prompts(1, 1), points(1, 2)
    found = write(model, ids, given)
    first = [int(hooked_everywhere(model, ids[0], 1, given[0, k], 0)["logits"][-1].argmax()) for k in range(2)]
    assert found["token"][0, :, 0].tolist() == first


def test_keys_are_kept_where_they_are_right_and_whole_prompts_run_elsewhere(model, monkeypatch):
    ids, given, whole = prompts(1), points(1, 2), []
    plain = continuing._by_whole_prompts
    monkeypatch.setattr(continuing, "_by_whole_prompts", lambda *asked: whole.append(1) or plain(*asked))
    found = write(model, ids, given)
    assert len(whole) == (TOKENS if model.name == "tiny-mamba" else 1)  # one to compare with
    monkeypatch.setattr(continuing, "_keeps_a_cache", lambda *_: False)
    assert torch.equal(write(model, ids, given)["token"], found["token"])


def test_batches_do_not_matter():
    model, ids, given = tiny("llama"), prompts(3), points(3, 4)
    found, seen = write(model, ids, given), []
    model.memory_budget = 1
    again = write(model, ids, given, progress=lambda done, total: seen.append((done, total)))
    assert torch.equal(again["token"], found["token"])
    assert seen[-1] == (12, 12) and len(seen) > 3

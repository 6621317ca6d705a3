"""Directions are what their names say, and what is none is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

import srtoolkit as srt

MANY = ["the cats", "the dogs ran", "two cows", "some hens"]
ONE = ["the cat", "a dog", "one cow sat", "a hen"]


def activations(model, texts, layer):
    """By a plain hook on the block."""
    found = []
    block = model.hf.get_submodule(f"{model.anatomy.blocks}.{layer}")

    def keep(_, __, out):
        found.append((out[0] if isinstance(out, tuple) else out)[..., -1, :].reshape(-1))

    hook = block.register_forward_hook(keep)
    with torch.no_grad():
        for text in texts:
            model.hf(input_ids=model.tokenize(text, False)[None])
    hook.remove()
    return torch.stack(found).double()


def test_a_contrast_is_the_difference_of_means(text_model):
    for layer in (0, 2):
        found = srt.directions.contrastive(text_model, MANY, ONE, layer=layer, name="number")
        plain = activations(text_model, MANY, layer).mean(0) - activations(text_model, ONE, layer).mean(0)
        np.testing.assert_allclose(found.vectors[0], plain / plain.norm(), rtol=1e-4, atol=1e-6)
        assert found.names == ("number",) and f"block {layer}" in found.source


def test_principal_components_are_those_of_scikit_learn(text_model):
    texts = MANY + ONE
    found = srt.directions.principal(text_model, texts, 3, layer=1)
    plain = PCA(3).fit(activations(text_model, texts, 1).numpy()).components_
    np.testing.assert_allclose(np.abs((found.vectors.numpy() * plain).sum(1)), 1, atol=1e-4)


def test_matched_draws_have_the_covariance_of_the_activations(text_model):
    texts = MANY + ONE
    cloud = activations(text_model, texts, 0)
    drawn = srt.directions.covariance_matched(text_model, texts, 4000, seed=3).vectors.double()
    assert torch.linalg.matrix_rank(drawn, rtol=1e-4) == len(texts) - 1, "within the span of what was seen"
    components = PCA(2).fit(cloud.numpy())
    shares = ((drawn @ torch.from_numpy(components.components_.T)) ** 2).mean(0)
    wide = torch.randn(4000, 8, generator=torch.Generator().manual_seed(1)).double() @ (cloud - cloud.mean(0))
    wide = wide / wide.norm(dim=-1, keepdim=True)
    expected = ((wide @ torch.from_numpy(components.components_.T)) ** 2).mean(0)
    np.testing.assert_allclose(shares, expected, rtol=0.06)


def test_random_directions_are_of_length_1_alike_by_seed_and_nearly_orthogonal(text_model):
    first, again, other = (srt.directions.random(text_model, 200, seed=seed).vectors for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    np.testing.assert_allclose(first.norm(dim=-1), 1, rtol=1e-6)
    cosines = (first[:100] * first[100:]).sum(-1)
    assert abs(float(cosines.mean())) < 4 / math.sqrt(100 * 32)
    assert float(cosines.std()) == pytest.approx(1 / math.sqrt(32), rel=0.25)


def test_rows_are_brought_to_length_1_and_keep_their_direction():
    matrix = torch.tensor([[3.0, 4.0], [0.0, -2.0]])
    found = srt.directions.rows(matrix, ["a", "b"])
    assert found.vectors.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0.0, -1.0]]
    assert found.names == ("a", "b") and srt.directions.rows(matrix).names == ("0", "1")


def test_mixtures_go_around_the_circle_of_every_two():
    u, v, w = torch.tensor([1.0, 0, 0]), torch.tensor([0.6, 0.8, 0]), torch.tensor([0, 0, 1.0])
    found = srt.directions.mixtures(srt.directions.rows(torch.stack([u, v, w]), ["u", "v", "w"]))
    assert len(found) == 24 and list(dict.fromkeys(zip(found.first, found.second, strict=True))) == [
        ("u", "v"), ("u", "w"), ("v", "w"),
    ]  # fmt: skip
    half = math.sqrt(0.5)
    expected = [u, half * (u + v), v, half * (v - u), -u, -half * (u + v), -v, half * (u - v)]
    np.testing.assert_allclose(found.vectors[:8], torch.stack(expected), atol=1e-6)
    assert found.angle[2] == pytest.approx(math.pi / 2)


def test_opposites_and_joined_directions_keep_their_names():
    one, two = srt.directions.rows(torch.eye(3)[:1], ["x"]), srt.directions.rows(torch.eye(3)[1:], ["y", "z"])
    both = srt.directions.join(one, two)
    assert both.names == ("x", "y", "z") and torch.equal(both.vectors, torch.eye(3))
    assert both.opposites().names == ("x", "y", "z", "-x", "-y", "-z")
    assert torch.equal(both.opposites().vectors[3:], -torch.eye(3))
    turned = srt.directions.mixtures(both).opposites()
    assert turned.angle[24] == pytest.approx(math.pi) and turned.first[24] == "x"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda model: srt.directions.contrastive(model, MANY[:1], ONE), "positive: expected 2 or more texts, got 1"),
        (lambda model: srt.directions.contrastive(model, MANY, ONE[:1]), "negative: expected 2 or more texts, got 1"),
        (lambda model: srt.directions.contrastive(model, MANY, MANY, name="same"), "length 0 .*same"),
        (lambda _: srt.directions.rows(torch.tensor([[1.0, 0.0], [0.0, 0.0]]), ["a", "b"]), "length 0 .*: b"),
        (lambda _: srt.directions.rows(torch.eye(2), ["a", "a"]), "different names"),
        (lambda model: srt.directions.principal(model, MANY, 4), "n=4: .*from 1 to 3"),
        (lambda model: srt.directions.covariance_matched(model, MANY[:1]), "2 or more texts"),
        (lambda model: srt.directions.mixtures(srt.directions.random(model)), "two or more"),
        (lambda model: srt.directions.mixtures(srt.directions.towards(model, MANY)), "lead to places"),
        (lambda model: srt.directions.mixtures(srt.directions.random(model, 2), 10), "multiple of 4"),
        (lambda model: srt.directions.towards(model, MANY).opposites(), "no opposite"),
        (
            lambda model: srt.directions.join(srt.directions.random(model), srt.directions.towards(model, MANY)),
            "one width",
        ),
    ],
)
def test_what_is_no_direction_is_refused_by_name(text_model, call, said):
    with pytest.raises(ValueError, match=said):
        call(text_model)

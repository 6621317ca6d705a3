"""Paths of even turning by closed forms, and random directions: their length, covariance, and independence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial import geometric_slerp

import srtoolkit as srt
from families import hooked, tiny
from srtoolkit.measures.paths import arc, linear, name_of, random_direction, slerp

ALPHAS = torch.linspace(0, 1, 5)


@pytest.fixture
def ends():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(400, 16, generator=generator), torch.randn(400, 16, generator=generator)


@pytest.fixture
def stretched():
    """Activations that vary along the first axis ten times as much as along the others."""
    spread = torch.ones(16)
    spread[0] = 10
    return 3 + torch.randn(300, 16, generator=torch.Generator().manual_seed(1)) * spread


def test_the_path_starts_at_a_and_is_as_long_as_to_b(ends, stretched):
    a, b = ends
    for path in (random_direction(), random_direction(stretched)):
        points = path(a, b, ALPHAS)
        assert torch.equal(points[:, 0], a)
        torch.testing.assert_close((points[:, -1] - a).norm(dim=-1), (b - a).norm(dim=-1))
        torch.testing.assert_close(points[:, 2], (points[:, 0] + points[:, -1]) / 2)


def test_directions_have_the_covariance_asked_for(ends, stretched):
    a, b = ends
    plain = torch.randn(5000, 16, generator=torch.Generator().manual_seed(2))
    drawn = plain * stretched.std(0)
    for like, draws in ((None, plain), (stretched, drawn)):
        share = float((draws[:, 0] ** 2 / draws.square().sum(-1)).mean())
        step = random_direction(like)(a, b, ALPHAS)[:, -1] - a
        along = step / step.norm(dim=-1, keepdim=True)
        assert abs(float((along[:, 0] ** 2).mean()) - share) < 0.05
        # Not the way to B itself.
        towards = (b - a) / (b - a).norm(dim=-1, keepdim=True)
        assert abs(float((along * towards).sum(-1).mean())) < 0.1


def test_a_random_base_is_like_the_activations_but_of_a_s_norm(ends, stretched):
    a, b = ends
    start = random_direction(stretched, base="random")(a, b, ALPHAS)[:, 0]
    torch.testing.assert_close(start.norm(dim=-1), a.norm(dim=-1))
    assert float((start[:, 1:] / start.norm(dim=-1, keepdim=True)).mean()) > 0.1  # the mean of the activations is 3
    assert float((start - a).norm(dim=-1).min()) > 0.1


def test_a_midpoint_is_between_both_ends_and_goes_the_same_way(ends, stretched):
    a, b = ends
    points = random_direction(stretched, base="midpoint")(a, b, ALPHAS)
    middle = (a + b) / 2
    torch.testing.assert_close(points[:, 0], middle * (a.norm(dim=-1) / middle.norm(dim=-1))[:, None])
    from_a = random_direction(stretched)(a, b, ALPHAS)
    torch.testing.assert_close(points[:, -1] - points[:, 0], from_a[:, -1] - a, rtol=1e-4, atol=1e-4)


def test_a_direction_is_the_pair_s_own(ends, stretched):
    a, b = ends
    path = random_direction(stretched, seed=3)
    torch.testing.assert_close(path(a, b, ALPHAS)[7:9], path(a[7:9], b[7:9], ALPHAS))
    assert not torch.allclose(path(a, b, ALPHAS), random_direction(stretched, seed=4)(a, b, ALPHAS))
    steps = path(a, b, ALPHAS)[:, -1] - a
    assert not torch.allclose(steps[0], steps[1])


def test_the_name_says_what_it_is(stretched):
    assert name_of(random_direction(stretched, "random", 2)) == (
        "random direction (covariance of activations, base random, seed 2)"
    )


def test_a_base_without_activations_to_be_like():
    with pytest.raises(ValueError, match="activations that it is to be like"):
        random_direction(base="random")
    with pytest.raises(ValueError, match="base='b'"):
        random_direction(base="b")


def test_neighbours_in_a_chain_have_directions_of_their_own():
    """B - A and C - B have a cosine of -0.5; their random directions have one of 0, as far as 400 draws can tell."""
    chain = torch.randn(401, 16, generator=torch.Generator().manual_seed(5))
    steps = random_direction()(chain[:-1], chain[1:], ALPHAS)[:, -1] - chain[:-1]
    cosines = torch.nn.functional.cosine_similarity(steps[:-1], steps[1:], dim=-1)
    standard_error = (1 / 16 / len(cosines)) ** 0.5  # of independent directions in 16 dimensions
    assert abs(float(cosines.mean())) < 4 * standard_error
    assert float(cosines.square().mean()) == pytest.approx(1 / 16, rel=0.3)


def test_a_direction_does_not_hang_on_the_rounding_of_activations(ends):
    a, b = ends
    path = random_direction()
    step, again = (path(a, end, ALPHAS)[:, -1] - a for end in (b, b + 1e-6 * b.flip(0)))
    assert float(torch.nn.functional.cosine_similarity(step, again, dim=-1).min()) > 0.999


# --- paths of even turning ---


def test_slerp_turns_as_scipy_says_and_its_length_goes_straight(ends):
    a, b = ends
    points = slerp(a[:5], b[:5], ALPHAS).double()
    for made, start, end in zip(points, a[:5].double(), b[:5].double(), strict=True):
        turned = geometric_slerp((start / start.norm()).numpy(), (end / end.norm()).numpy(), ALPHAS.double().numpy())
        length = start.norm() + ALPHAS.double() * (end.norm() - start.norm())
        torch.testing.assert_close(made, length[:, None] * torch.from_numpy(turned), rtol=1e-5, atol=1e-6)


def test_a_quarter_turn_by_hand():
    points = slerp(torch.tensor([[1.0, 0]]), torch.tensor([[0, 3.0]]), torch.tensor([1 / 3, 0.5]))[0]
    expected = torch.tensor([[5 / 3 * 3**0.5 / 2, 5 / 3 / 2], [2 / 2**0.5, 2 / 2**0.5]])
    torch.testing.assert_close(points, expected)


def test_an_arc_is_a_turn_seen_from_its_centre(ends):
    a, b = ends
    centre = torch.linspace(-3, 3, 16)
    points = arc(centre)(a, b, ALPHAS)
    torch.testing.assert_close(points - centre, slerp(a - centre, b - centre, ALPHAS), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(points, slerp(a, b, ALPHAS), atol=0.1)


def test_both_ends_are_met_bit_for_bit(ends):
    a, b = ends[0], 1e3 * ends[1]
    for path in (slerp, arc(torch.full((16,), 1e4))):
        points = path(a, b, ALPHAS)
        assert torch.equal(points[:, 0], a) and torch.equal(points[:, -1], b)


def test_ends_in_one_direction_are_joined_by_a_straight_line(ends):
    a, _ = ends
    torch.testing.assert_close(slerp(a, 3 * a, ALPHAS), linear(a, 3 * a, ALPHAS))
    torch.testing.assert_close(slerp(a, a, ALPHAS), linear(a, a, ALPHAS))


def test_ends_between_which_nothing_turns_are_refused(ends):
    a, b = ends
    with pytest.raises(ValueError, match="of 1 of 400 pairs point opposite ways"):
        slerp(a, torch.cat([-2 * a[:1], b[1:]]), ALPHAS)
    with pytest.raises(ValueError, match=r"activation B of some pair .* has no direction"):
        slerp(a, torch.zeros_like(b), ALPHAS)
    with pytest.raises(ValueError, match="activation A of some pair"):
        arc(a[0])(a, b, ALPHAS)


@pytest.mark.parametrize(
    ("about", "error", "said"),
    [
        ([0.0, 1.0], TypeError, "about: expected a float tensor"),
        (torch.ones(2, 16), ValueError, r"shape \[2, 16\]"),
        (torch.full((16,), torch.nan), ValueError, "one finite activation"),
        (torch.ones(4), ValueError, "width 4, but those of the model have 16"),
    ],
)
def test_a_centre_that_is_none(ends, unchecked, about, error, said):
    with pytest.raises(error, match=said):
        arc(about)(*ends, ALPHAS)


def test_arcs_about_different_points_have_different_names():
    assert name_of(arc(torch.zeros(4))) != name_of(arc(torch.ones(4)))
    assert name_of(arc(torch.zeros(4))) == name_of(arc(torch.zeros(4)))


@pytest.mark.parametrize("path", ["slerp", "arc"])
def test_a_named_path_s_outputs_are_those_of_plain_hooks(text_model, path):
    pairs = [("the cat sat", "a dog ran off"), ("once", "upon a time")]
    curves = srt.interpolate(text_model, pairs, layer=1, steps=5, path=path, reads="final_norm")
    assert curves.attrs["path"] == path
    prose = srt.sample_pairs(text_model, 64, length=10, seed=2024).tokens_a
    mean = torch.stack([hooked(text_model, ids, 1)["own"] for ids in prose]).mean(0)
    centre = mean if path == "arc" else torch.zeros_like(mean)
    for index, (text_a, text_b) in enumerate(pairs):
        ids_a, ids_b = text_model.tokenize(text_a), text_model.tokenize(text_b)
        a, b = (hooked(text_model, ids, 1)["own"] - centre for ids in (ids_a, ids_b))
        angle = torch.acos(a @ b / a.norm() / b.norm())
        across = b / b.norm() - (a / a.norm()) * torch.cos(angle)
        outputs = []
        for alpha in torch.linspace(0, 1, 5):
            turned = torch.cos(alpha * angle) * a / a.norm() + torch.sin(alpha * angle) * across / across.norm()
            point = (a.norm() + alpha * (b.norm() - a.norm())) * turned + centre
            outputs.append(hooked(text_model, ids_a, 1, point)["final_norm"])
        distance = [float((output - outputs[0]).norm()) for output in outputs]
        assert curves.distance.values[index] == pytest.approx(distance, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("path", ["slerp", "arc"])
@pytest.mark.slow
def test_whatever_takes_a_path_takes_it(text_model, path):
    pairs = [("the cat sat", "a dog ran off")]
    calls = (srt.next_tokens, srt.divergence, srt.count_gate_flips)
    made = [call(text_model, pairs, path=path) for call in calls] + [
        srt.locate_gate_flips(text_model, pairs, 2, path=path)
    ]
    assert [one.attrs["path"] for one in made] == [path] * 4
    straight = srt.next_tokens(text_model, pairs)
    assert not np.allclose(made[0].probability[:, 2], straight.probability[:, 2], rtol=1e-4)


def test_an_arc_about_prose_needs_a_tokenizer(text_model):
    model = tiny("llama", vocab_size=259)
    pairs = srt.from_text(text_model, [("the cat sat", "a dog ran off")])
    with pytest.raises(ValueError, match=r"has no tokenizer .*srt.paths.arc\(about=...\)"):
        srt.interpolate(model, pairs, path="arc", steps=3)
    assert srt.interpolate(model, pairs, path=srt.paths.arc(torch.zeros(32)), steps=3).distance.notnull().all()

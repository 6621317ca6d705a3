"""Every setting of every call: an odd value is refused in the library's own words, or means what it says."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator

import numpy as np
import torch
import xarray as xr
from hypothesis import example, given
from hypothesis import strategies as st

import srtoolkit as srt
from oracles import cases, model_of, refused
from srtoolkit.measures import paths
from strategies import odd, sharp

PAIRS, TRIPLE = [("ab", "cd")], ("ab", "cd", "xyz")
SHARP = sharp([1.0, 2.0, 3.0], [[0, 0, 1], [1, 2, 2]])
MOVED = SHARP.assign(peak=SHARP["max_slope"], same_region=("pair", [True, False, True]))
THREE = {1.0: SHARP, 2.0: SHARP, 3.0: SHARP}
TOKENS, POINTS = torch.tensor([[3, 4]]), torch.ones(1, 2, 32)
CLASSES = ["a", "a", "b", "b"]
FRAMES = sharp([1.0, 2.0, 1.0, 3.0], [[0, 1, 2, 3], [4, 5, 6, 7]]).assign(
    kind=("pair", ["synonym", "odd"] * 2), frame=("pair", [0, 0, 1, 1])
)
FEW = srt.Bootstrap(resamples=2)
WAYS = srt.directions.rows(torch.eye(32)[:2])
MAP = srt.toy.features(2, 32, 2.0)
RESPONSE = srt.toy.respond(MAP, MAP.draw(2, 1), srt.directions.mixtures(MAP.directions), [0.1, 0.5, 5])

MAPPED = xr.Dataset(
    {
        name: ("pos", np.random.default_rng(number).normal(size=30))
        for number, name in enumerate(("boundary", "surprisal", "entropy", "norm"))
    }
).assign(token=("pos", np.arange(30)))
RADII = xr.Dataset(
    {name: (("prompt", "direction"), np.ones((2, 1))) for name in ("radius", "predicted_radius")},
    {"text": ("prompt", ["a", "b"])},
)


def a_map(**setting):
    """A text's map with one setting of its own."""
    return srt.text_map(model_of(), "ab", **{"among": 20, "alternatives": 1, **setting})


def whole(value, low, high=10**9):
    """Whether a value is a whole number of a range, whoever made it."""
    if isinstance(value, bool) or str(getattr(value, "dtype", "")) in ("bool", "torch.bool"):
        return False
    try:
        return low <= value.__index__() <= high
    except (AttributeError, TypeError):
        return False


def real(value, low, high):
    """Whether a value is one number within a range."""
    if isinstance(value, (bool, str, bytes)) or not hasattr(value, "__float__") or np.ndim(value):
        return False
    try:
        return low <= float(value) <= high
    except (TypeError, ValueError, OverflowError):
        return False


def never(value):
    """No odd value makes sense here."""
    return False


def same(name):
    """Whether a value is just this name."""
    return lambda value: isinstance(value, str) and value == name


def finite(value):
    return real(value, -1e308, 1e308)


def share(value):
    return real(value, 1e-9, 1 - 1e-9)


def seed(value):
    return whole(value, 0)


#: By call and setting: what is called with the value, and which values make sense.
SETTINGS = {
    "interpolate steps": (lambda v: srt.interpolate(model_of(), PAIRS, steps=v), lambda v: whole(v, 2)),
    "interpolate layer": (lambda v: srt.interpolate(model_of(), PAIRS, steps=2, layer=v), lambda v: whole(v, 0, 3)),
    "interpolate reads": (lambda v: srt.interpolate(model_of(), PAIRS, steps=2, reads=v), same("final_norm")),
    "interpolate path": (lambda v: srt.interpolate(model_of(), PAIRS, steps=2, path=v), same("linear")),
    "interpolate position": (
        lambda v: srt.interpolate(model_of(), PAIRS, steps=2, position=v),
        lambda v: whole(v, -2, 1),
    ),
    "interpolate own_b": (
        lambda v: srt.interpolate(model_of(), PAIRS, steps=2, own_b=v),
        lambda v: isinstance(v, (bool, np.bool_)),
    ),
    "interpolate jsd_steps": (
        lambda v: srt.interpolate(model_of(), PAIRS, steps=2, jsd_steps=v),
        lambda v: isinstance(v, (bool, np.bool_)),
    ),
    "boundary pairs": (lambda v: srt.boundary(model_of(), v), never),
    "boundary model": (lambda v: srt.boundary(v, PAIRS), never),
    "boundary tolerance": (lambda v: srt.boundary(model_of(), PAIRS, v, steps=5), lambda v: real(v, 1e-6, 0.5)),
    "boundary layer": (lambda v: srt.boundary(model_of(), PAIRS, 0.1, steps=5, layer=v), lambda v: whole(v, 0, 3)),
    "boundary steps": (lambda v: srt.boundary(model_of(), PAIRS, 0.1, steps=v), lambda v: whole(v, 5)),
    "boundary reads": (lambda v: srt.boundary(model_of(), PAIRS, 0.1, steps=5, reads=v), same("final_norm")),
    "boundary mean": (lambda v: srt.boundary(model_of(), PAIRS, 0.1, steps=5, mean=v), lambda v: v is None),
    "radius delta": (
        lambda v: srt.radius(model_of(), ["ab"], torch.ones(1, 32), delta=v),
        lambda v: real(v, 1e-300, 1e300),
    ),
    "radius metric": (lambda v: srt.radius(model_of(), ["ab"], torch.ones(1, 32), delta=0.1, metric=v), same("kl")),
    "radius layer": (
        lambda v: srt.radius(model_of(), ["ab"], torch.ones(1, 32), delta=0.1, layer=v),
        lambda v: whole(v, 0, 3),
    ),
    "radius largest": (
        lambda v: srt.radius(model_of(), ["ab"], torch.ones(1, 32), delta=0.1, largest=v),
        lambda v: real(v, 1e-6, 1e6),
    ),
    "radius tolerance": (
        lambda v: srt.radius(model_of(), ["ab"], torch.ones(1, 32), delta=0.1, tolerance=v),
        lambda v: real(v, 1e-12, 1 - 1e-12),
    ),
    "radius directions": (lambda v: srt.radius(model_of(), ["ab"], v, delta=0.1), never),
    "radius prompts": (lambda v: srt.radius(model_of(), v, torch.ones(1, 32), delta=0.1), lambda v: _prompts(v)),
    "radius model": (lambda v: srt.radius(v, ["ab"], torch.ones(1, 32), delta=0.1), never),
    "predicted_radius delta": (
        lambda v: srt.predicted_radius(model_of(), ["ab"], torch.ones(1, 32), delta=v),
        lambda v: real(v, 1e-300, 1e300),
    ),
    "predicted_radius metric": (
        lambda v: srt.predicted_radius(model_of(), ["ab"], torch.ones(1, 32), delta=0.1, metric=v),
        same("kl"),
    ),
    "predicted_radius layer": (
        lambda v: srt.predicted_radius(model_of(), ["ab"], torch.ones(1, 32), delta=0.1, layer=v),
        lambda v: whole(v, 0, 3),
    ),
    "predicted_radius directions": (lambda v: srt.predicted_radius(model_of(), ["ab"], v, delta=0.1), never),
    "predicted_radius prompts": (
        lambda v: srt.predicted_radius(model_of(), v, torch.ones(1, 32), delta=0.1),
        lambda v: _prompts(v),
    ),
    "predicted_radius model": (lambda v: srt.predicted_radius(v, ["ab"], torch.ones(1, 32), delta=0.1), never),
    "interpolate lags": (
        lambda v: srt.interpolate(model_of(), PAIRS, steps=3, lags=v),
        lambda v: _no_names(v) or _lags(v),
    ),
    "interpolate where": (lambda v: srt.interpolate(model_of(), PAIRS, steps=2, where=v), same("even")),
    "interpolate certify": (
        lambda v: srt.interpolate(model_of(), PAIRS, steps=2, where="adaptive", certify=v),
        same("max_slope"),
    ),
    "interpolate tolerance": (
        lambda v: srt.interpolate(model_of(), PAIRS, steps=2, where="adaptive", tolerance=v),
        lambda v: real(v, 0, np.inf),
    ),
    "interpolate method": (lambda v: srt.interpolate(model_of(), PAIRS, steps=2, method=v), same("auto")),
    "interpolate model": (lambda v: srt.interpolate(v, PAIRS), never),
    "count_gate_flips steps": (lambda v: srt.count_gate_flips(model_of(), PAIRS, steps=v), lambda v: whole(v, 2)),
    "count_gate_flips layers": (
        lambda v: srt.count_gate_flips(model_of(), PAIRS, steps=2, blocks=v),
        lambda v: (isinstance(v, str) and v == "all") or _blocks(v),
    ),
    "count_regions last_token": (
        lambda v: srt.count_regions(model_of(), PAIRS, steps=2, last_token=v),
        lambda v: isinstance(v, str) and v in ("any", "different"),
    ),
    "count_regions level": (lambda v: srt.count_regions(model_of(), PAIRS, steps=2, level=v), share),
    "count_regions layer": (lambda v: srt.count_regions(model_of(), PAIRS, steps=2, layer=v), lambda v: whole(v, 0, 3)),
    "count_regions model": (lambda v: srt.count_regions(v, PAIRS), never),
    "count_unseen level": (lambda v: srt.count_unseen([0, 0, 1], v), share),
    "count_unseen by": (lambda v: srt.count_unseen([0, 0, 1], by=v), same("chao")),
    "share_inside radii": (lambda v: srt.share_inside(v, 1.0), never),
    "share_inside size": (
        lambda v: srt.share_inside(RADII.assign(norm=("prompt", [1.0, 1.0])), v),
        lambda v: real(v, 1e-9, 1e308),
    ),
    "share_inside bootstrap": (lambda v: srt.share_inside(RADII, 1.0, bootstrap=v), never),
    "effective_regions moved": (lambda v: srt.effective_regions(v), never),
    "region_labels moved": (lambda v: srt.region_labels(v), never),
    "continuation alphas": (lambda v: srt.continuation(model_of(), PAIRS, alphas=v, tokens=1), lambda v: _numbers(v)),
    "continuation tokens": (lambda v: srt.continuation(model_of(), PAIRS, tokens=v), lambda v: whole(v, 1, 254)),
    "continuation temperature": (
        lambda v: srt.continuation(model_of(), PAIRS, tokens=1, temperature=v),
        lambda v: real(v, 0, 1e308),
    ),
    "continuation seed": (
        lambda v: srt.continuation(model_of(), PAIRS, tokens=1, seed=v),
        lambda v: whole(v, 0, 2**63),
    ),
    "continuation position": (
        lambda v: srt.continuation(model_of(), PAIRS, tokens=1, position=v),
        lambda v: whole(v, -2, 1),
    ),
    "freeze what": (lambda v: srt.freeze(model_of(), PAIRS, steps=2, what=v), same("mlp")),
    "freeze at": (lambda v: srt.freeze(model_of(), PAIRS, steps=2, at=v), same("middle")),
    "freeze blocks": (
        lambda v: srt.freeze(model_of(), PAIRS, steps=2, blocks=v),
        lambda v: v is None or _different(v, 1, 3),
    ),
    "freeze layer": (lambda v: srt.freeze(model_of(), PAIRS, steps=2, layer=v), lambda v: whole(v, 0, 2)),
    "freeze steps": (lambda v: srt.freeze(model_of(), PAIRS, steps=v), lambda v: whole(v, 2)),
    "freeze reads": (lambda v: srt.freeze(model_of(), PAIRS, steps=2, reads=v), same("final_norm")),
    "freeze model": (lambda v: srt.freeze(v, PAIRS), never),
    "noise_growth steps": (lambda v: srt.noise_growth(model_of(), PAIRS, steps=v), lambda v: whole(v, 2)),
    "noise_growth draws": (lambda v: srt.noise_growth(model_of(), PAIRS, steps=2, draws=v), lambda v: whole(v, 1)),
    "noise_growth size": (
        lambda v: srt.noise_growth(model_of(), PAIRS, steps=2, size=v),
        lambda v: real(v, 1e-6, 1e3),
    ),
    "noise_growth seed": (lambda v: srt.noise_growth(model_of(), PAIRS, steps=2, seed=v), lambda v: whole(v, 0)),
    "noise_growth layer": (lambda v: srt.noise_growth(model_of(), PAIRS, steps=2, layer=v), lambda v: whole(v, 0, 2)),
    "layer_map steps": (lambda v: srt.layer_map(model_of(), PAIRS, steps=v), lambda v: whole(v, 2)),
    "layer_map writes": (
        lambda v: srt.layer_map(model_of(), PAIRS, steps=2, writes=v),
        lambda v: v is None or _different(v, 0, 2),
    ),
    "layer_map reads": (lambda v: srt.layer_map(model_of(), PAIRS, steps=2, reads=v), same("resid")),
    "locate_gate_flips steps": (lambda v: srt.locate_gate_flips(model_of(), PAIRS, 2, steps=v), lambda v: whole(v, 2)),
    "locate_gate_flips halvings": (
        lambda v: srt.locate_gate_flips(model_of(), PAIRS, 2, steps=2, halvings=v),
        lambda v: whole(v, 0, 50),
    ),
    "locate_gate_flips block": (
        lambda v: srt.locate_gate_flips(model_of(), PAIRS, v, steps=2),
        lambda v: whole(v, 1, 3),
    ),
    "slice_plane resolution": (
        lambda v: srt.slice_plane(model_of(), TRIPLE, resolution=v),
        lambda v: whole(v, 2),
    ),
    "slice_plane margin": (
        lambda v: srt.slice_plane(model_of(), TRIPLE, resolution=2, margin=v),
        lambda v: real(v, 0, 9.99),
    ),
    "slice_plane tolerance": (
        lambda v: srt.slice_plane(model_of(), TRIPLE, resolution=3, tolerance=v),
        lambda v: v is None or share(v),
    ),
    "slice_plane triple": (lambda v: srt.slice_plane(model_of(), v, resolution=2), never),
    "slice_gates anchor": (
        lambda v: srt.slice_gates(model_of(), TRIPLE, 1, resolution=2, anchor=v),
        same("A"),
    ),
    "slice_gates block": (lambda v: srt.slice_gates(model_of(), TRIPLE, v, resolution=2), lambda v: whole(v, 1, 3)),
    "lay_out resolution": (lambda v: srt.lay_out(model_of(), TRIPLE, resolution=v), lambda v: whole(v, 2)),
    "lay_out layer": (lambda v: srt.lay_out(model_of(), TRIPLE, layer=v), lambda v: whole(v, 0, 3)),
    "line_on_plane alpha": (lambda v: srt.line_on_plane(model_of(), TRIPLE, v, 0.5), finite),
    "line_on_plane beta": (lambda v: srt.line_on_plane(model_of(), TRIPLE, 0.5, v), finite),
    "slice_predictions top": (
        lambda v: srt.slice_predictions(model_of(), TRIPLE, resolution=2, top=v),
        lambda v: whole(v, 1, 259),
    ),
    "slice_predictions anchor": (
        lambda v: srt.slice_predictions(model_of(), TRIPLE, resolution=2, anchor=v),
        same("A"),
    ),
    "slice_colours planes": (srt.slice_colours, never),
    "capture tokens": (lambda v: srt.capture(model_of(), v), never),
    "capture layer": (lambda v: srt.capture(model_of(), TOKENS, layer=v), lambda v: whole(v, 0, 3)),
    "patch context": (lambda v: srt.patch(model_of(), v, POINTS), never),
    "patch points": (lambda v: srt.patch(model_of(), TOKENS, v), never),
    "patch layer": (lambda v: srt.patch(model_of(), TOKENS, POINTS, layer=v), lambda v: whole(v, 0, 3)),
    "capture position": (lambda v: srt.capture(model_of(), TOKENS, position=v), lambda v: whole(v, -2, 1)),
    "patch position": (lambda v: srt.patch(model_of(), TOKENS, POINTS, position=v), lambda v: whole(v, -2, 1)),
    "patch read_position": (
        lambda v: srt.patch(model_of(), TOKENS, POINTS, position=0, read_position=v),
        lambda v: whole(v, -2, 1),
    ),
    "patch reads": (lambda v: srt.patch(model_of(), TOKENS, POINTS, reads=v), same("final_norm")),
    "patch held": (lambda v: srt.patch(model_of(), TOKENS, POINTS, held=v), lambda v: v is None),
    "patch method": (lambda v: srt.patch(model_of(), TOKENS, POINTS, method=v), same("auto")),
    "output_spread pairs": (lambda v: srt.output_spread(model_of(), v), never),
    "text_loss model": (lambda v: srt.text_loss(v, PAIRS), never),
    "text_loss pairs": (lambda v: srt.text_loss(model_of(), v), never),
    "text_map model": (lambda v: srt.text_map(v, "ab"), never),
    "text_map text": (
        lambda v: srt.text_map(model_of(), v, among=20, alternatives=1),
        lambda v: _prompts([v]) and len(model_of().tokenize(v)) > 1,
    ),
    "text_map delta": (lambda v: a_map(delta=v), lambda v: real(v, 1e-300, 1e308)),
    "text_map metric": (lambda v: a_map(metric=v), lambda v: isinstance(v, str) and v in ("kl", "hellinger", "l2")),
    "text_map layer": (lambda v: a_map(layer=v), lambda v: whole(v, 0, 3)),
    "text_map alternatives": (lambda v: a_map(alternatives=v, among=60), lambda v: whole(v, 1, 10)),
    "text_map among": (lambda v: a_map(among=v), lambda v: whole(v, 1, 10**5)),
    "text_map seed": (lambda v: a_map(seed=v), seed),
    "text_map tolerance": (lambda v: a_map(tolerance=v), share),
    "text_map shuffle": (lambda v: a_map(shuffle=v), lambda v: v is None or whole(v, 0, 2**63 - 1)),
    "shortfall radii": (lambda v: srt.shortfall(v), never),
    "shortfall over": (lambda v: srt.shortfall(RADII, v), lambda v: v is None),
    "shortfall bootstrap": (lambda v: srt.shortfall(RADII, bootstrap=v), never),
    "text_correlation result": (lambda v: srt.text_correlation(v), never),
    "text_correlation x": (
        lambda v: srt.text_correlation(MAPPED, v),
        lambda v: same("norm")(v) or same("surprisal")(v),
    ),
    "text_correlation of": (lambda v: srt.text_correlation(MAPPED, of=v), lambda v: same("norm")(v)),
    "text_correlation given": (lambda v: srt.text_correlation(MAPPED, given=v), lambda v: _no_names(v)),
    "text_correlation bootstrap": (lambda v: srt.text_correlation(MAPPED, bootstrap=v), never),
    "surprisal model": (lambda v: srt.surprisal(v, ["ab"]), never),
    "surprisal prompts": (lambda v: srt.surprisal(model_of(), v), never),
    "surprisal bos": (lambda v: srt.surprisal(model_of(), ["ab"], bos=v), lambda v: isinstance(v, bool)),
    "token_distance model": (lambda v: srt.token_distance(v, PAIRS), never),
    "token_distance pairs": (lambda v: srt.token_distance(model_of(), v), never),
    "path_cosine model": (lambda v: srt.path_cosine(v, PAIRS, PAIRS), never),
    "path_cosine others": (lambda v: srt.path_cosine(model_of(), PAIRS, v), never),
    "path_cosine layer": (lambda v: srt.path_cosine(model_of(), PAIRS, PAIRS, layer=v), lambda v: whole(v, 0, 3)),
    "within_frame sharp": (lambda v: srt.within_frame(v, "odd"), never),
    "within_frame kind": (lambda v: srt.within_frame(FRAMES, v), never),
    "within_frame of": (lambda v: srt.within_frame(FRAMES, "odd", of=v), never),
    "within_frame frame": (lambda v: srt.within_frame(FRAMES, "odd", frame=v), never),
    "within_frame level": (lambda v: srt.within_frame(FRAMES, "odd", level=v), share),
    "frame_effects sharp": (lambda v: srt.frame_effects(v, given=(), bootstrap=FEW), never),
    "frame_effects against": (lambda v: srt.frame_effects(FRAMES, v, given=(), bootstrap=FEW), never),
    "frame_effects given": (lambda v: srt.frame_effects(FRAMES, given=v, bootstrap=FEW), lambda v: _no_names(v)),
    "frame_effects logs": (
        lambda v: srt.frame_effects(FRAMES, given=(), logs=v, bootstrap=FEW),
        lambda v: (
            isinstance(v, str) or ((names := _listed(v)) is not None and all(isinstance(name, str) for name in names))
        ),
    ),
    "equivalent estimate": (lambda v: srt.equivalent(v, (0.9, 1.1)), never),
    "equivalent margin": (lambda v: srt.equivalent(srt.Estimate(1.0, 1.0, 1.0), v), lambda v: _margin(v)),
    "all_pairs texts": (lambda v: srt.all_pairs(model_of(), v), never),
    "all_pairs bos": (lambda v: srt.all_pairs(model_of(), TRIPLE, bos=v), lambda v: isinstance(v, bool)),
    "paper_pairs model": (srt.paper_pairs, never),
    "sample_pairs n": (lambda v: srt.sample_pairs(model_of(), v, length=3), lambda v: whole(v, 1)),
    "sample_pairs length": (lambda v: srt.sample_pairs(model_of(), 2, length=v), lambda v: whole(v, 1)),
    "sample_pairs seed": (lambda v: srt.sample_pairs(model_of(), 2, length=3, seed=v), seed),
    "sample_pairs consecutive": (
        lambda v: srt.sample_pairs(model_of(), 2, length=3, consecutive=v),
        lambda v: isinstance(v, (bool, np.bool_)),
    ),
    "sample_pairs source": (lambda v: srt.sample_pairs(model_of(), 2, length=3, source=v), never),
    "around_jumps flips": (lambda v: srt.around_jumps(v, SHARP), never),
    "divergence_by_region found": (lambda v: srt.divergence_by_region(v, SHARP), never),
    "divergence_at_equal_output found": (lambda v: srt.divergence_at_equal_output(v, SHARP), never),
    "ratio_at_equal_output equal": (srt.ratio_at_equal_output, never),
    "same_place sharp": (lambda v: srt.same_place(v, "jump_at", "jump_at"), never),
    "same_place of": (lambda v: srt.same_place(MOVED, "jump_at", v), never),
    "same_place within": (
        lambda v: srt.same_place(MOVED, "jump_at", "jump_at", within=v),
        lambda v: real(v, 0, 1e308),
    ),
    "calibrate_jump null_curves": (srt.calibrate_jump, never),
    "calibrate_jump level": (lambda v: srt.calibrate_jump(MOVED, v), share),
    "calibrate_jump reads": (
        lambda v: srt.calibrate_jump(MOVED, reads=v),
        lambda v: v in ("final_norm", "resid", "logits"),
    ),
    "token_change_at curves": (srt.token_change_at, never),
    "estimate_cost work": (srt.estimate_cost, never),
    "wrap hf_model": (lambda v: srt.wrap(v, None, name="given"), never),
    "wrap name": (lambda v: srt.wrap(model_of().hf, None, name=v), lambda v: isinstance(v, str) and v),
    "next_tokens top": (lambda v: srt.next_tokens(model_of(), PAIRS, top=v), lambda v: whole(v, 1, 259)),
    "next_tokens alphas": (lambda v: srt.next_tokens(model_of(), PAIRS, alphas=v), lambda v: _numbers(v)),
    "divergence steps": (lambda v: srt.divergence(model_of(), PAIRS, lags=[1], steps=v), lambda v: whole(v, 2)),
    "divergence lags": (lambda v: srt.divergence(model_of(), PAIRS, lags=v, steps=3), lambda v: _lags(v)),
    "noise_floor neighbours": (lambda v: srt.noise_floor(model_of(), PAIRS, neighbours=v), lambda v: whole(v, 0, 10)),
    "noise_floor seed": (lambda v: srt.noise_floor(model_of(), PAIRS, seed=v, neighbours=1), seed),
    "perturb model": (lambda v: srt.perturb(v, ["ab"], WAYS, [1.0]), never),
    "perturb prompts": (lambda v: srt.perturb(model_of(), v, WAYS, [1.0]), lambda v: _prompts(v)),
    "perturb directions": (lambda v: srt.perturb(model_of(), ["ab"], v, [1.0]), never),
    "perturb sizes": (lambda v: srt.perturb(model_of(), ["ab"], WAYS, v), lambda v: _rising(v)),
    "perturb layer": (lambda v: srt.perturb(model_of(), ["ab"], WAYS, [1.0], layer=v), lambda v: whole(v, 0, 3)),
    "perturb reads": (lambda v: srt.perturb(model_of(), ["ab"], WAYS, [1.0], reads=v), same("final_norm")),
    "perturb unit": (lambda v: srt.perturb(model_of(), ["ab"], WAYS, [1.0], unit=v), same("norm")),
    "perturb both_signs": (
        lambda v: srt.perturb(model_of(), ["ab"], WAYS, [1.0], both_signs=v),
        lambda v: isinstance(v, (bool, np.bool_)),
    ),
    "directions.rows matrix": (lambda v: srt.directions.rows(v), lambda v: _matrix(v)),
    "directions.random n": (lambda v: srt.directions.random(model_of(), v), lambda v: whole(v, 1, 10**6)),
    "directions.random seed": (lambda v: srt.directions.random(model_of(), seed=v), lambda v: whole(v, 0, 2**63 - 1)),
    "directions.contrastive positive": (
        lambda v: srt.directions.contrastive(model_of(), v, ["ab", "cd"]),
        lambda v: _prompts(v, 2),
    ),
    "directions.principal n": (
        lambda v: srt.directions.principal(model_of(), ["ab", "cd", "ef"], v),
        lambda v: whole(v, 1, 2),
    ),
    "directions.covariance_matched prompts": (
        lambda v: srt.directions.covariance_matched(model_of(), v),
        lambda v: _prompts(v, 2),
    ),
    "directions.towards prompts": (
        lambda v: srt.directions.towards(model_of(), v),
        lambda v: _prompts(v) and len(set(v)) == len(v),
    ),
    "directions.mixtures directions": (lambda v: srt.directions.mixtures(v), never),
    "directions.mixtures angles": (
        lambda v: srt.directions.mixtures(WAYS, v),
        lambda v: whole(v, 8, 720) and v.__index__() % 4 == 0,
    ),
    "directions.join": (lambda v: srt.directions.join(v), never),
    "first_boundary response": (lambda v: srt.first_boundary(v, at=1.0), never),
    "first_boundary of": (lambda v: srt.first_boundary(RESPONSE, v, at=1.0), same("distance")),
    "first_boundary at": (lambda v: srt.first_boundary(RESPONSE, at=v), lambda v: v is None or real(v, 1e-300, 1e308)),
    "boundary_ratio first": (lambda v: srt.boundary_ratio(v, srt.first_boundary(RESPONSE)), never),
    "boundary_ratio second": (lambda v: srt.boundary_ratio(srt.first_boundary(RESPONSE), v), never),
    "mixture_exponent response": (lambda v: srt.mixture_exponent(v, at=1.0), never),
    "mixture_exponent of": (lambda v: srt.mixture_exponent(RESPONSE, v, at=1.0, bootstrap=FEW), same("distance")),
    "mixture_exponent over": (lambda v: srt.mixture_exponent(RESPONSE, at=1.0, over=v, bootstrap=FEW), same("prompts")),
    "toy.features n": (lambda v: srt.toy.features(v, 4), lambda v: whole(v, 1, 10**5)),
    "toy.features p": (lambda v: srt.toy.features(2, 4, v), lambda v: real(v, 1, 100)),
    "toy.hmm name": (lambda v: srt.toy.hmm(v, init="random"), same("rrxor")),
    "toy.hmm run": (lambda v: srt.toy.hmm("rrxor", run=v), lambda v: whole(v, 0, 3)),
    "toy.hmm init": (lambda v: srt.toy.hmm("rrxor", init=v), same("pretrained")),
    "toy.hmm seed": (lambda v: srt.toy.hmm("rrxor", init="random", seed=v), lambda v: whole(v, 0, 2**63 - 1)),
    "from_text bos": (lambda v: srt.from_text(model_of(), PAIRS, bos=v), lambda v: isinstance(v, bool)),
    "from_text chat": (
        lambda v: srt.from_text(model_of(), PAIRS, chat=v),
        lambda v: isinstance(v, bool) and not v,  # its tokenizer has no chat format
    ),
    "random_direction seed": (lambda v: paths.random_direction(seed=v), seed),
    "random_direction base": (lambda v: paths.random_direction(base=v), never),
    "random_direction like": (lambda v: paths.random_direction(v), lambda v: v is None),
    "slerp alphas": (lambda v: paths.slerp(torch.ones(1, 2), torch.ones(1, 2), v), lambda v: _float_vector(v)),
    "arc about": (lambda v: paths.arc(v), lambda v: _float_vector(v) and len(v) and bool(v.isfinite().all())),
    "linear a": (lambda v: paths.linear(v, torch.ones(1, 2), torch.ones(2)), never),
    "linear alphas": (lambda v: paths.linear(torch.ones(1, 2), torch.ones(1, 2), v), lambda v: _float_vector(v)),
    "sharpness curves": (srt.sharpness, never),
    "motion curves": (srt.motion, never),
    "motion reads": (
        lambda v: srt.motion(srt.interpolate(model_of(), PAIRS, steps=2, reads="final_norm"), v),
        same("final_norm"),
    ),
    "motion length": (
        lambda v: srt.motion(srt.interpolate(model_of(), PAIRS, steps=2, reads="logits"), "logits", v),
        same("hellinger"),
    ),
    "motion jump_speed": (
        lambda v: srt.motion(srt.interpolate(model_of(), PAIRS, steps=2, reads="final_norm"), jump_speed=v),
        lambda v: v is None or (finite(v) and v >= 1),
    ),
    "null_model model": (lambda v: srt.null_model(v, "permuted"), never),
    "null_model kind": (lambda v: srt.null_model(model_of(), v), same("permuted")),
    "null_model seed": (lambda v: srt.null_model(model_of(), "permuted", v), lambda v: whole(v, 0, 2**63 - 1)),
    "null_model layer": (
        lambda v: srt.null_model(model_of(), "permuted_behind", layer=v),
        lambda v: whole(v, 0, 2),  # behind the last block is none
    ),
    "summarise sharp": (srt.summarise, never),
    "summarise quantities": (lambda v: srt.summarise(SHARP, v), lambda v: v is None),
    "summarise cluster": (
        lambda v: srt.summarise(SHARP, bootstrap=srt.Bootstrap(cluster=v, resamples=5)),
        lambda v: v is None,
    ),
    "summarise level": (lambda v: srt.summarise(SHARP, bootstrap=srt.Bootstrap(level=v, resamples=5)), share),
    "summarise resamples": (
        lambda v: srt.summarise(SHARP, bootstrap=srt.Bootstrap(resamples=v)),
        lambda v: whole(v, 1),
    ),
    "summarise seed": (
        lambda v: srt.summarise(SHARP, bootstrap=srt.Bootstrap(seed=v, resamples=5)),
        lambda v: whole(v, 0, 10**40),
    ),
    "ratio later": (lambda v: srt.ratio(v, SHARP), never),
    "ratio of": (lambda v: srt.ratio(SHARP, SHARP, v), never),
    "ratio level": (lambda v: srt.ratio(SHARP, SHARP, bootstrap=srt.Bootstrap(level=v, resamples=5)), share),
    "table dataset": (srt.table, never),
    "table rows": (lambda v: srt.table(SHARP, rows=v), lambda v: v is None or (isinstance(v, str) and v in SHARP.dims)),
    "concat results": (lambda v: srt.concat(v, "pair"), never),
    "concat dim": (lambda v: srt.concat([SHARP, SHARP], v), lambda v: isinstance(v, str) and v != ""),
    "trend series": (srt.trend, never),
    "trend resamples": (lambda v: srt.trend(THREE, bootstrap=srt.Bootstrap(resamples=v)), lambda v: whole(v, 1)),
    "median sharp": (srt.median, never),
    "median level": (lambda v: srt.median(SHARP, bootstrap=srt.Bootstrap(level=v, resamples=5)), share),
    "interquartile_range of": (lambda v: srt.interquartile_range(SHARP, v), never),
    "correlation x": (lambda v: srt.correlation(SHARP, v, "jump_at"), never),
    "correlation given": (lambda v: srt.correlation(SHARP, "jump_at", "jumps", given=v), lambda v: _no_names(v)),
    "correlation resamples": (
        lambda v: srt.correlation(SHARP, "jump_at", "jumps", bootstrap=srt.Bootstrap(resamples=v)),
        lambda v: whole(v, 1),
    ),
    "contrast first": (lambda v: srt.contrast(v, SHARP), never),
    "share_below second": (lambda v: srt.share_below(SHARP, v), never),
    "paired_ratio second": (lambda v: srt.paired_ratio(SHARP, v), never),
    "exact_trend series": (srt.exact_trend, never),
    "exact_trend alternative": (lambda v: srt.exact_trend({1: 1, 2: 2, 3: 4}, alternative=v), never),
    "decompose trained": (lambda v: srt.decompose(v, SHARP, "max_slope"), never),
    "decompose nulls": (lambda v: srt.decompose(SHARP, v, "max_slope"), never),
    "null_structure nulls": (lambda v: srt.null_structure(v, "max_slope"), never),
    "null_range estimates": (srt.null_range, never),
    "null_structure of": (lambda v: srt.null_structure([SHARP, SHARP], v), never),
    "decompose baseline": (lambda v: srt.decompose(SHARP, SHARP, "max_slope", baseline=v), lambda v: v is None),
    "structure_trend series": (lambda v: srt.structure_trend(v, "max_slope"), never),
    "structure_trend nulls": (
        lambda v: srt.structure_trend({1: (SHARP, [SHARP]), 2: (SHARP, v)}, "max_slope"),
        never,
    ),
    "across_runs values": (lambda v: srt.across_runs([v, 1.0]), finite),
    "difference_over_runs values": (lambda v: srt.difference_over_runs([v, 1.0], [0.0, 2.0]), finite),
    "difference_over_runs others": (lambda v: srt.difference_over_runs([0.0, 2.0], [v, 1.0]), finite),
    "difference_over_runs level": (lambda v: srt.difference_over_runs([1.0, 2.0], [1.0, 3.0], v), share),
    "across_runs level": (lambda v: srt.across_runs([1.0, 2.0], v), share),
    "slope_over_runs settings": (
        lambda v: srt.slope_over_runs([1, 2, 3], [1, v, v]),
        lambda v: real(v, 1e-300, 1e308) and float(v) != 1,
    ),
    "balance matched": (lambda v: srt.balance(SHARP, SHARP, v, "max_slope"), never),
    "balance of": (lambda v: srt.balance(SHARP, SHARP, (SHARP, SHARP), v), never),
    "match first": (lambda v: srt.match(v, SHARP, {"input_distance": 1}), never),
    "match within": (lambda v: srt.match(SHARP, SHARP, v), lambda v: isinstance(v, dict) and not v),
    "match width": (lambda v: srt.match(SHARP, SHARP, {"input_distance": v}), lambda v: real(v, 0, 1e308)),
    "path_matrix sharp": (srt.path_matrix, never),
    "path_matrix of": (lambda v: srt.path_matrix(SHARP, v), never),
    "region_graph threshold": (lambda v: srt.region_graph(MOVED, v), lambda v: v is None or finite(v)),
    "cluster n": (lambda v: srt.cluster(MOVED, v), lambda v: whole(v, 2, 3)),
    "cluster linkage": (lambda v: srt.cluster(MOVED, 2, linkage=v), never),
    "map_prompts seed": (lambda v: srt.map_prompts(MOVED, seed=v), seed),
    "agreement groups": (lambda v: srt.agreement(v, CLASSES, bootstrap=srt.Bootstrap(resamples=2)), never),
    "agreement against": (
        lambda v: srt.agreement(CLASSES, CLASSES, against=v, bootstrap=srt.Bootstrap(resamples=2)),
        lambda v: v is None,
    ),
    "agreement of": (lambda v: srt.agreement(CLASSES, CLASSES, v, bootstrap=srt.Bootstrap(resamples=2)), never),
    "chance_agreement seed": (
        lambda v: srt.chance_agreement(CLASSES, CLASSES, bootstrap=srt.Bootstrap(seed=v, resamples=2)),
        lambda v: whole(v, 0, 10**40),
    ),
    "polytopes_by_region flips": (lambda v: srt.polytopes_by_region(v, SHARP), never),
    "verdict value": (
        lambda v: srt.verdict("similar-six", model="m", value=v, n=6),
        lambda v: real(v, -np.inf, np.inf),
    ),
    "verdict low": (
        lambda v: srt.verdict("exist-peak", model="m", value=2, low=v, high=4, n=9),
        lambda v: real(v, -np.inf, 4),
    ),
    "verdict n": (lambda v: srt.verdict("similar-six", model="m", value=1, n=v), lambda v: whole(v, 1, 10**40)),
    "verdict null": (
        lambda v: srt.verdict("exist-peak", model="m", value=2, low=1, high=4, n=9, null=v),
        lambda v: v is None or real(v, -np.inf, np.inf),
    ),
    "verdict p": (
        lambda v: srt.verdict("exist-peak", model="m", value=2, low=1, high=4, n=9, p=v),
        lambda v: v is None or real(v, 0, 1),
    ),
    "verdict paper": (
        lambda v: srt.verdict("similar-six", model="m", value=2, n=9, paper=v),
        lambda v: v is None or finite(v),
    ),
    "verdict model": (
        lambda v: srt.verdict("similar-six", model=v, value=1, n=6),
        lambda v: isinstance(v, str) and v != "",
    ),
    "verdict criterion": (srt.reference.criterion, never),
    "scorecard": (srt.scorecard, never),
    "checkpoints near": (lambda v: srt.checkpoints("nano-1m", v), lambda v: v is None or _near(v)),
    "preset": (srt.preset, never),
    "load": (srt.load, never),
}


def _listed(value):
    try:
        return None if isinstance(value, (str, bytes, dict)) else list(value)
    except TypeError:
        return None


def _no_names(value):
    return _listed(value) == [] or (isinstance(value, dict) and not value)


def _margin(value):
    ends = _listed(value) or []
    return len(ends) == 2 and all(real(end, -1e308, 1e308) for end in ends) and ends[0] < ends[1]


def _blocks(value):
    return bool(_listed(value)) and all(whole(block, 1, 3) for block in _listed(value))


def _different(value, low, high):
    found = _listed(value)
    return bool(found) and all(whole(one, low, high) for one in found) and len(set(map(int, found))) == len(found)


def _lags(value):
    return bool(_listed(value)) and all(whole(lag, 1, 2) for lag in _listed(value))


def _numbers(value):
    return bool(_listed(value)) and all(real(number, -1e300, 1e300) for number in _listed(value))


def _prompts(value, least=1):
    """Different texts that a model of bytes takes."""
    texts = _listed(value) or []
    return len(texts) >= least and all(isinstance(text, str) and text for text in texts) and len(set(texts)) >= least


def _rising(value):
    sizes = _listed(value) or []
    return bool(sizes) and all(real(size, 1e-300, 1e29) for size in sizes) and sorted({*map(float, sizes)}) == sizes


def _matrix(value):
    plain = isinstance(value, torch.Tensor) and value.is_floating_point() and value.layout == torch.strided
    return (
        plain
        and value.ndim == 2
        and value.numel() > 0
        and bool((value.norm(dim=-1) > 0).all() & value.isfinite().all())
    )


def _near(value):
    return real(value, 0, 1e308) or (bool(_listed(value)) and all(real(number, 0, 1e308) for number in _listed(value)))


def _float_vector(value):
    return isinstance(value, torch.Tensor) and value.is_floating_point() and value.ndim == 1


#: Public calls of which no setting is tried here. A new call enters the table, or this list.
#: Calls without settings to check here; null_threshold ends with the next release, and warns.
WITHOUT = {"available_models", "explorer", "load_model", "null_threshold", "profile", "save", "sweep"}


def test_every_public_call_is_in_the_table_or_named():
    calls = {name for name in srt.__all__ if inspect.isfunction(getattr(srt, name))}
    assert calls - {setting.split()[0] for setting in SETTINGS} == WITHOUT


#: Values that would be right but take for ever, or the order of which in a set is nobody's.
TOO_MUCH = 10**6


@cases(900)
@given(st.sampled_from(sorted(SETTINGS)), odd)
@example("match within", xr.Dataset()).via("discovered failure")
@example("interpolate model", None).via("discovered failure")
@example("text_loss model", None).via("discovered failure")
@example("estimate_cost work", None).via("discovered failure")
@example("line_on_plane alpha", True).via("discovered failure")
@example("locate_gate_flips steps", 1).via("discovered failure")
@example("summarise quantities", []).via("discovered failure")
@example("summarise level", float("nan")).via("discovered failure")
@example("correlation given", {}).via("discovered failure")
@example("text_correlation given", {}).via("discovered failure")
@example("frame_effects given", {}).via("discovered failure")
@example("trend series", {"a": 1, "b": 2, "c": 3}).via("discovered failure")
def test_an_odd_setting_is_refused_or_means_what_it_says(setting, value):
    call, makes_sense = SETTINGS[setting]
    if whole(value, TOO_MUCH, np.inf) or (isinstance(value, (set, dict)) and value):
        return
    if setting == "interpolate path" and value is len:  # a caller's own function, which fails in its own words
        return
    judged = copy.copy(value) if isinstance(value, Iterator) else value
    assert refused(lambda: call(value)) != bool(makes_sense(judged)), setting

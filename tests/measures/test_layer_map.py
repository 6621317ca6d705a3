"""The map over depth holds the peaks that single measurements give, for every block patched and every block read."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import srtoolkit as srt

PAIRS = [("the cat sat", "the dog ran"), ("a", "b"), ("short", "rather longer")]
LAST = 3


@pytest.mark.parametrize("reads", ["resid", "attn", "mlp"])
def test_peaks_are_those_of_whole_prompts_block_by_block(text_model, reads):
    found = srt.layer_map(text_model, PAIRS, steps=9, reads=reads)
    assert found.peak.dims == ("pair", "write", "read")
    assert found["write"].values.tolist() == [0, 1, 2] and found["read"].values.tolist() == [1, 2, 3]
    for pair, texts in enumerate(PAIRS):
        a, b = (text_model.tokenize(text)[None] for text in texts)
        for write in range(LAST):
            ends = [srt.capture(text_model, side, layer=write) for side in (a, b)]
            points = torch.stack([torch.lerp(*ends, share) for share in torch.linspace(0, 1, 9)], dim=1)
            for read in range(1, LAST + 1):
                here = found.sel(write=write, read=read).isel(pair=pair)
                if read <= write:
                    assert np.isnan(here.peak) and np.isnan(here.peak_at)
                    continue
                out = srt.patch(text_model, a, points, layer=write, reads=f"{reads}.{read}", method="full")[0].double()
                steps = (out[1:] - out[:-1]).norm(dim=-1)
                assert float(here.peak) == pytest.approx(float(steps.max() / steps.mean()), rel=1e-3)
                if steps.topk(2).values.diff().abs() > 1e-3 * steps.max():
                    assert float(here.peak_at) == pytest.approx((int(steps.argmax()) + 0.5) / 8)


def test_the_last_block_is_what_motion_says_of_the_stream(text_model):
    found = srt.layer_map(text_model, PAIRS, steps=20, writes=[2, 0], path="slerp")
    assert found["write"].values.tolist() == [2, 0] and found.attrs["path"] == "slerp"
    for write in (0, 2):
        curves = srt.interpolate(text_model, PAIRS, layer=write, steps=20, reads="resid", path="slerp")
        moved = srt.motion(curves, "resid")
        np.testing.assert_allclose(found.peak.sel(write=write, read=LAST), moved.peak, rtol=1e-3)


def test_one_pass_a_patched_block_reads_all_behind_it(text_model):
    passes = []
    last = text_model.hf.get_submodule(f"{text_model.anatomy.blocks}.{LAST}.mlp")
    srt.layer_map(text_model, PAIRS[:1], steps=5)  # what is probed once is not counted
    handle = last.register_forward_hook(lambda *_: passes.append(1))
    srt.layer_map(text_model, PAIRS[:1], steps=5)
    handle.remove()
    assert len(passes) == 3


def test_peaks_that_rounding_made_are_flagged_and_left_out(caplog):
    """Random weights move evenly: in half precision what is far from that, and not flagged, is wrong."""
    model, half = (srt.load_model("nano-1m", init="random", dtype=dtype) for dtype in ("float32", "bfloat16"))
    pairs = srt.sample_pairs(model, 4)
    even = srt.layer_map(model, pairs, steps=200, writes=[0, 5])
    assert float(even.peak.max()) < 1.15 and not even.rounded.any()
    stairs = srt.layer_map(half, pairs, steps=200, writes=[0, 5])
    behind = even.peak.notnull()
    assert (stairs.rounded == behind).all() and stairs.peak.isnull().all()
    assert "4 of 4 pairs" in caplog.text and "dtype='float32'" in caplog.text
    few = srt.layer_map(half, pairs, steps=5, writes=[0, 5])
    assert not few.rounded.any() and float(few.peak.max()) < 1.15
    flagged = srt.interpolate(half, pairs, steps=200, reads="resid").rounded
    assert (stairs.rounded.sel(write=0, read=model.n_layers - 1) == flagged).all()


def test_a_pair_whose_ends_are_one_has_no_peak(text_model):
    found = srt.layer_map(text_model, [("same", "same"), PAIRS[0]], steps=5)
    assert np.isnan(found.peak[0]).all() and np.isfinite(found.peak[1].sel(write=0)).all()


def test_a_part_or_block_that_does_not_exist_is_refused_by_name(text_model):
    with pytest.raises(ValueError, match=r"writes=\[0, 0\]: expected different blocks of 0 to 2"):
        srt.layer_map(text_model, PAIRS, writes=[0, 0])
    with pytest.raises(ValueError, match="writes=3"):
        srt.layer_map(text_model, PAIRS, writes=[3])
    with pytest.raises(ValueError, match="'final_norm'"):
        srt.layer_map(text_model, PAIRS, reads="final_norm")

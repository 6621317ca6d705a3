"""Every panel driven without a browser: controls in, results, pictures and words out."""

from __future__ import annotations

import base64
import html
import io
import itertools
import json
import re
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from PIL import Image
from scipy.sparse.csgraph import connected_components

import srtoolkit as srt
from checkpoints_on_disk import save_tiny
from seen import control, markup, spoken, widgets
from srtoolkit.models.hub.cache import cached_commit
from srtoolkit.panels.interpolation import random_pairs
from srtoolkit.panels.interpolation.examples import EXAMPLES
from srtoolkit.panels.interpolation.pair import METRICS, measure
from srtoolkit.panels.interpolation.panel import InterpolationPanel
from srtoolkit.panels.map.still import still
from srtoolkit.panels.map.typed import from_lines, to_lines
from srtoolkit.panels.parts.picker import ModelPicker, load_call, shared_model
from srtoolkit.panels.parts.prompt import PromptField
from srtoolkit.panels.parts.text import TOKENS_SHOWN, drawable
from srtoolkit.panels.parts.worker import CancelledError
from srtoolkit.panels.region_map import RegionMap
from srtoolkit.panels.training import TrainingPanel

ODD = {
    "html": "<script>alert('x')</script><img src=x onerror=alert(1)>",
    "quotes": "say \"no\" and 'yes' \\' \\\" `x`",
    "formula": "$\\frac{1}{2}$ and $ and \\$",
    "emoji": "👩‍🚀 and 🏳️‍🌈",
    "right to left": "שלום עולם",
    "newline": "one\ntwo\r\n\tthree",
    "control": "bell \x07, escape \x1b and more",
    "format": "{0} %s {name} {{",
}


@pytest.fixture(autouse=True)
def few_random_pairs(monkeypatch):
    monkeypatch.setattr(random_pairs, "RANDOM_PAIRS", 8)


@pytest.fixture(scope="module")
def model():
    return srt.load_model("nano-0.4m")


@pytest.fixture
def panel(model):
    return settled(InterpolationPanel(model, "the king of", "a house by the", steps=20))


def settled(panel):
    panel.settle()
    assert panel.error is None
    return panel


def pixels(panel):
    return np.asarray(Image.open(io.BytesIO(panel.png)))


# --- InterpolationPanel


def test_what_is_shown_is_what_the_library_measures(model, panel):
    expected = srt.interpolate(model, [("the king of", "a house by the")], steps=20)
    predicted = srt.next_tokens(model, [("the king of", "a house by the")], alphas=[0, 1], top=50)
    for name in METRICS.values():
        np.testing.assert_allclose(panel.result[name], expected[name], rtol=1e-5, atol=1e-6)
    assert (panel.result["token"].values[0, [0, -1]] == predicted["token"].values[0]).all()
    np.testing.assert_allclose(panel.result["probability"].values[0, [0, -1]], predicted["probability"][0], rtol=1e-4)


@pytest.mark.parametrize(("metric", "of"), METRICS.items())
@pytest.mark.slow
def test_the_words_say_the_numbers(model, panel, metric, of):
    panel.metric.value = metric
    panel.alpha.value = 0.31
    moves = srt.motion(panel.result).isel(pair=0)
    index = 6  # of 20 points, the one nearest to 0.31
    alt = panel.alt
    assert f"Peak speed {float(moves.peak):.1f} at α {float(moves.peak_at):.2f}" in alt and metric in alt
    calm = f"mean speed {float(moves.calm_a):.2f} in the first tenth, {float(moves.calm_b):.2f} in the last"
    assert calm in alt and ("No jump" in alt) == (int(moves.jumps) == 0)
    sharp = srt.sharpness(panel.result, of).isel(pair=0)
    assert of == "relative_distance" or f"max slope {float(sharp.max_slope):.2f}" in alt
    assert f"At alpha 0.32 the curve is at {float(panel.result[of][0, index]):.2f}" in alt
    assert f"“{panel.result.text.values[0, index, 0]}” {float(panel.result.probability[0, index, 0]):.2f}" in alt
    peaks = srt.motion(srt.interpolate(model, srt.sample_pairs(model, 8), steps=20)).peak.dropna("pair").values
    assert f"above that of {(peaks < float(moves.peak)).mean():.0%} of {len(peaks)} random pairs" in alt
    assert f"after block 0, 20 points, {metric}" in spoken(panel, "status")


def test_the_far_end_is_not_what_prompt_b_says(model, panel):
    own = model.hf(input_ids=model.tokenize("a house by the")[None]).logits[0, -1].softmax(-1).max(0)
    said = f"Prompt B by itself says “{model.token_text(int(own.indices))}” ({float(own.values):.0%})"
    assert said in panel.alt and said in " ".join(panel.alpha.story["facts"])


def test_alpha_only_looks_up(panel, monkeypatch):
    monkeypatch.setattr(panel, "submit", None)  # nothing is computed
    seen = set()
    for alpha in (0, 0.25, 0.5, 1):
        panel.alpha.value = alpha
        seen.add(panel.png)
        nearest = float(panel.result.alpha.sel(alpha=alpha, method="nearest"))
        assert f"At alpha {nearest:.2f}" in panel.alt
    assert len(seen) == 4 and panel.error is None


def test_the_page_has_the_whole_story(panel):
    """Every number that is drawn is one of the result's, and none is NaN, which no page could read."""
    story = panel.alpha.story
    again = json.loads(json.dumps(story, allow_nan=False))
    result = panel.result.isel(pair=0)
    np.testing.assert_allclose(again["curve"]["values"], result.relative_distance)
    np.testing.assert_allclose(again["curve"]["back"], result.distance_b / result.distance[-1])
    steps = result.step.values[1:]
    np.testing.assert_allclose(again["speed"], steps / steps.sum() * 19, rtol=1e-5)
    largest = {}
    for text, share in zip(result.text.values.ravel(), result.probability.values.ravel(), strict=True):
        largest[text] = max(largest.get(text, 0), share)
    assert set(again["tokens"]) == set(sorted(largest, key=largest.get)[-5:])
    for text, values in zip(again["tokens"], again["probabilities"], strict=True):
        at = [
            dict(zip(result.text.values[index], result.probability.values[index], strict=True)) for index in range(20)
        ]
        np.testing.assert_allclose(values, [point.get(text, 0) for point in at])
    assert [again["names"][name] for name in again["top"]] == result.text.values[:, 0].tolist()


def test_the_shuffled_model_is_measured_on_request(model, panel):
    assert panel.alpha.story["shuffled"] is None and not panel.alpha.ghost
    panel.shuffled.value = True
    settled(panel)
    null = srt.interpolate(srt.null_model(model, "permuted", seed=0), [("the king of", "a house by the")], steps=20)
    steps = null.step.values[0, 1:]
    np.testing.assert_allclose(panel.alpha.story["shuffled"], steps / steps.sum() * 19, rtol=1e-3)
    assert panel.alpha.ghost
    panel.shuffled.value = False
    assert not panel.alpha.ghost


def test_what_is_not_asked_for_any_more_is_dimmed(model, panel):
    with model.lock:
        panel.prompt_a.value = "another"
        assert panel.alpha.stale
    settled(panel)
    assert not panel.alpha.stale


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_asked_for(panel, name):
    control(panel, name).click()
    settled(panel)
    assert (panel.result.text_a.item(), panel.result.text_b.item()) == EXAMPLES[name]
    assert ("end in the same token" in panel.alt) == name.startswith("same last token")


def test_random_pairs_are_new_ones_and_a_model_without_chat_says_so(model, panel):
    control(panel, "random pair").click()
    first = settled(panel).result.text_a.item()
    control(panel, "random pair").click()
    assert settled(panel).result.text_a.item() != first
    assert len(model.tokenize(first)) == 10
    control(panel, "chat").click()
    panel.settle()
    assert "no chat format" in spoken(panel, "error")


@pytest.mark.parametrize(("suffix", "starts"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_picture_is_saved_as_its_name_says(panel, tmp_path, suffix, starts):
    panel.save(tmp_path / f"path.{suffix}")
    assert (tmp_path / f"path.{suffix}").read_bytes().startswith(starts)


def test_a_picture_is_not_saved_under_a_name_that_lies(panel, tmp_path):
    with pytest.raises(ValueError, match=r"\.jpg'.*\.png, \.svg, \.pdf, \.csv, \.nc, \.html"):
        panel.save(tmp_path / "path.jpg")


def test_data_of_a_path_is_its_curve_and_all_of_the_result(panel, tmp_path):
    panel.save(tmp_path / "path.csv")
    panel.save(tmp_path / "path.nc")
    rows = pd.read_csv(tmp_path / "path.csv")
    assert len(rows) == 20 and set(rows["model"]) == {"nano-0.4m"}
    np.testing.assert_allclose(rows["relative_distance"], panel.result.relative_distance[0], rtol=1e-5)
    xr.testing.assert_identical(srt.load(tmp_path / "path.nc")["probability"], panel.result["probability"])


# --- what it would write


def written_by_hooks(model, prompt, other, alpha, tokens=20):
    """Greedy text after prompt A, the point in place of the output of block 0 at its last token, by plain hooks."""
    ids, width = model.tokenize(prompt)[None], model.tokenize(prompt).numel()
    captured = []
    block = model.hf.model.layers[0]
    hook = block.register_forward_hook(lambda _, __, out: captured.append(out[0] if isinstance(out, tuple) else out))
    with torch.no_grad():
        for text in (prompt, other):
            model.hf(input_ids=model.tokenize(text)[None])
        hook.remove()
        a, b = (found[0, -1].clone() for found in captured)

        def put(_, __, out):
            stream = out[0] if isinstance(out, tuple) else out
            stream[:, width - 1] = a + alpha * (b - a)

        hook = block.register_forward_hook(put)
        for _ in range(tokens):
            likeliest = model.hf(input_ids=ids, use_cache=False).logits[0, -1].argmax()
            ids = torch.cat([ids, likeliest[None, None]], 1)
        hook.remove()
    return model.tokenizer.decode(ids[0, width:])


def test_what_it_would_write_is_computed_on_request_for_the_point_that_is_shown(model, panel, n_predicted):
    assert "texts" not in panel.alpha.story
    for alpha, index in ((0.31, 6), (1.0, 19)):
        panel.alpha.value = alpha
        panel.write.click()
        settled(panel)
        text = written_by_hooks(model, "the king of", "a house by the", panel.result.alpha.values[index].item())
        assert panel.alpha.story["texts"][str(index)] == text
        assert f"From here it writes “{text}" in panel.alt
    n_predicted.clear()
    panel.write.click()  # it is known
    panel.alpha.value = 0.5
    assert settled(panel) and not n_predicted and "it writes" not in panel.alt
    assert set(panel.alpha.story["texts"]) == {"6", "19"}
    found = {}
    exec(panel.code(), found)
    assert found["written"].text.values[0].tolist() == list(panel.alpha.story["texts"].values())


def test_what_was_written_goes_with_the_prompts(panel):
    panel.write.click()
    settled(panel)
    panel.prompt_a.value = "the sea"
    settled(panel)
    assert "texts" not in panel.alpha.story and "it writes" not in panel.alt and "written" not in panel.code()


def test_a_text_that_comes_too_late_is_not_shown(model, panel):
    """The prompts change while the model writes: the text is of a path that nobody sees any more."""
    with model.lock:
        panel.write.click()
        panel.prompt_a.value = "the sea"
    settled(panel)
    assert panel.result.text_a.item() == "the sea" and "texts" not in panel.alpha.story


@pytest.mark.slow
def test_the_random_pairs_are_measured_though_one_asked_for_a_text_meanwhile(model):
    with model.lock:
        panel = InterpolationPanel(model, "the king of", "a house by the", steps=11)
    while panel.result is None:
        time.sleep(0.001)
    panel.write.click()
    assert "random pairs" in settled(panel).alt and panel.alpha.story["texts"]


def test_the_page_has_texts_where_they_are_asked_for(panel, tmp_path):
    page = panel.to_html(tmp_path / "page.html", written=3).read_text(encoding="utf-8")
    assert set(panel.alpha.story["texts"]) == {"0", "10", "19"}
    for text in panel.alpha.story["texts"].values():
        assert json.dumps(text).replace("<", "\\u003c") in page
    with pytest.raises(ValueError, match="written"):
        panel.to_html(tmp_path / "page.html", written=-1)


def test_twenty_rapid_prompts_end_with_the_last(model, panel):
    for count in range(1, 21):
        panel.prompt_a.value = "the king of" + " the" * count
    settled(panel)
    last = "the king of" + " the" * 20
    assert panel.result.text_a.item() == last
    expected = srt.interpolate(model, [(last, "a house by the")], steps=20)
    np.testing.assert_allclose(panel.result.relative_distance, expected.relative_distance, rtol=1e-5, atol=1e-6)


def test_two_panels_on_one_model_do_not_mix(model):
    prompts = [[f"the {word} of" for word in ("king", "house", "sea")], ["a b c", "one", "he said"]]
    both = [InterpolationPanel(model, some[0], "in the year", steps=20) for some in prompts]
    found = [[], []]

    def drive(index):
        for prompt in prompts[index]:
            both[index].prompt_a.value = prompt
            both[index].settle()
            found[index].append((both[index].error, both[index].result.relative_distance.values))

    hands = [threading.Thread(target=drive, args=(index,)) for index in (0, 1)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join(60)
    for some, results in zip(prompts, found, strict=True):
        assert len(results) == len(some)
        for prompt, (error, values) in zip(some, results, strict=True):
            assert error is None
            alone = measure(model, prompt, "in the year", 0, 20)
            np.testing.assert_allclose(values, alone.result.relative_distance.values, rtol=1e-5, atol=1e-6)


def test_swap(panel):
    before = panel.result
    panel.swap.click()
    settled(panel)
    assert (panel.prompt_a.value, panel.prompt_b.value) == ("a house by the", "the king of")
    assert panel.result.text_a.item() == before.text_b.item() and panel.result.text_b.item() == before.text_a.item()
    assert panel.result.input_distance.item() == pytest.approx(before.input_distance.item(), rel=1e-5)


def test_layer_and_steps(model, panel):
    panel.layer.value, panel.steps.value = 1, 12
    settled(panel)
    assert panel.result.sizes["alpha"] == 12 and "after block 1" in panel.alt
    expected = srt.interpolate(model, [("the king of", "a house by the")], layer=1, steps=12)
    np.testing.assert_allclose(panel.result.kl, expected.kl, rtol=1e-4, atol=1e-6)
    assert panel.layer.max == model.n_layers - 1


def test_tokens_are_shown_as_one_types(model, panel):
    panel.prompt_a.value = "the king of England"
    ids = model.tokenize("the king of England").tolist()
    assert [chip["text"] for chip in panel.prompt_a.tokens] == [model.token_text(token) for token in ids]
    assert panel.prompt_a.note == f"{len(ids)} tokens" and "the last" in panel.prompt_a.tokens[-1]["title"]
    settled(panel)
    other = len(model.tokenize("a house by the"))
    assert (f"{len(ids)} and {other} tokens" in panel.alt) == (len(ids) != other)
    panel.prompt_b.value = "the king of Scotland and of all"
    assert "Lengths differ" in settled(panel).alt
    panel.prompt_b.value = panel.prompt_a.value
    assert "Lengths differ" not in settled(panel).alt


def test_the_same_prompt_twice_has_no_curve(panel):
    panel.prompt_b.value = panel.prompt_a.value
    settled(panel)
    assert "same output" in panel.alt and " nan " not in panel.alt
    json.dumps(panel.alpha.story, allow_nan=False)
    panel.metric.value = "logit difference"
    assert "no curve" in panel.alt and " nan " not in panel.alt and panel.error is None


@pytest.mark.parametrize(
    ("text", "said"), [("", "prompt A: an empty prompt"), ("word " * 2000, "takes at most"), ("x" * 10_000, "at most")]
)
def test_a_bad_prompt_is_refused_in_words_and_the_next_one_works(panel, text, said):
    before = panel.png, panel.alt, panel.result
    panel.prompt_a.value = text
    panel.settle()
    assert isinstance(panel.error, ValueError)
    assert said in spoken(panel, "error") and (panel.png, panel.alt, panel.result) == before
    assert len(panel.prompt_a.tokens) <= 61
    panel.alpha.value = 0.9
    assert panel.error is not None  # the picture is still not that of the prompts
    panel.prompt_a.value = "the sea"
    settled(panel)
    assert panel.result.text_a.item() == "the sea" and markup(panel, "error") == ""


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
@pytest.mark.slow
def test_odd_text_is_text(panel, text, recwarn):
    panel.prompt_a.value = text
    settled(panel)
    assert panel.result.text_a.item() == text
    tags = {tag.lower() for tag in re.findall(r"<\s*/?\s*([a-zA-Z]+)", markup(panel, "status"))}
    assert tags <= {"div", "span"}, tags
    assert panel.png and not [warning for warning in recwarn if "Glyph" in str(warning.message)]
    found = {}
    exec(panel.code(), found)
    assert found["result"].text_a.item() == text


def test_a_text_that_no_result_can_keep_is_refused_in_the_panel(panel):
    before = panel.result
    panel.prompt_a.value = "nul \x00"
    panel.settle()
    assert "NUL" in str(panel.error) and panel.result is before


def test_cancel_and_go_on(model, panel):
    before = panel.result
    with model.lock:  # the job waits for the model, the panel does not
        panel.prompt_a.value = "another"
        assert "computing" in spoken(panel, "status")
        control(panel, "Cancel").click()
        assert "Cancelled" in spoken(panel, "status")
    panel.settle()
    assert panel.result is before and "Cancelled" in spoken(panel, "status")
    panel.prompt_a.value = "the sea"
    assert settled(panel).result.text_a.item() == "the sea"


@pytest.fixture
def n_predicted(model):
    """The number of points at which the model was asked for its next token, pass by pass."""
    counted = []
    hook = model.hf.lm_head.register_forward_pre_hook(lambda _, args: counted.append(args[0].shape[:-1].numel()))
    yield counted
    hook.remove()


def test_a_new_prompt_is_one_pass_over_its_points(panel, n_predicted):
    panel.prompt_a.value = "the sea"
    settled(panel)
    assert panel.result.sizes["alpha"] == 20 and panel.result.sizes["rank"] == 50
    assert sum(n_predicted) == 20 + 1  # and what prompt B says by itself


def test_what_nobody_waits_for_ends_between_two_batches(model, panel, n_predicted, monkeypatch):
    monkeypatch.setattr("srtoolkit.patching.batches.CPU_TOKENS", 8)
    seen = []

    def follow(change):
        seen.append(change.new)
        if 'value="0.' in change.new and 'value="0.000"' not in change.new:
            panel.cancel()

    status = next(one for one in widgets(panel) if getattr(one, "value", None) == markup(panel, "status"))
    status.observe(follow, "value")
    before = panel.result
    panel.steps.value = 400
    panel.settle()
    assert panel.result is before and "Cancelled" in spoken(panel, "status")
    assert 0 < sum(n_predicted) < 400


def test_random_pairs_are_measured_once_and_whole(model, n_predicted):
    def stop(done, total):
        if done:
            raise CancelledError

    with pytest.raises(CancelledError):
        random_pairs.measure_random_pairs(model, 2, 7, stop)
    assert not len(random_pairs.random_peaks(model, 2, 7))
    random_pairs.measure_random_pairs(model, 2, 7)
    curves = srt.interpolate(model, srt.sample_pairs(model, 8), layer=2, steps=7)
    np.testing.assert_allclose(random_pairs.random_peaks(model, 2, 7), srt.motion(curves).peak.values, rtol=1e-3)
    n_predicted.clear()
    random_pairs.measure_random_pairs(model, 2, 7)
    assert not n_predicted


def test_code_gives_what_is_shown(panel):
    panel.metric.value, panel.layer.value = "KL divergence", 1
    settled(panel)
    found = {}
    exec(panel.code(), found)
    xr.testing.assert_allclose(found["result"], panel.result, rtol=1e-4)
    assert found["result"].attrs == panel.result.attrs
    assert f"max slope {found['sharp'].max_slope.item():.2f}" in panel.alt
    assert f"Peak speed {found['moves'].peak.item():.1f}" in panel.alt
    assert 0 <= found["share_below"] <= 1


def test_a_notebook_without_kernel_has_the_picture(panel):
    data, _ = panel._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]) == panel.png
    assert data["text/plain"] == f"Panel: From prompt A to prompt B | {panel.alt}"
    again = settled(InterpolationPanel(panel.model, "the king of", "a house by the", steps=20))
    assert again._repr_mimebundle_()[0]["text/plain"] == data["text/plain"]


def test_every_control_has_a_visible_label(panel):
    """Buttons carry theirs; other controls have a description."""
    controls = [*panel.picker.children, panel.prompt_a, panel.prompt_b, panel.layer, panel.steps, panel.metric]
    for one in [*controls, panel.alpha, panel.swap, control(panel, "Cancel")]:
        assert one.description.strip()


# --- ModelPicker


def test_a_panel_without_a_model_loads_one():
    panel = settled(InterpolationPanel())
    assert panel.model.name == "nano-1m" and "nano-1m" in panel.alt
    assert panel.model is shared_model("nano-1m")


@pytest.mark.slow
def test_another_model_from_the_list_and_from_a_folder(panel, tiny_folder):
    panel.picker.choice.value, panel.picker.revision.value = "nano-0.4m", "step0"
    panel.picker.load.click()
    settled(panel)
    assert panel.model.revision == "step0" and panel.result.attrs["revision"] == "step0"
    panel.picker.choice.value = panel.picker.choice.options[-1][1]
    assert not panel.picker.other.disabled
    panel.picker.other.value, panel.picker.revision.value = f" {tiny_folder} ", ""
    panel.layer.value = 0
    panel.picker.load.click()
    settled(panel)
    assert panel.result.attrs["model"] == str(tiny_folder)
    assert len(panel.prompt_a.tokens) == len("the king of")  # one a byte


@pytest.mark.slow
def test_layers_of_a_shallower_model(panel, tmp_path):
    panel.layer.value = panel.layer.max
    settled(panel)
    shallow = srt.load_model(str(save_tiny(tmp_path / "shallow", num_hidden_layers=2)))
    panel.use(shallow)
    settled(panel)
    assert panel.layer.value == panel.layer.max == 1 and panel.result.attrs["layer"] == 1


@pytest.mark.parametrize(
    ("name", "revision", "said"),
    [("no/such", "", "cannot load 'no/such'"), ("", "", "no model is named"), ("nano-1m", "step7", "step7")],
)
def test_a_model_that_cannot_be_loaded_leaves_the_panel_as_it_is(panel, hub_cache, name, revision, said):
    before = panel.model, panel.alt
    panel.picker.choice.value = name if name.startswith("nano") else panel.picker.choice.options[-1][1]
    panel.picker.other.value, panel.picker.revision.value = name, revision
    panel.picker.load.click()
    panel.settle()
    assert panel.error is not None and said in spoken(panel, "error")
    assert (panel.model, panel.alt) == before
    panel.prompt_a.value = "the sea"
    settled(panel)


def test_a_hub_id_at_a_revision(hub_cache):
    panel = settled(InterpolationPanel("lab/tiny", "one", "two", steps=5))
    panel.picker.revision.value = "step1000"
    first = panel.result.attrs["fingerprint"]
    panel.picker.load.click()
    settled(panel)
    assert panel.result.attrs["revision"] == "step1000" and panel.result.attrs["fingerprint"] != first


def test_the_picker_shows_the_model_it_is_given():
    assert ModelPicker("nano-2m").name == "nano-2m"
    assert ModelPicker("some/where").name == "some/where" and not ModelPicker("some/where").other.disabled


def test_the_call_that_loads_a_model():
    for model in (
        srt.load_model("nano-0.4m", init="random", seed=3),
        srt.load_model("nano-0.4m", revision="step0", dtype="float64"),
    ):
        again = eval(load_call(model), {"srt": srt})
        assert (again.fingerprint, again.dtype) == (model.fingerprint, model.dtype)


def test_the_call_that_wraps_a_model_in_memory(text_model):
    given = srt.wrap(text_model.hf, text_model.tokenizer, name="mine", revision="edited")
    here = {"srt": srt, "hf_model": text_model.hf, "tokenizer": text_model.tokenizer}
    assert repr(eval(load_call(given), here)) == repr(given)


def test_a_long_prompt_shows_its_first_and_last_tokens(text_model):
    prompt = PromptField(value="abcde" * 100 + "Z")
    prompt.read(text_model)
    assert prompt.note.startswith("501 tokens, but") and "takes at most 64" in prompt.note
    shown = [token["text"] for token in prompt.tokens]
    assert "441 more" in shown[-2] and shown[-1] == "Z" and len(shown) == TOKENS_SHOWN + 1
    assert "is replaced" in prompt.tokens[-1]["title"] and "is replaced" not in prompt.tokens[0]["title"]


# --- TrainingPanel


@pytest.fixture(scope="module")
def training():
    return settled(TrainingPanel("nano-0.4m", ("the king of", "a house by the", "my dear"), steps=12, resolution=5))


@pytest.mark.slow
def test_training_is_what_the_library_measures(training):
    revisions = list(srt.checkpoints("nano-0.4m"))
    assert training.result["model"].values.tolist() == revisions
    assert training.result["tokens"].values.tolist() == list(srt.checkpoints("nano-0.4m").values())
    for index, revision in enumerate(revisions):
        model = srt.load_model("nano-0.4m", revision=revision)
        curve = srt.interpolate(model, [("the king of", "a house by the")], steps=12)
        plane = srt.slice_plane(model, ("the king of", "a house by the", "my dear"), resolution=5)
        found = training.result.isel(model=index)
        np.testing.assert_allclose(found.relative_distance, curve.relative_distance[0], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found.distance, plane.distance, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_slider_and_play_show_each_checkpoint(training):
    alphas = training.result["along"].values
    seen = set()
    for index, revision in enumerate(training.result["model"].values):
        training.play.value = index
        assert training.checkpoint.index == index and revision in training.alt
        slope = np.diff(training.result.relative_distance[index]).max() / np.diff(alphas)[0]
        assert f"max slope {slope:.2f}" in training.alt
        moved = srt.motion(
            srt.interpolate(
                srt.load_model("nano-0.4m", revision=revision), [("the king of", "a house by the")], steps=12
            )
        )
        assert f"peak speed {moved.peak.item():.2f} (even motion has 1), {moved.jumps.item():.0f} jump" in training.alt
        seen.add(training.png)
    assert len(seen) == training.result.sizes["model"] == training.play.max + 1
    training.checkpoint.index = 0
    assert training.play.value == 0 and training.result["model"].values[0] in training.alt


def test_colours_of_all_checkpoints_have_one_scale(training):
    """The same distance has the same colour in every picture: drawn pixels of the anchor's neighbourhood follow it."""
    colours = srt.slice_colours(training.result)
    largest = training.result["distance"].max(("model", "alpha", "beta"))
    expected = 1 - training.result["distance"] / largest
    np.testing.assert_allclose(colours.transpose(*expected.dims), expected, atol=1e-6)
    frames = [training._draw(training.result, colours, index) for index in range(training.result.sizes["model"])]
    for index, frame in enumerate(frames):
        training.checkpoint.index = index
        assert training.png == frame.png


@pytest.mark.slow
def test_training_is_saved_as_it_is_shown(training, tmp_path):
    training.checkpoint.index = 0
    for form in training.forms:
        training.save(tmp_path / f"it.{form}")
    first, last = (training.result["model"].values[place] for place in (0, -1))
    assert f"at {first}" in svg_text(tmp_path / "it.svg") and f"at {last}" not in svg_text(tmp_path / "it.svg")
    rows = pd.read_csv(tmp_path / "it.csv").set_index(["model", "along"])["relative_distance"]
    assert len(rows) == training.result["relative_distance"].size
    np.testing.assert_allclose(rows.loc[first], training.result.relative_distance[0], rtol=1e-5)
    assert srt.load(tmp_path / "it.nc").sizes == training.result.sizes
    training.checkpoint.index = 1
    assert training.png != Path(tmp_path / "it.png").read_bytes()


def svg_text(path):
    """The texts of an SVG that matplotlib drew as paths: it notes each in a comment."""
    return html.unescape(" ".join(re.findall(r"<!-- (.*?) -->", path.read_text(encoding="utf-8"))))


def test_code_of_training(training):
    found = {}
    exec(training.code(), found)
    xr.testing.assert_allclose(found["result"], training.result, rtol=1e-4, atol=1e-5)


def test_new_prompts_and_an_error_of_training(training):
    place = training.checkpoint.index = 1
    training.prompts[2].value = ""
    training.settle()
    assert "prompt C: an empty prompt" in spoken(training, "error")
    training.prompts[2].value = "the <b>sea</b>"
    settled(training)
    assert training.result["text"].values[2] == "the <b>sea</b>" and training.checkpoint.index == place
    assert "<b>" not in training.picture.value
    with pytest.raises(ValueError, match="three prompts"):
        TrainingPanel("nano-0.4m", ("a", "b"))


@pytest.mark.slow
def test_checkpoints_of_a_hub_are_on_the_disk_only_while_they_are_measured(hub, monkeypatch):
    monkeypatch.setattr("srtoolkit.panels.training.checkpoints", lambda *_: {"main": 2e9, "step1000": 1e9})
    panel = settled(TrainingPanel("lab/tiny", ("one", "two", "six"), steps=5, resolution=3))
    assert panel.result["model"].values.tolist() == ["main", "step1000"]
    assert not [revision for revision in panel.result["model"].values if cached_commit("lab/tiny", revision)]
    kept = settled(TrainingPanel("lab/tiny", ("one", "two", "six"), steps=5, resolution=3, keep=True))
    assert [cached_commit("lab/tiny", revision) for revision in kept.result["model"].values] == hub.commits


def test_training_that_is_cancelled_loads_no_more_checkpoints(training, monkeypatch):
    monkeypatch.setattr("srtoolkit.patching.batches.CPU_TOKENS", 64)
    loaded, started = [], threading.Event()

    def load(name, **more):
        loaded.append(more)
        started.set()
        return srt.load_model(name, **more)

    monkeypatch.setattr("srtoolkit.panels.training.load_model", load)
    before = training.result
    training.prompts[0].value = "another prompt"
    assert started.wait(30)
    training.cancel()
    training.settle()
    assert len(loaded) < before.sizes["model"] and training.result is before and training.error is None


def test_a_model_without_checkpoints_is_an_error_in_the_panel(hub_cache):
    panel = TrainingPanel("no/such")
    panel.settle()
    assert panel.error is not None and panel.result is None
    assert panel._repr_mimebundle_()[0]["text/plain"].endswith("Nothing to show yet.")


# --- RegionMap

PROMPTS = ["the king of", "the queen of", "one two", "three four", "$x$ <b>"]
CLASSES = ["crown", "crown", "number", "number", "odd"]


@pytest.fixture
def map_(model):
    return settled(RegionMap(model, PROMPTS, CLASSES, steps=12))


def test_the_map_is_what_the_library_measures(model, map_):
    curves = srt.interpolate(model, srt.all_pairs(model, PROMPTS), steps=12)
    moved = srt.motion(curves)
    np.testing.assert_allclose(map_.result["peak"], moved["peak"], rtol=1e-4)
    np.testing.assert_allclose(map_.result["place"], srt.map_prompts(moved), atol=1e-2)
    assert (map_.result["jumps"] == moved["jumps"]).all()
    for threshold in (1.0, 1.3, 12.0):
        map_.threshold.value = threshold
        graph = srt.region_graph(srt.motion(curves, jump_speed=threshold))
        assert (map_.result["component"].values == graph["component"].values).all()
        assert f"{int(graph.components)} component" in map_.alt and f"the largest of {int(graph.largest)}" in map_.alt
    assert "1 component, the largest of 5; 100% of pairs" in map_.alt


def test_picking_two_prompts_shows_their_path(map_, monkeypatch):
    monkeypatch.setattr(map_, "submit", None)
    for start, end, pair in ((0, 1, 0), (3, 1, 5), (4, 0, 3)):
        map_.start.value, map_.end.value = start, end
        assert f"peak speed {float(map_.result.peak[pair]):.2f}, " in map_.alt
        assert {map_.result.text_a.values[pair], map_.result.text_b.values[pair]} == {PROMPTS[start], PROMPTS[end]}
        assert f"From “{map_.result.text_a.values[pair]}” to “{map_.result.text_b.values[pair]}”" in map_.alt
        np.testing.assert_array_equal(map_.map.curve["values"], map_.result.relative_distance.values[pair])
        assert {map_.map.dots[dot]["text"] for dot in map_.map.picked} == {PROMPTS[start], PROMPTS[end]}
    map_.end.value = map_.start.value
    assert "two different prompts" in map_.alt and map_.error is None and map_.map.curve["values"] == []
    map_.map.picked = [1, 3]  # as a click in the page does
    texts = [map_.map.dots[dot]["text"] for dot in (1, 3)]
    assert [PROMPTS[control.value] for control in (map_.start, map_.end)] == texts
    assert all(text in map_.alt for text in texts)


def test_colour_by_component(map_):
    by_class = pixels(map_)
    map_.colour.value = "component"
    map_.threshold.value = 1.2
    colours = {dot["colour"] for dot in map_.map.dots}
    sizes = np.bincount(map_.result["component"].values)
    assert len(colours) == (sizes > 1).sum() + (sizes == 1).any()
    moved = pixels(map_)
    map_.colour.value = "class"
    map_.colour.value = "component"
    assert (pixels(map_) == moved).all() and (moved != by_class).any()


def test_dots_are_where_the_map_is_and_lines_where_no_jump_lies(map_):
    map_.threshold.value = 1.5
    for dot, place, text in zip(
        map_.map.dots, map_.result["place"].values, map_.result["place"].text.values, strict=True
    ):
        assert (dot["x"], dot["y"]) == tuple(place) and dot["text"] == text
        assert dot["name"] == CLASSES[PROMPTS.index(text)] and text.endswith(dot["word"])
    graph = srt.region_graph(srt.motion(map_.result, jump_speed=1.5))
    drawn = {(a, b) for a, b, _ in map_.map.edges}
    assert drawn == {(a, b) for a, b in itertools.combinations(range(5), 2) if graph["edge"].values[a, b]}
    tree = np.zeros((5, 5))
    for a, b, in_tree in map_.map.edges:
        tree[a, b] = in_tree
    joined, _ = connected_components(tree, directed=False)  # as few lines as join what is one component
    assert joined == int(graph.components) and tree.sum() == 5 - joined


def test_prompts_are_typed_or_pasted(model, map_):
    assert map_.prompts.value.splitlines()[:3] == ["the king of | crown", "the queen of | crown", "one two | number"]
    map_.prompts.value = "a | b | c\n\nthe sea\tpasted\n leading space\ntwo⏎lines | x"
    settled(map_)
    assert map_.texts == ["a | b", "the sea", " leading space", "two\nlines"]
    assert map_.classes == ["c", "pasted", "prompt", "x"]
    moved = srt.motion(srt.interpolate(model, srt.all_pairs(model, map_.texts), steps=12))
    np.testing.assert_allclose(map_.result["peak"], moved["peak"], rtol=1e-4)
    assert [map_.texts[control.value] for control in (map_.start, map_.end)] == ["a | b", "two\nlines"]
    assert len(map_.start.options) == 4 == len(map_.map.dots) and "“a | b” to “two⏎lines”" in map_.alt
    assert from_lines(to_lines(map_.texts, map_.classes)) == (map_.texts, map_.classes)


@pytest.mark.parametrize(("lines", "said"), [("only one", "expected two or more"), ("a\na | x", "1 of them different")])
def test_prompts_that_make_no_map_are_refused_and_the_map_stays(map_, lines, said):
    before = map_.alt, map_.png
    map_.prompts.value = lines
    map_.settle()
    assert said in spoken(map_, "error") and (map_.alt, map_.png) == before
    map_.prompts.value = "a\nb"
    settled(map_)


def test_no_word_of_the_picture_is_cut(model):
    """Long words lie on all sides of the map; each is within the figure, and none is in the other axes."""
    texts = [f"{word} {word}{word}" for word in ("king", "house", "water", "seven", "never", "Italy")]
    figure = still(settled(RegionMap(model, texts, steps=8)).map)
    figure.draw_without_rendering()
    map_, curve = figure.axes
    whole = figure.bbox
    for text in [*map_.texts, *figure.texts, curve.yaxis.label, curve.xaxis.label, *curve.get_yticklabels()]:
        box = text.get_window_extent()
        assert whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0 and box.y1 <= whole.y1, text.get_text()
    assert not any(text.get_window_extent().overlaps(curve.get_tightbbox()) for text in map_.texts)


def test_of_many_prompts_the_picture_names_those_that_are_picked(map_, monkeypatch):
    settled(map_)
    assert len(still(map_.map).axes[0].texts) == len(map_.map.dots) > 2
    monkeypatch.setattr("srtoolkit.panels.map.still.NAMED", len(map_.map.dots) - 1)
    named = [text.get_text() for text in still(map_.map).axes[0].texts]
    assert named == [drawable(map_.map.dots[place]["word"], 14) for place in map_.map.picked]


def test_a_map_is_saved_in_every_form(map_, tmp_path):
    for form in map_.forms:
        map_.save(tmp_path / f"map.{form}")
    rows = pd.read_csv(tmp_path / "map.csv")
    assert rows[["text_a", "text_b"]].values.tolist() == [list(pair) for pair in itertools.combinations(PROMPTS, 2)]
    np.testing.assert_allclose(rows["peak"], map_.result.peak, rtol=1e-5)
    np.testing.assert_array_equal(srt.load(tmp_path / "map.nc")["place"], map_.result["place"])


def test_a_map_of_curves_that_are_measured_already(model, map_):
    curves = srt.interpolate(model, srt.all_pairs(model, PROMPTS), steps=12)
    again = settled(RegionMap(prompts=PROMPTS, classes=CLASSES, curves=curves))
    assert not {again.picker, again.prompts} & {*widgets(again)} and again.alt == map_.alt
    found = {"curves": curves}
    exec(again.code(), found)
    xr.testing.assert_allclose(found["result"], again.result, rtol=1e-4)
    wrong = RegionMap(prompts=PROMPTS[:-1], classes=CLASSES[:-1], curves=curves)
    wrong.settle()
    assert "1 of them not among" in spoken(wrong, "error")


def test_code_of_the_map(map_):
    map_.threshold.value = 1.4
    found = {}
    exec(map_.code(), found)
    dropped = [name for name in found["result"].data_vars if name == "place"]
    xr.testing.assert_allclose(found["result"].drop_vars(dropped), map_.result.drop_vars(dropped), rtol=1e-3)
    assert found["result"].attrs == map_.result.attrs
    np.testing.assert_allclose(found["result"]["place"], map_.result["place"], atol=1e-2)


def test_another_model_of_the_map_and_cancel(model, map_):
    before = map_.result
    started = threading.Event()
    with model.lock:  # the job waits for the model, the panel does not
        map_.use(model)
        started.wait(0.1)
        map_.threshold.value = 1.5
        map_.cancel()
        assert "Cancelled" in spoken(map_, "status")
    map_.settle()
    assert (map_.result["peak"].values == before["peak"].values).all() and map_.error is None
    map_.picker.revision.value = "step0"
    map_.picker.load.click()
    settled(map_)
    assert map_.result.attrs["revision"] == "step0"


def test_another_block_of_the_map(model, map_):
    map_.layer.value = 1
    settled(map_)
    moved = srt.motion(srt.interpolate(model, srt.all_pairs(model, PROMPTS), layer=1, steps=12))
    np.testing.assert_allclose(map_.result["peak"], moved["peak"], rtol=1e-4)
    assert "after block 1" in map_.alt and "layer=1" in map_.code() and map_.layer.max == model.n_layers - 1


def test_prompts_and_classes_of_a_map_must_match():
    with pytest.raises(ValueError, match="2 prompts and 1 classes"):
        RegionMap("nano-0.4m", ["a", "b"], ["x"])

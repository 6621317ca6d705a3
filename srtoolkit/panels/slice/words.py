"""What an explored slice shows, in words and numbers, and the calls that make it."""

from __future__ import annotations

from srtoolkit.analysis.sharpness import sharpness
from srtoolkit.measures.planes import ANCHORS
from srtoolkit.panels.parts.picker import load_call
from srtoolkit.panels.parts.text import shorten
from srtoolkit.panels.slice.explored import STEPS, Explored
from srtoolkit.panels.slice.question import GATES, View


def describe(explored: Explored, view: View) -> str:
    """What a slice shows, in words and numbers.

    Args:
        explored: The slice.
        view: The picture, context and pinned point to show.
    """
    question, region = explored.question, explored.plane["region"].values
    a, b, c = (shorten(prompt) for prompt in question.prompts)
    shares = [(region == index).mean() for index in (0, 1, 2, -1)]
    parts = [f"{share:.0%} near {name}'s" for name, share in zip(ANCHORS, shares[:3], strict=True)]
    words = (
        f"Plane through A “{a}”, B “{b}” and C “{c}” on {question.model.name}, after block {question.layer}: "
        f"the output is on {', '.join(parts)} and on {shares[3]:.0%} near none. Shown: {view.picture}"
    )
    if view.picture == GATES:
        crossings = explored.gates[view.anchor]["crossings"].values[:-1, :-1]
        words += f" of block {question.layer + 1}, {crossings.mean():.2g} a point on average"
    return f"{words}; context {view.anchor}.{describe_pin(explored, view)}"


def describe_pin(explored: Explored, view: View) -> str:
    """What the pinned point shows, in words and numbers; empty where none is pinned.

    Args:
        explored: The slice.
        view: The picture, context and pinned point to show.
    """
    if not view.pin:
        return ""
    line = explored.lines[view.anchor, view.pin]
    alpha, beta = explored.place(view.pin)
    sharp = sharpness(line).isel(pair=0)
    token = explored.question.model.token_text(int(line["top_token"].values[0, -1]))
    how = "" if sharp["degenerate"] else f", with max slope {float(sharp['max_slope']):.2f}"
    return (
        f" Pinned at alpha {alpha:.2f}, beta {beta:.2f}: next token “{shorten(token, 30)}”; from {view.anchor} the "
        f"output moves by {float(line['distance'].values[0, -1]):.3g}{how}."
    )


def code(explored: Explored, view: View) -> str:
    """The library calls that make what is shown.

    Args:
        explored: The slice.
        view: The picture, context and pinned point to show.
    """
    question, anchor, top = explored.question, view.anchor, explored.plane.sizes["rank"]
    lines = [
        "import srtoolkit as srt",
        "",
        f"model = {load_call(question.model)}",
        f"prompts = {question.prompts!r}",
        f"plane = srt.lay_out(model, prompts, layer={question.layer}, resolution={question.resolution})",
        f"result = srt.slice_plane(model, plane, top={top}, tolerance={question.tolerance!r})",
    ]
    partly = {name for name, known in zip(ANCHORS, explored.plane["measured"].values, strict=True) if not known.all()}
    for name in sorted(partly & explored.filled):
        lines += [
            f"predictions = srt.slice_predictions(model, plane, anchor={name!r}, top={top})",
            f"known = (result.anchor != {name!r}) | result.measured",
            'filled = {of: result[of].where(known, predictions[of]) for of in ("token", "probability")}',
            "result = result.assign(filled)",
        ]
    if anchor in explored.gates:
        lines += [
            f"gates = srt.slice_gates(model, plane, {question.layer + 1}, anchor={anchor!r})",
            "result = result.assign(crossings=gates.crossings)",
        ]
    lines.append(f"result = result.assign_attrs(context={anchor!r})")
    if view.pin:
        alpha, beta = explored.place(view.pin)
        lines += [
            f"path = srt.line_on_plane(model, plane, {alpha!r}, {beta!r})",
            f"pair = {explored.prompts_of_line(anchor)!r}  # the line runs in the first one's context",
            f"line = srt.interpolate(model, [pair], layer={question.layer}, steps={STEPS}, path=path)",
        ]
    return "\n".join(lines) + "\n"

"""What the properties are driven with: odd values, texts, ids, points, curves, and results made of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import torch
import xarray as xr
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

FAMILIES = ("llama", "gpt2", "opt", "mamba", "bloom", "gemma2", "falcon", "gpt_neox", "phi3", "olmo2")
READS = ("resid", "final_norm", "logits", "logprobs")

#: What people type, paste or compute by mistake where one number, name or list is wanted.
ODD = [
    *(None, True, False, -1, 0, 1, 2, 3, 7, 1.0, 2.0, 0.5, -0.5, 1e-3, 1e300, float("nan"), float("inf"), 10**30, 1j),
    *(
        "",
        "x",
        "3",
        b"3",
        "all",
        "linear",
        "auto",
        "final_norm",
        "A",
        "\ud800",
        [],
        [1],
        [0.5],
        ["x"],
        (),
        {},
        {"x": 1},
    ),
    *(
        [None],
        [[1, 2], [3]],
        [float("nan")],
        set(),
        {1},
        object(),
        Exception,
        len,
        slice(2),
        np.int64(2),
        np.float64(0.5),
    ),
    *(np.array(2), np.array(0.5), np.array([1, 2]), np.array([]), np.array(["x"]), np.array(None)),
    *(torch.tensor(2), torch.tensor(0.5), torch.tensor([1.0, 2.0]), torch.zeros(0), torch.ones(1, 2, 3)),
    *(xr.Dataset(), xr.DataArray(1.0), np.datetime64("2024-01-01"), range(2), range(0), iter([1])),
]
#: An iterator is handed out as a copy, for it can be read only once.
odd = st.sampled_from(range(len(ODD))).map(lambda n: copy.copy(ODD[n]) if isinstance(ODD[n], Iterator) else ODD[n])

#: Texts as they come from anywhere: emoji, right to left, combining marks, white space only.
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=4),
    st.text("abcxyz ", min_size=1, max_size=8),
    st.sampled_from(
        [
            " ",
            "\n\n\t",
            "🙂",
            "👩‍👩‍👧",
            "שלום",
            "مرحبا",
            "e\u0301",
            "\u200b",
            "\ufeff",
            "$x$",
            "\\frac",
            "<bos>",
        ]
    ),
)
pairs = st.lists(st.tuples(texts, texts), min_size=1, max_size=4)
plain_texts = st.text("abcxyz ", min_size=1, max_size=6)


@st.composite
def token_ids(draw, contexts=2):
    """Ids [context, pos] that a model of 259 has."""
    shape = draw(st.tuples(st.integers(1, contexts), st.integers(1, 6)))
    return draw(arrays(np.int64, shape, elements=st.integers(0, 258)))


@st.composite
def unlike(draw, values):
    """A tensor that holds ``values`` as a user may have them: another stride, offset, or wanted by autograd."""
    kind = draw(st.sampled_from(["plain", "transposed", "strided", "grad", "expanded"]))
    if kind == "transposed":
        return values.transpose(0, -1).contiguous().transpose(0, -1)
    if kind == "strided":
        return torch.stack([values, values + 1], dim=-1)[..., 0]
    if kind == "grad" and values.is_floating_point():
        return values.clone().requires_grad_()
    return values


@st.composite
def points(draw, contexts, width, number=3):
    """Activations [context, point, width] of any float type and size, and the numbers that they stand for."""
    dtype = draw(st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16]))
    seed, k = draw(st.integers(0, 99)), draw(st.integers(1, number))
    scale = draw(st.sampled_from([0.0, 1e-4, 1.0, 30.0, 1e3]))
    values = scale * torch.randn(contexts, k, width, generator=torch.Generator().manual_seed(seed))
    return draw(unlike(values.to(dtype)))


@st.composite
def grids(draw, least=2, most=12):
    """Increasing places from 0 to 1, evenly spaced or not."""
    n = draw(st.integers(least, most))
    if draw(st.booleans()):
        return np.linspace(0, 1, n)
    inner = draw(st.lists(st.integers(1, 999), min_size=n - 2, max_size=n - 2, unique=True))
    return np.array([0, *sorted(inner), 1000]) / 1000


def _rows(draw, n, steps, elements):
    return draw(arrays(np.float64, (n, steps), elements=elements))


#: Numbers that a curve may hold; most are ordinary.
ordinary = st.one_of(st.floats(0, 2), st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]))
wild = st.one_of(ordinary, st.sampled_from([np.nan, np.inf, -np.inf, 1e300, -1e300, 1e-300, -1.0, 5.0]))


@st.composite
def curves(draw, most=5, elements=wild, grid=None, least=0):
    """What :func:`srtoolkit.interpolate` gives, with any numbers for curves."""
    alphas = draw(grids() if grid is None else grid)
    n = draw(st.integers(least, most))
    values = _rows(draw, n, len(alphas), elements)
    if elements is not wild and n:
        values[:, -1] = 1
    prompts = draw(arrays(np.int64, (2, n), elements=st.integers(0, 6)))
    degenerate = draw(arrays(bool, n)) if elements is wild else np.zeros(n, bool)
    tokens = draw(arrays(np.int64, (n, len(alphas)), elements=st.integers(0, 3)))
    return xr.Dataset(
        {
            "relative_distance": (("pair", "alpha"), np.where(degenerate[:, None], np.nan, values)),
            "distance": (("pair", "alpha"), 3 * np.nan_to_num(values, posinf=1e300, neginf=-1e300) / 4),
            "top_token": (("pair", "alpha"), tokens),
            "degenerate": ("pair", degenerate),
            "lengths_differ": ("pair", np.zeros(n, bool)),
            "input_distance": ("pair", np.arange(n) + 1.0),
            "prompt_a": ("pair", prompts[0]),
            "prompt_b": ("pair", prompts[1]),
        },
        {
            "pair": [str(index) for index in range(n)],
            "alpha": alphas,
            "text_a": ("pair", [f"prompt {number}" for number in prompts[0]]),
            "text_b": ("pair", [f"prompt {number}" for number in prompts[1]]),
        },
        {"model": "made up", "layer": 0, "path": "linear"},
    )


#: Values of a measured quantity; ties and missing ones are common.
measured = st.one_of(st.floats(0.1, 10), st.sampled_from([1.0, 2.0, 3.0]))
or_missing = st.one_of(measured, st.sampled_from([np.nan, 0.0]))


@st.composite
def sharps(draw, least=0, most=8, elements=or_missing, prompts=6):
    """What :func:`srtoolkit.sharpness` gives, with any numbers for slopes."""
    n = draw(st.integers(least, most))
    slopes, places = (draw(arrays(np.float64, n, elements=elements)) for _ in range(2))
    numbers = draw(arrays(np.int64, (2, n), elements=st.integers(0, prompts)))
    excluded = draw(arrays(bool, n, elements=st.sampled_from([False, False, False, True])))
    return sharp(slopes, numbers, excluded, places)


def sharp(slopes, numbers, excluded=None, places=None):
    """A result of :func:`srtoolkit.sharpness` with these slopes, between prompts of these numbers."""
    slopes, n = np.asarray(slopes, float), len(slopes)
    excluded = np.zeros(n, bool) if excluded is None else excluded
    data = {name: ("pair", np.where(excluded, np.nan, slopes)) for name in ("max_slope", "width_10_90", "jumps")}
    data["jump_at"] = data["plateau_fraction"] = (
        "pair",
        np.where(excluded, np.nan, slopes if places is None else places),
    )
    flags = {"degenerate": excluded, "non_finite": np.zeros(n, bool), "excluded": excluded}
    return xr.Dataset(
        data
        | {name: ("pair", flag) for name, flag in flags.items()}
        | {"prompt_a": ("pair", numbers[0]), "prompt_b": ("pair", numbers[1]), "input_distance": ("pair", slopes + 1)},
        {
            "pair": [str(index) for index in range(n)],
            "text_a": ("pair", [f"prompt {number}" for number in numbers[0]]),
            "text_b": ("pair", [f"prompt {number}" for number in numbers[1]]),
        },
        {"model": "made up"},
    )


@st.composite
def all_paths(draw, elements=measured, most=6):
    """Every pair of some prompts, with any slopes."""
    n = draw(st.integers(2, most))
    numbers = np.array([(a, b) for a in range(n) for b in range(a + 1, n)]).T
    return sharp(draw(arrays(np.float64, numbers.shape[1], elements=elements)), numbers)


@st.composite
def flipped_curves(draw):
    """Flips and curves on the same paths."""
    grid = draw(grids(least=3))
    curve = draw(curves(elements=ordinary, grid=st.just(grid), least=1))
    n, layers = curve.sizes["pair"], draw(st.integers(1, 2))
    counts = draw(arrays(np.int64, (n, len(grid), layers), elements=st.integers(0, 3)))
    counts[:, 0] = 0
    about = curve[["prompt_a", "prompt_b", "lengths_differ"]]
    flips = about.assign(flips=(("pair", "alpha", "block"), counts), gates=("block", [10] * layers))
    return flips.assign_coords(block=np.arange(layers) + 1, alpha=grid), curve

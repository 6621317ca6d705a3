"""How fast this machine does a call: measured on a miniature of the model, in the very functions that would run.

A miniature has the model's own widths, heads and number format, and fewer blocks, which all use one block's memory; its
unembedding is shortened if it is large. So a matrix product is as wide, a batch as large and everything between the
products (attention, norms, masks, tracing) as slow as in the model, and time is proportional to the operations within
blocks, and to those of the unembedding. Both factors are measured, and scaled by the counts of
:mod:`srtoolkit.costs.flops`.
"""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import accelerate  # type: ignore[import-untyped]
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from srtoolkit.costs.flops import Architecture
from srtoolkit.costs.work import Work, passes, run
from srtoolkit.files import verified
from srtoolkit.models.anatomy import find_anatomy
from srtoolkit.models.loading import load_model
from srtoolkit.models.model import Model
from srtoolkit.models.weights import DTYPES
from srtoolkit.suite.configuration import names as suite_names
from srtoolkit.suite.shipped import load_suite_tokenizer

#: Blocks of a miniature, and the weights of all its blocks together that make it stop at the fewest.
BLOCKS, WEIGHTS = (2, 8), 2**26

#: Points that are timed at least: with fewer, a large model's weights take longer to fetch than to multiply with.
POINTS = 512

#: Bytes of a miniature's unembedding.
UNEMBEDDING = 2**29

#: Bytes that are written and read back to measure loading.
SAMPLE = 2**26


@dataclass(frozen=True)
class Speed:
    """Seconds that a call takes on this machine.

    Attributes:
        start: Once, where a model has not run before.
        fixed: Whatever the number of pairs or points.
        per_block_flop: For each operation within blocks, with all that goes on between the matrix products.
        per_logit_flop: For each operation of the unembedding, with all that is made of the logits.
    """

    start: float
    fixed: float
    per_block_flop: float
    per_logit_flop: float

    def seconds(self, model: Architecture, work: Work, first: bool = True) -> float:
        """Expected seconds of ``work`` on ``model``, which has been loaded and may have run before."""
        blocks, logits = flops(model, work, first)
        return self.start * first + self.fixed + self.per_block_flop * blocks + self.per_logit_flop * logits


def flops(model: Architecture, work: Work, first: bool = True) -> tuple[int, int]:
    """Floating-point operations of ``work``'s matrix products, within blocks and of the unembedding.

    Args:
        model: What the work is done on.
        work: What is done.
        first: Whether the model has not run before.
    """
    every = passes(model, work, first)
    return sum(map(model.block_flops, every)), sum(map(model.logit_flops, every))


def measure_speeds(
    model: Architecture, works: Sequence[Work], budget: float, dtype: str, device: torch.device
) -> list[Speed]:
    """Time each of several calls on a miniature of ``model``, as much of it as fits ``budget``.

    Args:
        model: What the work is done on.
        works: What is done; the first is what the model does first.
        budget: Seconds for all; more are taken where ``POINTS`` points take longer.
        dtype: Name of the number format.
        device: Where to.
    """
    small, mini = miniature(model, dtype, device)
    started = time.perf_counter()
    speeds = []
    for number, work in enumerate(works, 1):
        inside = replace(work, layer=round(work.layer / model.n_layers * small.n_layers))
        speed = _measure(small, mini, inside, started + budget * number / len(works))
        speeds.append(replace(speed, fixed=speed.fixed * model.n_layers / small.n_layers))
    return speeds


def _measure(small: Architecture, mini: Model, work: Work, end: float) -> Speed:
    """The speed of one call on a miniature; repeated, where there is time until ``end``, for the shortest of a few."""
    least = work.smaller(0.0)
    bare_least = least.without_logits()
    first = _time(mini, bare_least)
    fixed = _shortest(mini, bare_least, 2, end)
    some, whole = _largest(small, mini, work, (end - time.perf_counter()) / 3)
    bare = some.without_logits()
    blocks = fixed if bare == bare_least else _shortest(mini, bare, 3, end)
    done, done_least = (flops(small, one, first=False)[0] for one in (bare, bare_least))
    # Two points make a line, if they lie apart; what a call takes whatever its size is then not scaled.
    per_block_flop = max(0.0, blocks - fixed) / (done - done_least) if done > 2 * done_least else blocks / done
    per_logit_flop = 0.0
    if work.reads_logits:
        whole = min(whole, _shortest(mini, some, 1, end))
        per_logit_flop = max(0.0, whole - blocks) / flops(small, some, first=False)[1]
    remainder = max(0.0, fixed - per_block_flop * done_least)
    return Speed(max(0.0, first - fixed), remainder, per_block_flop, per_logit_flop)


def _largest(small: Architecture, mini: Model, work: Work, seconds: float) -> tuple[Work, float]:
    """As much of ``work`` as takes a miniature up to ``seconds``, and what it took; at least ``POINTS`` points."""
    some = work.smaller(POINTS / work.points)
    taken = _time(mini, some)
    while taken < seconds / 3:
        done = sum(flops(small, some, first=False)) / sum(flops(small, work, first=False))
        more = work.smaller(done * min(8.0, seconds / taken))
        if more == some:
            break
        some, taken = more, _time(mini, more)
    return some, taken


def _shortest(mini: Model, work: Work, times: int, end: float) -> float:
    taken = [_time(mini, work)]
    while len(taken) < times and time.perf_counter() < end:
        taken.append(_time(mini, work))
    return min(taken)


def _time(mini: Model, work: Work) -> float:
    _finish(mini.device)
    start = time.perf_counter()
    run(mini, work)
    _finish(mini.device)
    return time.perf_counter() - start


def _finish(device: torch.device) -> None:
    if device.type in ("cuda", "mps"):
        getattr(torch, device.type).synchronize()


def miniature(model: Architecture, dtype: str, device: torch.device) -> tuple[Architecture, Model]:
    """A model of few blocks with the widths of ``model``, whose weights are noise.

    Args:
        model: What it stands in for.
        dtype: Name of the number format.
        device: Where to.

    Returns:
        Its architecture, and the model.
    """
    config = copy.deepcopy(model.config)
    text = config.get_text_config()
    blocks = min(model.n_layers, max(BLOCKS[0], min(BLOCKS[1], WEIGHTS // max(1, *model.weights))))
    for key, value in vars(text).items():  # one entry a block: kinds of attention and the like
        if isinstance(value, list) and len(value) == model.n_layers:
            setattr(text, key, value[:blocks])
    text.num_hidden_layers = blocks
    text.vocab_size = min(model.vocab_size, UNEMBEDDING // (DTYPES[dtype].itemsize * model.d_model))
    text.pad_token_id = text.bos_token_id = text.eos_token_id = None
    text.tie_word_embeddings = config.tie_word_embeddings = True
    with accelerate.init_empty_weights():
        hf = transformers.AutoModelForCausalLM.from_config(config)
    name, anatomy = f"miniature of {model.name}", find_anatomy(hf, blocks, model.name)
    _fill(hf, anatomy.blocks, DTYPES[dtype], device)
    mini = Model(
        name=name,
        hf=hf.eval(),
        tokenizer=load_suite_tokenizer(),  # whose words mean nothing here
        revision=None,
        commit=None,
        init="random",
        seed=0,
        dtype=dtype,
        anatomy=anatomy,
    )
    return Architecture(name, config), mini


def _fill(hf: Any, blocks: str, dtype: torch.dtype, device: torch.device) -> None:
    """Give every parameter memory and small random values; blocks that are alike share theirs."""
    noise = torch.randn(2**20, generator=torch.Generator().manual_seed(0)).mul_(0.02).to(device, dtype)
    filled: dict[Any, nn.Parameter] = {}
    for path, module in hf.named_modules():
        within = path.removeprefix(f"{blocks}.")
        place = within.partition(".")[2] if within != path else path
        for name, empty in module._parameters.items():
            if empty is None:
                continue
            key = (within != path, place, name, empty.shape)
            if key not in filled:
                filled[key] = nn.Parameter(_noise_of(noise, empty.shape), requires_grad=False)
            module._parameters[name] = filled[key]
    hf.to(device)  # buffers
    hf.tie_weights()


def _noise_of(noise: Tensor, shape: torch.Size) -> Tensor:
    values = torch.empty(shape, dtype=noise.dtype, device=noise.device)
    for part in values.view(-1).split(len(noise)):
        part.copy_(noise[: len(part)])
    return values


@dataclass(frozen=True)
class Loading:
    """Seconds that loading a model takes on this machine, from files that were read before.

    Attributes:
        start: Of any model: its configuration, tokenizer and modules.
        per_byte: For each byte of a file that becomes a weight.
        per_hashed_byte: For each byte whose hash is checked.
    """

    start: float
    per_byte: float
    per_hashed_byte: float

    def seconds(self, size: int, hashed: bool) -> float:
        """Expected seconds of loading ``size`` bytes."""
        return self.start + (self.per_byte + self.per_hashed_byte * hashed) * size


def measure_loading(dtype: str) -> Loading:
    """Load the smallest packaged model, and write, hash and read a file of weights.

    Args:
        dtype: Name of the number format.
    """
    start = _seconds(lambda: load_model(suite_names()[0], dtype=dtype, device="cpu"))
    with tempfile.TemporaryDirectory(prefix="srtoolkit-") as folder:
        file = Path(folder) / "sample.safetensors"
        save_file({"weight": torch.zeros(SAMPLE // 4)}, file)
        read = min(_seconds(lambda: load_file(file)["weight"].to(DTYPES[dtype], copy=True)) for _ in range(3))
        hashed = min(_seconds(lambda: verified.file_sha256(file)) for _ in range(2))
    return Loading(start, read / SAMPLE, hashed / SAMPLE)


def _seconds(do: Callable[[], Any]) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start

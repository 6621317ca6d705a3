"""What a model writes from points on the path between two activations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from srtoolkit.measures.paths import Path
from srtoolkit.measures.walk import PAIRS_AT_ONCE, Rows, Walk, set_out
from srtoolkit.models.checks import check_points
from srtoolkit.models.model import Model
from srtoolkit.patching.batches import Progress
from srtoolkit.patching.continuing import write_on
from srtoolkit.prompts.pairs import PromptPairs, as_pairs
from srtoolkit.validation import check_number, check_whole, listed


@torch.no_grad()
def continuation(
    model: Model,
    pairs: PromptPairs | Sequence[tuple[str, str]],
    *,
    alphas: Iterable[float | int] = (0, 0.25, 0.5, 0.75, 1),
    tokens: int = 20,
    temperature: float = 0.0,
    seed: int = 0,
    layer: int = 0,
    path: str | Path = "linear",
    position: int = -1,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Text that the model writes after prompt A, once a point of the path from A to B has been put into it.

    What is written attends to the patched stream: its keys and values are kept, and no other token is patched.

    On SmolLM2-135M (``sample_pairs(model, 10, length=10, seed=7)``, nine points, ten tokens, greedy) texts stay as they
    are over stretches of the path: 3 to 8 different ones a pair, median 6. With the same weights in another order
    (``null_model(model, "permuted")``) all nine differ in every pair. On nano-1m (8 such pairs) the number of texts
    tells nothing: 2 to 6, and with permuted weights, of two seeds, 3 to 8 and 2 to 5.

    Args:
        model: From :func:`srtoolkit.load_model`.
        pairs: Pairs of prompts, or a list of their texts (A, B).
        alphas: Places on the path, from A (0) to B (1).
        tokens: Number of tokens to write.
        temperature: 0 takes the likeliest token each time; above, tokens are drawn with probabilities
            ``softmax(logits / temperature)``.
        seed: Seed of the draws. All points of a pair draw with the same random numbers, so that their texts differ only
            where their predictions do.
        layer: Block whose output is replaced.
        path: ``"linear"``; ``"slerp"``, whose direction turns evenly; ``"arc"``, the same about the model's mean
            activation; or a function of (A, B, alphas) that returns points, as :func:`srtoolkit.paths.linear` does.
        position: Which token's activation is captured and replaced in every prompt; the last by default.
        progress: Called with the number of points done and that of all points; what it raises ends the measurement.
            Where ``None``, a progress bar is shown.

    Returns:
        A Dataset with dims ``pair``, ``alpha``, ``written`` (1 is the first token written): ``token`` (its id, -1
        behind an end-of-text token, or where predictions are NaN), ``logprob`` (its log-probability, nats, NaN there),
        and, over ``pair`` and ``alpha``, ``text``, without the end-of-text token.

    Raises:
        ValueError: A prompt, block, position, alpha or path is not valid, a number or the temperature is, the model
            has no tokenizer, or prompt and text are longer than it takes.
    """
    places = [check_number(alpha, "alphas") for alpha in listed(alphas) or []]
    if not places:
        raise ValueError("alphas: expected one or more finite numbers in a list; 0 is A and 1 is B.")
    tokens, seed = check_whole(tokens, "tokens", 1, 10**6), check_whole(seed, "seed", 0, 2**63)
    temperature = check_number(temperature, "temperature", 0.0)
    pairs = as_pairs(model, pairs)
    _check_room(model, pairs, tokens)
    line = torch.tensor(places, dtype=torch.float32)
    walk = set_out(model, pairs, layer=layer, alphas=line, path=path, position=position)
    found = Rows(len(pairs))
    for batch in walk.batches(PAIRS_AT_ONCE, method="full", progress=progress):
        points = check_points(model, batch.points, len(batch.rows))
        draws = _Draws(temperature, seed, batch.rows)
        written = write_on(
            model, batch.context.to(model.device), points, layer=walk.layer, position=position, tokens=tokens,
            pick=draws.pick, progress=batch.progress,
        )  # fmt: skip
        found.put(batch.rows, written)
    ids, logprobs = _cut(model, found["token"], found["logprob"])
    dims = ("pair", "alpha", "written")
    data = {
        "token": (dims, ids, {"long_name": "id of the token written; -1 behind the end"}),
        "logprob": (dims, logprobs, {"long_name": "log-probability of the token written, nats"}),
        "text": (("pair", "alpha"), _texts(walk, ids), {"long_name": "text written behind prompt A"}),
    }
    coords = {"alpha": walk.alphas.double().numpy(), "written": np.arange(1, tokens + 1)}
    about = {"tokens": tokens, "temperature": temperature, "draw_seed": seed}
    dataset = walk.to_dataset(data, coords, np.isnan(found["logprob"]).any(axis=(1, 2)), **about)
    del dataset.attrs["method"]  # none of the patching methods
    return dataset


def _check_room(model: Model, pairs: PromptPairs, tokens: int) -> None:
    """Refuse texts for which there is no tokenizer, or that a model's context cannot hold behind the longest prompt."""
    model.token_text(0)
    longest, limit = max(map(len, pairs.tokens_a)), model.context_length
    if limit is not None and longest + tokens > limit:
        raise ValueError(
            f"tokens={tokens}: the longest prompt has {longest} tokens, and {model.name} takes at most {limit} in all; "
            f"expected at most {limit - longest}."
        )


class _Draws:
    """The choice of the next token, with random numbers that all points of a pair share.

    The largest of ``logits / temperature`` plus independent Gumbel noise is a draw from their softmax.

    Args:
        temperature: 0 for the likeliest token.
        seed: Seed of the draws.
        pairs: Index of each row's pair in the measurement.
    """

    def __init__(self, temperature: float, seed: int, pairs: Sequence[int]) -> None:
        self._temperature, self._seed, self._pairs = temperature, seed, pairs

    def pick(
        self, logits: Float[Tensor, "row point d_vocab"], rows: Int[Tensor, " row"], number: int
    ) -> Int[Tensor, "row point"]:
        """The next token of every point; 0 where a logit is NaN."""
        known = logits.float().nan_to_num(nan=-torch.inf, posinf=torch.finfo(torch.float32).max)
        if self._temperature:
            noise = [self._noise(self._pairs[row], number, logits.shape[-1]) for row in rows.tolist()]
            known = known / self._temperature + torch.stack(noise).to(known)[:, None]
        return known.argmax(-1)

    def _noise(self, pair: int, number: int, size: int) -> Float[Tensor, " d_vocab"]:
        return torch.from_numpy(np.random.default_rng([self._seed, pair, number]).gumbel(size=size))


def _cut(
    model: Model, ids: Int[np.ndarray, "pair alpha written"], logprobs: Float[np.ndarray, "pair alpha written"]
) -> tuple[Int[np.ndarray, "pair alpha written"], Float[np.ndarray, "pair alpha written"]]:
    """Ids and log-probabilities up to the end-of-text token, or up to the first that is undefined."""
    over = np.isin(ids, _ends(model)).cumsum(axis=-1) - np.isin(ids, _ends(model)) > 0
    over |= np.isnan(logprobs).cumsum(axis=-1) > 0
    return np.where(over, -1, ids), np.where(over, np.nan, logprobs)


def _ends(model: Model) -> list[int]:
    """Ids of the tokens that end a text."""
    known = [
        getattr(config, "eos_token_id", None)
        for config in (model.hf.config.get_text_config(), model.hf.generation_config)
    ]
    return [int(end) for one in known if one is not None for end in (one if isinstance(one, list | tuple) else [one])]


def _texts(walk: Walk, ids: Int[np.ndarray, "pair alpha written"]) -> Shaped[np.ndarray, "pair alpha"]:
    """What is written behind each prompt A, as text: what the whole says beyond the prompt."""
    decode, ends = walk.model.tokenizer.decode, _ends(walk.model)
    texts = np.empty(ids.shape[:2], dtype=object)
    for pair, point in np.ndindex(*ids.shape[:2]):
        prompt = walk.pairs.tokens_a[pair].tolist()
        written = [token for token in ids[pair, point].tolist() if token >= 0 and token not in ends]
        before, whole = (decode(some, clean_up_tokenization_spaces=False) for some in (prompt, prompt + written))
        text = whole[len(before) :] if whole.startswith(before) else decode(written)
        texts[pair, point] = text.replace("\0", "\N{REPLACEMENT CHARACTER}")  # which results cannot keep
    return texts.astype(str)

"""Small transformers trained by this project on hidden Markov processes: models whose belief states are known."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
import xarray as xr
from jaxtyping import Float, Int
from safetensors.torch import load
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from srtoolkit.files import disk, hashes, verified
from srtoolkit.models.model import Model
from srtoolkit.models.nulls import null_model
from srtoolkit.models.options import INITS, NULLS
from srtoolkit.models.wrapping import as_model
from srtoolkit.prompts.pairs import PromptPairs, from_text
from srtoolkit.suite import eight_bits
from srtoolkit.suite.shipped import initial_model
from srtoolkit.suite.sizes import Configuration, parse
from srtoolkit.toy.processes import Process, process
from srtoolkit.validation import check_names, check_whole

#: Where the package carries weights, configurations and losses.
DATA = Path(str(files("srtoolkit.toy"))) / "data"

#: The package carries runs 0 to this one of each model; run 0 is the one that was trained first.
CARRIED = 3

#: Words that run at once where all of a length are read.
AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class HiddenMarkov:
    """A model, and the process that it was trained on.

    Attributes:
        process: The process, with its belief states.
        model: The model, as every measurement takes it. Its prompts are words of the process's symbols, such as
            ``"ABBA"``, up to 10 long.
    """

    process: Process
    model: Model

    def texts(self, tokens: Int[np.ndarray, "prompt pos"]) -> list[str]:
        """Words as texts.

        Args:
            tokens: Their token ids.
        """
        return ["".join(self.process.symbols[token] for token in word) for word in tokens]

    @torch.no_grad()
    def losses(self, length: int = 10) -> xr.Dataset:
        """Cross-entropy of the model's predictions after 1, 2, … symbols, and the least that is possible, in nats.

        Both are exact expectations over all words that the process can emit.

        Args:
            length: Number of symbols that the model sees at most.

        Returns:
            Dim ``pos``: ``loss`` (the model's) and ``entropy`` (the process's).
        """
        words, chance = self.process.words(check_whole(length, "length", 1, 10))
        true = self.process.predictions(self.process.beliefs(words))
        said = [
            self.model.hf(input_ids=part.to(self.model.device)).logits.double().log_softmax(-1).cpu()
            for part in torch.from_numpy(words).split(AT_ONCE)
        ]
        loss = chance @ (true * -torch.cat(said).numpy()).sum(-1)
        data = {
            "loss": ("pos", loss, {"long_name": "cross-entropy of the model's prediction, nats"}),
            "entropy": ("pos", self.process.entropies(length), {"long_name": "entropy of the next symbol, nats"}),
        }
        return xr.Dataset(data, {"pos": np.arange(1, length + 1)}, self.model.provenance())

    @torch.no_grad()
    def belief_fits(self, length: int = 10, *, seed: int = 0) -> xr.DataArray:
        """How well a linear map reads the belief state off the last position after each block: R2, 1 where exactly.

        The map is fitted by least squares on half of all words, each counted once, and R2 is that on the other half,
        over all hidden states together.

        Args:
            length: Number of symbols of the words.
            seed: Seed of the halves.

        Returns:
            Dim ``read``: every block but the last.
        """
        words, _ = self.process.words(check_whole(length, "length", 1, 10))
        true = self.process.beliefs(words)[:, -1]
        fitted, tested = np.array_split(np.random.default_rng(check_whole(seed, "seed")).permutation(len(words)), 2)
        found = [_r2(ends[fitted], true[fitted], ends[tested], true[tested]) for ends in self._last_positions(words)]
        about = {
            "long_name": "share of the variance of belief states that is read off linearly",
            **self.model.provenance(),
        }
        return xr.DataArray(found, {"read": np.arange(len(found))}, ("read",), "r2", about)

    def _last_positions(self, words: Int[np.ndarray, "prompt pos"]) -> list[Float[np.ndarray, "prompt d_model"]]:
        """The residual stream at the last position after every block but the last."""
        parts = [
            [
                stream[:, -1].double().cpu()
                for stream in self.model.hf(
                    input_ids=part.to(self.model.device), output_hidden_states=True
                ).hidden_states
            ]
            for part in torch.from_numpy(words).split(AT_ONCE)
        ]
        return [torch.cat(stream).numpy() for stream in list(zip(*parts, strict=True))[1:-1]]

    def sample_pairs(self, n: int, states: str = "any", *, length: int = 10, seed: int = 0) -> PromptPairs:
        """Pairs of different words, none in two pairs.

        Args:
            n: How many pairs.
            states: ``"any"``: words as the process emits them, each once. ``"different"`` and ``"same"``: all words
                that there are, in an order drawn by chance, of which two and two lead to different belief states, or
                to the same one; only where these are finitely many.
            length: Number of symbols of each word.
            seed: Seed of the draw.

        Raises:
            ValueError: There are not as many pairs, or belief states are a continuum.
        """
        n, (states,) = check_whole(n, "n", 1, 10**5), check_names(states, ("any", "different", "same"), "states")
        if states == "any":
            drawn = self.process.sample(8 * n, length, seed=seed)
            words = drawn[np.sort(np.unique(drawn, axis=0, return_index=True)[1])]
            places = np.arange(len(words) // 2 * 2).reshape(-1, 2)
        else:
            words = np.random.default_rng(check_whole(seed, "seed")).permutation(self.process.words(length)[0])
            places = np.array(_couples(self.process.belief_labels(words).tolist(), states == "same"))
        if len(places) < n:
            raise ValueError(
                f"n={n}: of words of {length} symbols, {len(places)} such pairs can be made; ask for fewer."
            )
        a, b = (self.texts(words[side]) for side in places[:n].T)
        return from_text(self.model, list(zip(a, b, strict=True)))

    def sample_words(self, each: int, least: int, *, length: int = 10, seed: int = 0) -> xr.DataArray:
        """The same number of words for each belief state, and which it is.

        Args:
            each: Number of words for each state.
            least: Number of words that must lead to a state for it to be taken.
            length: Number of symbols of each word.
            seed: Seed of the draw.

        Returns:
            Dim ``prompt``: the belief state, as a row of :meth:`Process.belief_states`, with the words as ``text``.

        Raises:
            ValueError: Belief states are a continuum, or ``each`` is more than ``least``.
        """
        least = check_whole(least, "least", 1, 10**5)
        each = check_whole(each, "each", 1, least)
        words = np.random.default_rng(check_whole(seed, "seed")).permutation(self.process.words(length)[0])
        labels = self.process.belief_labels(words)
        large = np.flatnonzero(np.bincount(labels) >= least)
        chosen = np.concatenate([np.flatnonzero(labels == state)[:each] for state in large])
        coords = {"text": ("prompt", self.texts(words[chosen]))}
        return xr.DataArray(labels[chosen], coords, ("prompt",), "belief_state", {"long_name": "belief state"})


def hmm(
    name: str, *, run: int = 0, folder: str | Path | None = None, init: str = "pretrained", seed: int = 0
) -> HiddenMarkov:
    """A small transformer trained on a hidden Markov process, and the process: what it has to know is known exactly.

    Four blocks of width 64, trained by this project on words of 11 symbols, as Shai et al. 2024 (arXiv 2405.15943) did:
    8,000 steps of 64 words, AdamW. Of what can be learned beyond the frequencies of symbols, RRXOR's model misses 4%
    (predictions after 1 to 10 symbols) and that of Mess3 1% (after 1 to 8); see ``losses``. Weights are kept in 8 bits.

    Args:
        name: ``"rrxor"`` (two random bits and their exclusive or: 36 belief states) or ``"mess3"`` (a continuum).
        run: Number of the training run, which drew its weights and the order of its words: 0 to 3 are in the package.
            Run 0 was trained first, on a CPU, and the others on a GPU.
        folder: Holds more runs, of ``python -m srtoolkit.toy train rrxor --run 4``; ``None`` for the package's.
        init: ``"pretrained"``; ``"random"`` for weights as before training, which began with the run's number as seed;
            or a kind of :func:`srtoolkit.null_model`, such as ``"permuted"``.
        seed: Seed of what ``init`` draws.

    Raises:
        ValueError: There is no such process, run or kind of weights.
        CacheError: The weight file is missing, or is not the one that this release carries.
    """
    source, run = process(name), check_whole(run, "run", 0, 10**6)
    (init,), seed = check_names(init, INITS, "init"), check_whole(seed, "seed", 0, 2**63 - 1)
    settings = configuration(source.name, run)
    hf = initial_model(settings, seed)
    if init != "random":
        missing, unexpected = hf.load_state_dict(_weights(source.name, run, folder), strict=False)
        assert missing == ["lm_head.weight"] and not unexpected, (missing, unexpected)  # tied to the embedding
    kind = "random" if init == "random" else "pretrained"
    model = as_model(hf, _tokenizer(source), name=settings.name, init=kind, seed=seed)
    return HiddenMarkov(source, null_model(model, init, seed) if init in NULLS else model)


def _r2(
    x: Float[np.ndarray, "prompt d_model"],
    y: Float[np.ndarray, "prompt state"],
    new_x: Float[np.ndarray, "other d_model"],
    new_y: Float[np.ndarray, "other state"],
) -> float:
    """Share of the variance of new values that least squares on others explains.

    Activations after an early block differ in few directions. What is left in the others is rounding of float32, which
    the fit must not use.
    """
    rounding = np.finfo(np.float32).eps * max(x.shape)
    weights = np.linalg.lstsq(x - x.mean(0), y - y.mean(0), rcond=rounding)[0]
    rest = new_y - y.mean(0) - (new_x - x.mean(0)) @ weights
    return float(1 - (rest**2).sum() / ((new_y - new_y.mean(0)) ** 2).sum())


def _couples(labels: list[int], same: bool) -> list[tuple[int, int]]:
    """Places of two and two words: each goes with the first that waits and has the same label, or another one."""
    waiting: list[int] = []
    found = []
    for place, label in enumerate(labels):
        fits = (index for index, other in enumerate(waiting) if (labels[other] == label) == same)
        if (index := next(fits, None)) is None:
            waiting.append(place)
        else:
            found.append((waiting.pop(index), place))
    return found


def configuration(name: str, run: int = 0) -> Configuration:
    """Architecture and training of the model of a process.

    Args:
        name: Name of the process.
        run: Number of the training run.
    """
    first = parse((DATA / f"{name}.json").read_text(encoding="utf-8"))
    return replace(first, name=f"hmm-{run_name(name, run)}", seed=run)


def run_name(name: str, run: int) -> str:
    """What a training run's files and folder are called.

    Args:
        name: Name of the process.
        run: Number of the training run.
    """
    return f"{name}-run{run}" if run else name


def weight_file(name: str, run: int = 0) -> Path:
    """Where the package carries the weights of the model of a process.

    Args:
        name: Name of the process.
        run: Number of the training run.
    """
    return DATA / f"{run_name(name, run)}.safetensors"


def _weights(name: str, run: int, folder: str | Path | None) -> dict[str, Any]:
    """A model's weights in float32: of the package, by a file whose hash is the manifest's, or of a folder."""
    if folder is not None and run > CARRIED:
        path = Path(folder) / run_name(name, run) / f"step{configuration(name, run).steps}.safetensors"
        if not path.is_file():
            raise ValueError(f"folder={str(folder)!r}: there is no {path}; {_trained(name, run)}.")
        return dict(load(path.read_bytes()))
    if run > CARRIED:
        raise ValueError(
            f"run={run}: the package carries runs 0 to {CARRIED}; {_trained(name, run)}, and give folder=."
        )
    path = weight_file(name, run)
    if not path.is_file():
        raise disk.CacheError(f"{path} is missing; install srtoolkit again.")
    hashes.check_hash(path, json.loads((DATA / verified.MANIFEST).read_text())[path.name])
    return eight_bits.unpack(load(path.read_bytes()))


def _trained(name: str, run: int) -> str:
    return f"train it with 'python -m srtoolkit.toy train {name} --run {run}', which takes minutes"


def _tokenizer(source: Process) -> transformers.PreTrainedTokenizerFast:
    """One token for each symbol; anything else in a text is refused."""
    tokenizer = Tokenizer(models.WordLevel({symbol: index for index, symbol in enumerate(source.symbols)}))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")  # type: ignore[assignment]
    tokenizer.decoder = decoders.Fuse()  # type: ignore[assignment]
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer)

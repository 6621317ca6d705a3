"""Training a model of the nano suite: deterministic given its configuration, and resumable to the step."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import transformers
from jaxtyping import Float, Int, UInt16
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm

from srtoolkit.files import disk
from srtoolkit.suite.configuration import Configuration
from srtoolkit.suite.shipped import initial_model

#: How often the state of a run is written, so that a stopped run goes on from there.
SAVE_EVERY = 100
COLUMNS = ("step", "tokens", "train_loss", "held_out_loss", "seconds", "device")
_BETAS = (0.9, 0.95)
_INSTEAD = "train in another folder (--folder), with what this one holds copied into it"


def train(
    configuration: Configuration,
    train_tokens: UInt16[np.ndarray, " train_token"],
    held_out_tokens: UInt16[np.ndarray, " held_out_token"],
    folder: Path,
    until: int | None = None,
    device: str = "cpu",
) -> None:
    """Train a model from the start, or from where an earlier call with the same folder stopped.

    Writes ``step<n>.safetensors`` (float32) at the configuration's checkpoints, ``losses.csv`` with losses in nats a
    token and the device's name, and ``state.safetensors``, from which a stopped run goes on. Initial weights and the
    order of the data do not depend on the device; sums do, in their last digits.

    Args:
        configuration: Configuration of the model and its training.
        train_tokens: Token ids of the training split, as one stream.
        held_out_tokens: Token ids of the held-out split, as one stream.
        folder: Folder of the run.
        until: Stop before this step of the schedule; the last step where ``None``.
        device: Where to train: ``"cpu"``, ``"cuda"``. In float32 on either.

    Raises:
        ValueError: The folder holds a run that was begun on another device.
        DiskError: The disk is full, or the folder cannot be written; a later call goes on from the last state.
    """
    torch.set_num_threads(configuration.threads)
    torch.set_float32_matmul_precision("highest")  # no TF32 on a GPU
    folder.mkdir(parents=True, exist_ok=True)
    model = initial_model(configuration, configuration.seed)
    model.to(device)  # type: ignore[arg-type]  # transformers hides the signature
    optimizer = _optimizer(model, configuration)
    start, recent = _resume(folder / "state.safetensors", model, optimizer)
    rows = [row for row in _read_rows(folder / "losses.csv") if start and int(row["step"]) <= start]
    _check_device(rows, device_name(device), folder)
    seconds = float(rows[-1]["seconds"]) if rows else 0.0
    end = configuration.steps if until is None else min(until, configuration.steps)
    began = time.monotonic()
    for step in tqdm(range(start, end + 1), desc=configuration.name, initial=start, total=end + 1):
        if step in configuration.checkpoints and not (start and step == start):
            loss = held_out_loss(model, held_out_tokens, configuration.context)
            mean = sum(recent) / len(recent) if recent else float("nan")
            elapsed = seconds + time.monotonic() - began
            rows.append(_row(step, configuration, mean, loss, elapsed, device_name(device)))
            recent = []
            _write_rows(folder / "losses.csv", rows)
            _save(folder / f"step{step}.safetensors", _parameters(model))
        if step % SAVE_EVERY == 0 and step > start:
            _save_state(folder / "state.safetensors", model, optimizer, step, recent)
        if step == end:
            break
        windows = batch(train_tokens, configuration, step).to(device)
        recent.append(_update(model, optimizer, windows, configuration.learning_rate_at(step)))


def device_name(device: str) -> str:
    """What a run's log calls a device: the GPU's own name, or the device's type.

    Args:
        device: As PyTorch writes it.
    """
    return torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else torch.device(device).type


def _check_device(rows: list[dict[str, str]], device: str, folder: Path) -> None:
    """Refuse to go on elsewhere; a log without the column is of a CPU."""
    begun = rows[-1].get("device") or "cpu" if rows else device
    if begun != device:
        raise ValueError(f"{folder} holds a run begun on {begun!r}, and this is {device!r}; {_INSTEAD}.")


def batch(tokens: UInt16[np.ndarray, " token"], configuration: Configuration, step: int) -> Int[Tensor, "window pos"]:
    """The windows of one step: each epoch cuts the stream at another offset and shuffles the windows.

    Args:
        tokens: Token ids of the training split, as one stream.
        configuration: Configuration of the training, with seed, context and number of windows.
        step: Step of the schedule.
    """
    starts = window_starts(len(tokens), configuration, step)
    return torch.from_numpy(
        np.stack([tokens[start : start + configuration.context] for start in starts]).astype(np.int64)
    )


def window_starts(n_tokens: int, configuration: Configuration, step: int) -> Int[np.ndarray, " window"]:
    """Indices in the stream at which the windows of one step start.

    Args:
        n_tokens: Number of tokens of the stream.
        configuration: Configuration of the training, with seed, context and number of windows.
        step: Step of the schedule.
    """
    context, windows = configuration.context, n_tokens // configuration.context - 1
    epoch, place = divmod(step, windows // configuration.batch)
    seed = configuration.seed if configuration.order_seed is None else configuration.order_seed
    random = np.random.default_rng([seed, epoch])
    offset = int(random.integers(context))
    order = random.permutation(windows)
    return offset + context * order[place * configuration.batch : (place + 1) * configuration.batch]


@torch.no_grad()
def held_out_loss(model: transformers.LlamaForCausalLM, tokens: UInt16[np.ndarray, " token"], context: int) -> float:
    """Mean cross-entropy of the next token on a held-out stream, in nats a token.

    Args:
        model: The model.
        tokens: Token ids of the stream, which is cut into windows; a shorter rest is left out.
        context: Number of tokens of a window.
    """
    windows = torch.from_numpy(tokens[: len(tokens) // context * context].reshape(-1, context).astype(np.int64))
    losses = [_loss(model, part.to(model.device)).item() * len(part) for part in windows.split(64)]
    return sum(losses) / len(windows)


def _loss(model: transformers.LlamaForCausalLM, windows: Int[Tensor, "window pos"]) -> Float[Tensor, ""]:
    with _attention(windows):
        logits = model(input_ids=windows, use_cache=False).logits[:, :-1]
    return cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())


def _attention(windows: Tensor) -> contextlib.AbstractContextManager[None]:
    """On a GPU, attention by plain matrix products: fused kernels may round to TF32, and may sum in any order."""
    return sdpa_kernel(SDPBackend.MATH) if windows.is_cuda else contextlib.nullcontext()


def _update(
    model: transformers.LlamaForCausalLM,
    optimizer: torch.optim.Optimizer,
    windows: Int[Tensor, "window pos"],
    learning_rate: float,
) -> float:
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    loss = _loss(model, windows)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def _optimizer(model: transformers.LlamaForCausalLM, configuration: Configuration) -> torch.optim.AdamW:
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    groups = [
        {"params": matrices, "weight_decay": configuration.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=configuration.learning_rate, betas=_BETAS, fused=True)


def _parameters(model: transformers.LlamaForCausalLM) -> dict[str, Tensor]:
    return {name: parameter.detach().contiguous() for name, parameter in model.named_parameters()}


def _save(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    disk.write_whole(path, save({name: tensor.cpu() for name, tensor in tensors.items()}, metadata), _INSTEAD)


def _save_state(
    path: Path,
    model: transformers.LlamaForCausalLM,
    optimizer: torch.optim.Optimizer,
    step: int,
    recent: list[float],
) -> None:
    tensors: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        state = optimizer.state[parameter]
        tensors |= {name: parameter.detach(), f"{name}/mean": state["exp_avg"], f"{name}/square": state["exp_avg_sq"]}
    _save(path, tensors, {"step": str(step), "recent": json.dumps(recent)})


def _resume(
    path: Path, model: transformers.LlamaForCausalLM, optimizer: torch.optim.Optimizer
) -> tuple[int, list[float]]:
    """Read a stopped run's state into model and optimizer; its step, and its losses since the last kept checkpoint."""
    if not path.exists():
        return 0, []
    with safe_open(path, framework="pt") as file, torch.no_grad():
        step, recent = int(file.metadata()["step"]), json.loads(file.metadata()["recent"])
        for name, parameter in model.named_parameters():
            parameter.copy_(file.get_tensor(name))
            optimizer.state[parameter] = {
                "step": torch.tensor(float(step), device=parameter.device),  # a fused step reads it there
                "exp_avg": file.get_tensor(f"{name}/mean").to(parameter.device),
                "exp_avg_sq": file.get_tensor(f"{name}/square").to(parameter.device),
            }
    return step, recent


def _row(
    step: int, configuration: Configuration, train: float, held_out: float, seconds: float, device: str
) -> dict[str, str]:
    tokens = step * configuration.tokens_per_step
    cells = (str(step), str(tokens), f"{train:.4f}", f"{held_out:.4f}", f"{seconds:.0f}", device)
    return dict(zip(COLUMNS, cells, strict=True))


def _read_rows(path: Path) -> Iterator[dict[str, str]]:
    if path.exists():
        with path.open(newline="") as file:
            yield from csv.DictReader(file)


def _write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, COLUMNS)
    table.writeheader()
    table.writerows(rows)
    disk.write_whole(path, text.getvalue().encode(), _INSTEAD)

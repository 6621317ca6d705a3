"""Running a model on NDIF's servers, or rehearsing that here: the only place where nnsight's remote traces are made.

Weights and all that is as large stay on the server. What is sent is the source of one ``with`` block, token ids and
points; what comes back is what was read at the last position. Each call of :func:`srtoolkit.capture` or
:func:`srtoolkit.patch` is one session, one round trip, however many batches it has.

The blocks may name torch, nnsight and plain Python alone: the server has no srtoolkit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import nnsight
import torch
from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit import hub_errors
from srtoolkit.models import Model
from srtoolkit.weights import DTYPES, digest

#: What works on a model that runs elsewhere: whatever is made of :func:`srtoolkit.capture` and :func:`srtoolkit.patch`.
WORKS = (
    *("capture", "patch", "interpolate", "slice_plane", "slice_gates", "count_gate_flips", "locate_gate_flips"),
    *("next_tokens", "divergence", "noise_floor", "output_spread"),
)

#: What nnsight calls the rehearsal: the block is packed for the server, unpacked without what a server lacks, run here.
REHEARSAL = "local"


class RemoteError(ValueError):
    """A model that runs elsewhere cannot do this, or could not be reached; the message says which and what to do."""


def check_options(name: str, remote: bool | str, on_hub: bool, **options: tuple[Any, Any]) -> None:
    """Refuse what cannot be had of a model that runs elsewhere.

    Args:
        name: The model's.
        remote: Likewise, as :func:`srtoolkit.load_model` takes it.
        on_hub: Whether the name is a Hugging Face id.
        options: What was given, and the only value that there is, by name.

    Raises:
        RemoteError: The server has no such model, or decides itself on an option; or there is no key to it.
    """
    address = isinstance(remote, str) and remote.startswith(("http://", "https://")) and "@" not in remote
    if remote is not True and remote != REHEARSAL and not address:
        raise RemoteError(
            f"remote={hub_errors.without_secrets(str(remote))!r}: expected True for NDIF, the address of another such "
            f"server (https://..., without a password), {REHEARSAL!r} to rehearse on this machine, or False."
        )
    if not on_hub:
        raise RemoteError(f"remote: a server has models of the Hugging Face hub, and {name!r} is none.")
    for option, (given, only) in options.items():
        if given != only:
            raise RemoteError(
                f"{option}={given!r} with remote: the server holds the weights, so {option} is its own "
                f"affair; leave it out, or load {name!r} here."
            )
    key = nnsight.CONFIG.API.APIKEY = nnsight.CONFIG.API.APIKEY or os.environ.get("NDIF_API_KEY")
    if remote is True and not key:
        raise RemoteError(
            "remote=True needs a key to NDIF, and there is none. Get one at https://login.ndif.us, then set "
            f"NDIF_API_KEY or call nnsight.login(). remote={REHEARSAL!r} rehearses the same path here, without a key."
        )


def check_here(model: Model, what: str) -> None:
    """Refuse ``what`` where the model runs elsewhere.

    Args:
        model: From :func:`srtoolkit.load_model`.
        what: Function or option that needs the weights at hand.

    Raises:
        RemoteError: The model runs elsewhere.
    """
    if model.remote:
        raise RemoteError(
            f"{what} needs the model's weights on this machine, and {model.name} runs on {model.place}. There "
            f"work {', '.join(WORKS)}, with method='full' or 'auto'. For the rest, load it here: "
            f"load_model({model.name!r})."
        )


def check_method(model: Model, method: str) -> None:
    """Refuse patching methods that hold a cache, where the model runs elsewhere.

    Raises:
        RemoteError: It is one.
    """
    if method not in ("full", "auto"):
        check_here(model, f"method={method!r}, which holds keys and values between passes,")


def connect(
    name: str, revision: str | None, commit: str, config: Any, tokenizer: Any, dtype: str, remote: bool | str
) -> Any:
    """A model that lies on a server, as nnsight sees it; here it has shapes and no weights.

    Args:
        name: Id on the hub.
        revision: As asked for: a server knows a deployment by it.
        commit: What that resolved to, for the rehearsal, whose files were checked.
        config: The model's configuration.
        tokenizer: Its tokenizer.
        dtype: Number format of the rehearsal; a server has its own.
        remote: Where it runs.

    Raises:
        HubError: The hub, which nnsight asks how the name is spelled, does not answer.
    """
    rehearsal = remote == REHEARSAL
    nn = nnsight.TransformersModel(
        name,
        task="text-generation",  # else nnsight asks the hub
        revision=commit if rehearsal else revision,
        tokenizer=tokenizer,
        config=config,
        dtype=DTYPES[dtype],
    )
    if not rehearsal:
        try:
            nn.to_model_key()
        except Exception as error:  # the hub's client has a type of its own for each failure
            raise hub_errors.refusal(error, name, revision) from None
    return nn


def identify(model: Model) -> None:
    """Ask the server what it holds, in one round trip: the model's ``dtype`` and ``fingerprint`` are those found there.

    Raises:
        RemoteError: The server cannot be reached, does not have the model, or refuses.
    """
    if model.remote == REHEARSAL:
        model.nn.dispatch()  # a server has its weights loaded before it is asked
    samples: dict[str, tuple[tuple[int, ...], Tensor]] = _ask(model, _samples)
    dtype = next(values.dtype for _, values in samples.values() if values.is_floating_point())
    model.dtype = str(dtype).removeprefix("torch.")
    model.hf = model.hf.to(dtype)
    model.fingerprint = digest((path, shape, values) for path, (shape, values) in sorted(samples.items()))


def captured(
    model: Model, batches: Sequence[Int[Tensor, "_prompt pos"]], layer: int
) -> Float[Tensor, "prompt d_model"]:
    """Residual stream after block ``layer`` at the last position, read on the server.

    Args:
        model: One that runs elsewhere.
        batches: Token ids, as many prompts at a time as fit.
        layer: Block whose output is read.

    Raises:
        RemoteError: The server cannot be reached, or failed.
    """
    return torch.cat(_ask(model, _captured, batches, layer))


def patched(
    model: Model,
    context: Int[Tensor, "context pos"],
    points: Float[Tensor, "context point d_model"],
    layer: int,
    reads: Sequence[str],
    at_once: int,
) -> dict[str, Float[Tensor, "context point width"]]:
    """What was read at the last position with each point in its place, by whole passes on the server.

    Args:
        model: One that runs elsewhere.
        context: Token ids.
        points: What replaces the residual stream, at the last position.
        layer: Block whose output is replaced.
        reads: What to read; logits for log-probabilities.
        at_once: Points in one pass.

    Raises:
        RemoteError: The server cannot be reached, or failed.
    """
    n, k = points.shape[:2]
    rows = torch.arange(n).repeat_interleave(k).split(max(1, at_once))
    batches = list(zip(rows, points.flatten(0, 1).split(max(1, at_once)), strict=True))
    parts = _ask(model, _patched, context, batches, layer, reads)
    return {name: torch.cat([part[name] for part in parts]).unflatten(0, (n, k)) for name in parts[0]}


def _ask(model: Model, question: Callable[..., Any], *arguments: Any) -> Any:
    """A question to the server, with failures in the reader's terms and without the key in them."""
    try:
        return question(model, *arguments)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # nnsight, its HTTP and its websocket client each have types of their own
        said = hub_errors.without_secrets(str(error))
        key = nnsight.CONFIG.API.APIKEY
        said = said.replace(key, "<key>") if key else said
        if getattr(error, "status_code", None) in (401, 403):
            advice = "It does not accept the key in NDIF_API_KEY; nnsight.login() takes another."
        elif "out of memory" in said:
            advice = f"Smaller batches may fit: model.memory_budget //= 4 (it is {model.memory_budget:,} bytes)."
        elif isinstance(error, OSError) or type(error).__name__.startswith("WebSocket"):
            advice = "There is no connection: check the network and the proxy settings."
        else:
            advice = (
                "nnsight.status() lists what NDIF has loaded; a model or revision that is not there must be asked for."
            )
        at = f"revision {model.revision!r} of {model.name!r}" if model.revision else repr(model.name)
        raise RemoteError(f"{at} did not run on {model.place}. {advice} It said: {said[-600:]}") from None


# --- what runs on the server -----------------------------------------------------------------------------------------
# Nothing of srtoolkit inside the sessions. A session with remote= ships whole, so its traces are local to the server,
# and may be of the base model, which spares the unembedding.


def _samples(model: Model) -> dict[str, tuple[tuple[int, ...], Tensor]]:
    """Shape and up to 4,096 evenly spaced values of every parameter, as ``weight_fingerprint`` takes them."""
    nn, token = model.nn, torch.full((1, 1), model.vocab_size - 1)
    with nn.session(remote=model.remote):
        found = nnsight.save({})
        with nn.trace(input_ids=token, use_cache=False):
            for path, parameter in nn.named_parameters():
                flat = parameter.detach().reshape(-1)
                sample = flat[:: max(1, flat.numel() // 4096)][:4096]
                found[path] = (tuple(parameter.shape), sample.to("cpu", copy=True))
    return dict(found)


def _captured(model: Model, batches: Sequence[Tensor], layer: int) -> list[Tensor]:
    base, blocks = model.nn.get(model.anatomy.base), list(model.nn.get(model.anatomy.blocks))
    block, behind = blocks[layer], blocks[layer + 1 :]
    with model.nn.session(remote=model.remote):
        found = nnsight.save([])
        with torch.no_grad():
            for ids in batches:
                with base.trace(input_ids=ids, use_cache=False):
                    output = block.output
                    stream = output if torch.is_tensor(output) else output[0]
                    found.append(stream[:, -1].to("cpu", copy=True))
                    for later in behind:
                        later.skip(output)
    return list(found)


def _patched(
    model: Model, context: Tensor, batches: Sequence[tuple[Tensor, Tensor]], layer: int, reads: Sequence[str]
) -> list[dict[str, Tensor]]:
    nn, anatomy = model.nn, model.anatomy
    whole = "logits" in reads or "logprobs" in reads
    root = nn if whole else nn.get(anatomy.base)
    options = {"logits_to_keep": 1} if whole and "logits_to_keep" in model.forward_arguments else {}
    blocks, norm = list(nn.get(anatomy.blocks)), nn.get(anatomy.final_norm)
    block, last = blocks[layer], blocks[-1]
    gates = [one.get(anatomy.gate) for one in blocks[layer + 1 :]] if "gates" in reads else []
    halves = 2 if anatomy.gate_is_fused else 1
    resid, final_norm = "resid" in reads, "final_norm" in reads
    with nn.session(remote=model.remote):
        found = nnsight.save([])
        with torch.no_grad():
            for rows, points in batches:
                with root.trace(input_ids=context[rows], use_cache=False, **options):
                    read = {}
                    output = block.output
                    stream = output if torch.is_tensor(output) else output[0]
                    stream[:, -1] = points.to(stream)
                    open_at = []
                    for gate in gates:
                        values = gate.output
                        values = values.reshape(len(rows), -1, values.shape[-1])[:, -1]  # OPT flattens rows
                        open_at.append(values[:, : values.shape[-1] // halves].cpu())
                    if open_at:
                        read["gates"] = torch.cat(open_at, dim=-1)
                    if resid:
                        output = last.output
                        stream = output if torch.is_tensor(output) else output[0]
                        read["resid"] = stream[:, -1].to("cpu", copy=True)
                    if final_norm:
                        read["final_norm"] = norm.output[:, -1].to("cpu", copy=True)
                    if whole:
                        read["logits"] = root.output.logits[:, -1].to("cpu", copy=True)
                    found.append(read)
    return list(found)

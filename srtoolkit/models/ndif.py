"""Models that run on NDIF's servers, or rehearse that on this machine: what works there, and what failures mean.

The weights stay on the server, and so do the activations. What is sent is the source of one ``with`` block, token ids
and points; what comes back is what was read at one position. Each call of :func:`srtoolkit.capture` or
:func:`srtoolkit.patch` is one session, one round trip, however many batches it has.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import nnsight
import torch
from torch import Tensor

from srtoolkit.models.hub import errors as hub_errors
from srtoolkit.models.model import Model
from srtoolkit.models.weights import DTYPES, digest

#: Functions that work on a model on a server: those made of :func:`srtoolkit.capture` and :func:`srtoolkit.patch`.
WORKS = (
    *("capture", "patch", "interpolate", "count_gate_flips", "locate_gate_flips", "layer_map", "continuation"),
    *("lay_out", "slice_plane", "slice_gates", "slice_predictions", "line_on_plane"),
    *(
        "next_tokens",
        "divergence",
        "count_regions",
        "noise_floor",
        "noise_growth",
        "output_spread",
        "path_cosine",
        "perturb",
        "radius",
    ),
)

#: What nnsight calls the rehearsal: the block is packed for the server, unpacked without what a server lacks, run here.
REHEARSAL = "local"


class RemoteError(ValueError):
    """A model that runs elsewhere cannot do this, or could not be reached; the message says which and what to do."""


def check_options(name: str, remote: bool | str, on_hub: bool, **options: tuple[Any, Any]) -> None:
    """Refuse options that a model on a server cannot have.

    Args:
        name: Name of the model.
        remote: Where the model runs, as :func:`srtoolkit.load_model` takes it.
        on_hub: Whether the name is a Hugging Face id.
        options: By name of the option, the value that was given and the only value that a server allows.

    Raises:
        RemoteError: ``remote`` is no place to run, the model is not on the hub, the server decides on an option itself,
            or there is no key.
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
    key = server_key(os.environ.get("NDIF_API_KEY"))
    if remote is True and not key:
        raise RemoteError(
            "remote=True needs a key to NDIF, and there is none. Get one at https://login.ndif.us, then set "
            f"NDIF_API_KEY or call nnsight.login(). remote={REHEARSAL!r} rehearses the same path here, without a key."
        )


def check_here(model: Model, what: str) -> None:
    """Refuse to do something with a model on a server that needs the weights on this machine.

    Args:
        model: From :func:`srtoolkit.load_model`.
        what: The function or option that needs the weights, as the error message names it.

    Raises:
        RemoteError: The model runs on a server.
    """
    if model.remote:
        raise RemoteError(
            f"{what} needs the model's weights on this machine, and {model.name} runs on {model.place}. There "
            f"work {', '.join(WORKS)}, with method='full' or 'auto'. For the rest, load it here: "
            f"load_model({model.name!r})."
        )


def check_method(model: Model, method: str) -> None:
    """Refuse patching methods that run a prompt in parts, for a model on a server.

    Args:
        model: From :func:`srtoolkit.load_model`.
        method: Name of the patching method.

    Raises:
        RemoteError: The model runs on a server, and the method is neither ``"full"`` nor ``"auto"``.
    """
    if method not in ("full", "auto"):
        check_here(model, f"method={method!r}, which runs a prompt in parts,")


def connect(
    name: str, revision: str | None, commit: str, config: Any, tokenizer: Any, dtype: str, remote: bool | str
) -> Any:
    """A model on a server as nnsight sees it, with shapes and no weights on this machine.

    Args:
        name: Id of the repository on the hub.
        revision: Branch, tag or commit that was asked for, by which a server knows a deployment.
        commit: The commit that it resolved to, which a rehearsal loads.
        config: The model's configuration.
        tokenizer: The model's tokenizer.
        dtype: Name of the number format of a rehearsal; a server has its own.
        remote: Where the model runs, as :func:`srtoolkit.load_model` takes it.

    Raises:
        HubError: The hub, which nnsight asks how the name is spelled, does not answer.
    """
    rehearsal = remote == REHEARSAL
    try:
        return served(name, commit if rehearsal else revision, config, tokenizer, DTYPES[dtype], not rehearsal)
    except Exception as error:  # the hub's client has a type of its own for each failure
        if rehearsal:
            raise
        raise hub_errors.refusal(error, name, revision) from None


def identify(model: Model) -> None:
    """Set a model's number format and fingerprint to those of the weights on the server, in one round trip.

    Args:
        model: A model that runs on a server.

    Raises:
        RemoteError: The server cannot be reached, does not have the model, or refuses.
    """
    if model.remote == REHEARSAL:
        model.nn.dispatch()  # a server has its weights loaded before it is asked
    samples: dict[str, tuple[tuple[int, ...], Tensor]] = ask(model, served_weights)
    dtype = next(values.dtype for _, values in samples.values() if values.is_floating_point())
    model.dtype = str(dtype).removeprefix("torch.")
    model.hf = model.hf.to(dtype)
    model.known_fingerprint = digest((path, shape, values) for path, (shape, values) in sorted(samples.items()))


def ask(model: Model, question: Callable[..., Any], *arguments: Any) -> Any:
    """The answer of a server to a question; failures say what to do, and never hold the key.

    Args:
        model: A model that runs on a server.
        question: Function that takes the model and the arguments, and asks the server in one session.
        arguments: Further arguments of the question.

    Raises:
        RemoteError: The server cannot be reached, or failed.
    """
    try:
        return question(model, *arguments)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # nnsight, its HTTP and its websocket client each have types of their own
        said = hub_errors.without_secrets(str(error))
        key = server_key()
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


def served(
    name: str, revision: str | None, config: Any, tokenizer: Any, dtype: torch.dtype, ask_hub: bool = True
) -> nnsight.TransformersModel:
    """A model on a server as nnsight sees it, with shapes and no weights on this machine.

    Args:
        name: Id of the repository on the hub.
        revision: Branch, tag or commit, by which a server knows a deployment.
        config: The model's configuration.
        tokenizer: The model's tokenizer.
        dtype: Number format in which a rehearsal loads the weights.
        ask_hub: Ask the hub for the exact spelling of the name, by which a server knows the model.
    """
    # With a task, or else nnsight asks the hub for it.
    nn = nnsight.TransformersModel(
        name, task="text-generation", revision=revision, tokenizer=tokenizer, config=config, dtype=dtype
    )
    if ask_hub:
        nn.to_model_key()
    return nn


def server_key(given: str | None = None) -> str | None:
    """The key that nnsight sends to servers, or ``None``.

    Args:
        given: The key to use from now on where nnsight has none.
    """
    nnsight.CONFIG.API.APIKEY = nnsight.CONFIG.API.APIKEY or given
    return nnsight.CONFIG.API.APIKEY


def served_weights(model: Model) -> dict[str, tuple[tuple[int, ...], Tensor]]:
    """Shape and up to 4,096 evenly spaced values of every parameter by its path, in one round trip to the server.

    The values are those that ``weight_fingerprint`` samples, which cannot run on the server: it has no srtoolkit.

    Args:
        model: A model that runs on a server.
    """
    nn, token = model.nn, torch.full((1, 1), model.vocab_size - 1)
    with nn.session(remote=model.remote):
        found = nnsight.save({})
        with nn.trace(input_ids=token, use_cache=False):
            for path, parameter in nn.named_parameters():
                flat = parameter.detach().reshape(-1)
                sample = flat[:: max(1, flat.numel() // 4096)][:4096]
                found[path] = (tuple(parameter.shape), sample.to("cpu", copy=True))
    return dict(found)

"""Loading a model: packaged, from a local directory, or from the Hugging Face hub at any revision.

The model and its tokenizer are loaded with transformers and only then wrapped; nnsight's own loading is not used, so
one set of rules (revisions, dtypes, devices, offline) holds for every source. What comes from the hub is fetched and
checked first, and transformers then reads one commit from the cache.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
import transformers

from srtoolkit.models import ndif, smollm2, weights
from srtoolkit.models.anatomy import find_anatomy
from srtoolkit.models.hub import downloads
from srtoolkit.models.hub.cache import is_hub_id
from srtoolkit.models.model import Model
from srtoolkit.models.weights import DTYPES
from srtoolkit.suite import shipped
from srtoolkit.suite.configuration import configuration
from srtoolkit.suite.configuration import names as suite_names

INITS = ("pretrained", "random")

logger = logging.getLogger(__name__)


def load_model(
    name: str,
    *,
    revision: str | None = None,
    init: str = "pretrained",
    dtype: str = "float32",
    device: str = "auto",
    device_map: Any = None,
    max_memory: dict[int | str, int | str] | None = None,
    offload_folder: str | Path | None = None,
    seed: int = 0,
    remote: bool | str = False,
    trust_remote_code: bool = False,
) -> Model:
    """Load a causal language model for patching.

    Args:
        name: A packaged name (see :func:`srtoolkit.available_models`), a Hugging Face id, or a local directory.
        revision: Branch, tag or commit of a Hugging Face id; training checkpoints are revisions, of the nano suite's
            models, too (``"step800"``).
        init: ``"pretrained"``, or ``"random"`` for the same architecture with fresh weights drawn from ``seed``.
        dtype: ``"float32"`` as in the paper; ``"bfloat16"`` and ``"float16"`` trade exactness for memory, and
            :func:`srtoolkit.noise_floor` says how much.
        device: ``"auto"`` takes CUDA, then MPS, then the CPU; or any torch device.
        device_map: For pretrained models that need several devices, as transformers takes it: ``"auto"`` fills the GPUs
            in turn, then the memory, then the disk; a mapping from module paths to devices, ``"cpu"`` or ``"disk"``
            says what goes where. Weights that are not on a device are fetched for each pass, which is slow.
        max_memory: Most bytes of each device that ``device_map="auto"`` may fill, as ``{0: "20GiB", "cpu": "60GiB"}``.
        offload_folder: Where weights go that are offloaded to the disk and cannot be read from where they lie.
        seed: Seed of ``init="random"``.
        remote: ``True`` runs a model of the hub on NDIF's servers: nothing but its configuration and tokenizer is
            fetched, its number format is the server's own, and it works with every measurement that is made of
            :func:`srtoolkit.capture` and :func:`srtoolkit.patch`; the others refuse. Needs a key in ``NDIF_API_KEY``,
            and trusts the server: nnsight unpickles its answers. ``"local"`` rehearses the same path on this machine;
            an address is that of another server of the kind.
        trust_remote_code: Run Python files that the model's repository or directory brings along, where transformers
            does not know the architecture. They may do whatever you may do: read your files, use your network. Only
            for code that you have read, at a ``revision`` that is a commit, so that it stays what you have read.

    Raises:
        ValueError: The name, revision or an option is unknown, or the model is no causal decoder.
        HubError: A ValueError of the hub: no such model or revision, no leave, no answer, or files that fail their
            hash; the message says which and what to do.
        RemoteError: A ValueError of ``remote``: no key, no connection, no such model there, or an option that the
            server decides on.
        DiskError: A cache is full or cannot be written; of a packaged model a CacheError, which says too that it cannot
            be fetched. The message says how much is needed, where, and which variable moves it.
    """
    if init not in INITS:
        raise ValueError(f"init={init!r} is not one of {INITS}.")
    if dtype not in DTYPES:
        raise ValueError(f"dtype={dtype!r} is not one of {tuple(DTYPES)}.")
    if remote:
        ndif.check_options(
            name,
            remote,
            is_hub_id(name),
            init=(init, "pretrained"),
            device=(device, "auto"),
            device_map=(device_map, None),
            max_memory=(max_memory, None),
            offload_folder=(offload_folder, None),
            trust_remote_code=(trust_remote_code, False),
        )
        return _load_remote(name, revision, dtype, remote)
    limits = {"max_memory": max_memory, "offload_folder": offload_folder}
    placed = {key: value for key, value in limits.items() if value is not None}
    _check_placement(name, init, device, device_map, placed)
    if name in suite_names():
        return _load_from_suite(name, revision, init, dtype, device, seed)
    source = _source(name, revision)
    snapshot = downloads.snapshot(name, revision) if is_hub_id(name) else None
    what = f"revision {revision!r} of {name!r}" if revision else repr(name)
    given: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    if snapshot is not None:
        snapshot.fetch_texts(code=trust_remote_code)
        given |= {"revision": snapshot.commit, "local_files_only": True}
    config = _from_source(transformers.AutoConfig, what, source, **given)
    _refuse_encoders(name, config)
    with weights.without_bars():
        tokenizer = _from_source(transformers.AutoTokenizer, what, source, **given)
        if init == "random":
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                hf = transformers.AutoModelForCausalLM.from_config(
                    config, dtype=DTYPES[dtype], trust_remote_code=trust_remote_code
                )
        else:
            if snapshot is not None:
                snapshot.fetch_weights()
            options = {"dtype": DTYPES[dtype], "device_map": device_map, **placed, **given}
            hf = _from_source(transformers.AutoModelForCausalLM, what, source, **options)
    if device_map is None:
        hf = hf.to(pick_device(device))
    else:
        _refuse_torn(name, hf)
    hf.eval().requires_grad_(False)
    return Model(
        name=name,
        hf=hf,
        tokenizer=tokenizer,
        revision=revision,
        commit=snapshot.commit if snapshot is not None else None,
        init=init,
        seed=seed,
        dtype=dtype,
        own_code=any(_brought_along(part) for part in (config, tokenizer, hf)),
        anatomy=find_anatomy(hf, config.get_text_config().num_hidden_layers, name),
    )


def _load_remote(name: str, revision: str | None, dtype: str, remote: bool | str) -> Model:
    """A model whose weights lie on a server: here it has its configuration and tokenizer."""
    snapshot = downloads.snapshot(name, revision)
    snapshot.fetch_texts()
    if remote == ndif.REHEARSAL:
        snapshot.fetch_weights()
    what = f"revision {revision!r} of {name!r}" if revision else repr(name)
    given = {"trust_remote_code": False, "revision": snapshot.commit, "local_files_only": True}
    config = _from_source(transformers.AutoConfig, what, name, **given)
    _refuse_encoders(name, config)
    tokenizer = _from_source(transformers.AutoTokenizer, what, name, **given)
    nn = ndif.connect(name, revision, snapshot.commit, config, tokenizer, dtype, remote)
    model = Model(
        name=name,
        hf=nn._module,
        tokenizer=tokenizer,
        revision=revision,
        commit=snapshot.commit,
        init="pretrained",
        seed=0,
        dtype=dtype,
        anatomy=find_anatomy(nn._module, config.get_text_config().num_hidden_layers, name),
        remote=remote,
        nn=nn,
    )
    ndif.identify(model)
    if model.dtype != dtype:
        logger.warning("%s: the server holds it in %s, not in %s.", name, model.dtype, dtype)
    return model


def _check_placement(name: str, init: str, device: str, device_map: Any, placed: dict[str, Any]) -> None:
    """Refuse what says twice, or in vain, where the weights go."""
    if device_map is None and placed:
        raise ValueError(f"{', '.join(placed)}: only device_map='auto' or another device_map makes use of it.")
    if device_map is None:
        return
    if device != "auto":
        raise ValueError(f"device={device!r} and device_map={device_map!r}: give one of them.")
    if init == "random" or name in suite_names():
        what = "init='random'" if init == "random" else repr(name)
        raise ValueError(f"device_map={device_map!r}: {what} is made on one device; leave device_map out, use device.")


def _refuse_torn(name: str, hf: Any) -> None:
    """Refuse a device_map that offloads one of two modules which share a tensor: it would be fetched in vain."""
    ends = [hf.get_input_embeddings(), hf.get_output_embeddings()]
    if None in ends or ends[0].weight is not ends[1].weight:
        return
    paths = [next(path for path, module in hf.named_modules() if module is end) for end in ends]
    places = {str(_place(path, getattr(hf, "hf_device_map", {}))) for path in paths}
    if len(places) > 1 and places & {"cpu", "disk"}:
        raise ValueError(f"{name}: {paths[0]!r} and {paths[1]!r} are one tensor; send both to one place in device_map.")


def _place(path: str, device_map: dict[str, Any]) -> Any:
    """Where a module is, by the longest path in ``device_map`` that leads to it."""
    leading = [key for key in device_map if not key or path == key or path.startswith(f"{key}.")]
    return device_map[max(leading, key=len)] if leading else None


def _load_from_suite(name: str, revision: str | None, init: str, dtype: str, device: str, seed: int) -> Model:
    """A model of the nano suite, whose files lie in the package."""
    if init == "random":
        if revision is not None:
            raise ValueError(
                f"{name}: init='random' has no training, so no revision={revision!r}; leave one of them out."
            )
        hf = shipped.initial_model(configuration(name), seed)
    else:
        revision = revision or shipped.revisions(name)[-1]
        hf = shipped.load_suite_model(name, revision)
    hf = hf.to(device=pick_device(device), dtype=DTYPES[dtype])  # type: ignore[call-arg]
    hf.eval().requires_grad_(False)
    return Model(
        name=name,
        hf=hf,
        tokenizer=shipped.load_suite_tokenizer(),
        revision=revision,
        commit=None,
        init=init,
        seed=seed,
        dtype=dtype,
        anatomy=find_anatomy(hf, configuration(name).blocks, name),
    )


def _source(name: str, revision: str | None) -> str:
    """What transformers is given for ``name``: a directory or a hub id."""
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"a model name must be a non-empty string, not {name!r}; srt.available_models() lists some.")
    if name in smollm2.PACKAGED or Path(name).is_dir():
        if revision is not None:
            raise ValueError(f"{name}: revision={revision!r}, but this model has one version only; leave revision out.")
        return str(smollm2.packaged_directory(name)) if name in smollm2.PACKAGED else name
    return name


_DIRECTORY_HINT = "A model's directory holds config.json, the tokenizer's files and *.safetensors."
_CACHE_HINT = "Its files were fetched as the hub lists them, or lie in the cache."


def _from_source(factory: Any, what: str, source: str, **options: Any) -> Any:
    """``factory.from_pretrained``, with failures said in the reader's terms."""
    try:
        return factory.from_pretrained(source, **options)
    except Exception as error:  # families and file formats each fail with a type of their own
        if not options["trust_remote_code"] and "trust_remote_code" in str(error):
            raise ValueError(
                f"cannot load {what}: transformers does not know this architecture, and the model brings Python code "
                "of its own, which was not run. Such code may do whatever you may do: read your files, use your "
                "network. Read it first; load_model(..., revision=<the commit you read>, trust_remote_code=True) "
                "then runs it."
            ) from error
        hint = _DIRECTORY_HINT if Path(source).is_dir() else _CACHE_HINT
        raise ValueError(f"cannot load {what}. {hint} transformers said: {str(error)[:600]}") from error


def _refuse_encoders(name: str, config: Any) -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as MASKED

    kind = config.model_type
    text_kind = config.get_text_config().model_type
    if getattr(config, "is_encoder_decoder", False):
        raise ValueError(
            f"{name}: {kind!r} is an encoder-decoder; srtoolkit needs a decoder that predicts the next token."
        )
    own_class = "AutoModelForCausalLM" in (getattr(config, "auto_map", None) or {})
    if kind not in CAUSAL and text_kind not in CAUSAL and not own_class:
        raise ValueError(
            f"{name}: {kind!r} is not a causal language model; srtoolkit needs a decoder that predicts the next token."
        )
    if kind in MASKED and not getattr(config, "is_decoder", False):
        raise ValueError(
            f"{name}: {kind!r} is an encoder: its tokens see those after them. "
            "srtoolkit needs a decoder that predicts the next token."
        )


def _brought_along(part: Any) -> bool:
    """Whether this object's class is of a model's own code, which transformers imports under a name of its own."""
    return type(part).__module__.partition(".")[0] == "transformers_modules"


def pick_device(device: str) -> torch.device:
    if device != "auto":
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")

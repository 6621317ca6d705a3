"""From a transformers model to the model that every measurement takes, whether it was loaded here or given."""

from __future__ import annotations

from typing import Any

import transformers

from srtoolkit.models.anatomy import find_anatomy
from srtoolkit.models.checks import check_causal, check_stream
from srtoolkit.models.decoders import check_decoder
from srtoolkit.models.model import Model


def wrap(hf_model: Any, tokenizer: Any, *, name: str, revision: str | None = None) -> Model:
    """A transformers model that is in memory already, ready for patching: edited, fine-tuned, merged or quantised.

    The model is used as it is, where it is, and in its own number format. It is not copied: it is put into evaluation
    mode, and its parameters stop asking for gradients. You may go on editing its weights; the fingerprint in a result
    is computed from the weights as they are when the measurement ends. It samples at most 4,096 evenly spaced values of
    each tensor, so an edit of a few single values can escape it.

    Args:
        hf_model: A ``transformers.PreTrainedModel`` with a language modelling head.
        tokenizer: The model's transformers tokenizer; ``None`` if you only ever give token ids.
        name: Name of the model in results.
        revision: Name of this version of the model in results, such as ``"edited"`` or ``"step400"``.

    Returns:
        The model. Its results say ``init="given"``: its weights cannot be loaded by its name. :func:`srtoolkit.sweep`
        loads models by name; to sweep over this one, save it with ``save_pretrained`` and give the folder.

    Raises:
        TypeError: ``hf_model`` is no transformers model, ``tokenizer`` is no tokenizer, or ``name`` is no string.
        ValueError: The model is no causal decoder with one vector a token, or its blocks cannot be found.
    """
    if not isinstance(name, str) or not name.strip():
        raise TypeError(f"name={name!r}: expected what results are to call the model, a string that is not empty.")
    if not isinstance(hf_model, transformers.PreTrainedModel):
        kind = f"{type(hf_model).__module__}.{type(hf_model).__name__}"
        raise TypeError(
            f"{name}: expected a transformers.PreTrainedModel, got a {kind}. What load_model gives is wrapped already; "
            "a PEFT model becomes one by merge_and_unload()."
        )
    if tokenizer is not None and not isinstance(tokenizer, transformers.PreTrainedTokenizerBase):
        raise TypeError(
            f"{name}: expected a transformers tokenizer, or None to work with token ids only; got a "
            f"{type(tokenizer).__name__}. transformers.AutoTokenizer.from_pretrained(...) makes one."
        )
    check_decoder(hf_model.config, name)
    return as_model(hf_model, tokenizer, name=name, revision=revision, init="given")


def as_model(hf: Any, tokenizer: Any, *, name: str, dtype: str | None = None, **known: Any) -> Model:
    """A :class:`srtoolkit.Model` of a transformers model, which is put into evaluation mode, without gradients.

    Args:
        hf: The transformers model, already known to be a causal decoder.
        tokenizer: The model's tokenizer, or ``None``.
        name: Name of the model.
        dtype: Name of the number format; where ``None``, that of the weights.
        known: Further fields of :class:`srtoolkit.Model`, such as ``revision``.

    Raises:
        ValueError: A part of the model cannot be found, its residual stream is not one vector a token, or its tokens
            see those after them.
    """
    anatomy = find_anatomy(hf, hf.config.get_text_config().num_hidden_layers, name)
    model = Model(
        name=name,
        hf=hf.eval().requires_grad_(False),
        tokenizer=tokenizer,
        dtype=dtype or str(hf.dtype).removeprefix("torch."),
        anatomy=anatomy,
        own_code=any(_brought_along(part) for part in (hf.config, tokenizer, hf)),
        **{"revision": None, "commit": None, "seed": 0, **known},
    )
    check_stream(model)
    check_causal(model)
    return model


def _brought_along(part: Any) -> bool:
    """Whether this object's class is of a model's own code, which transformers imports under a name of its own."""
    return type(part).__module__.partition(".")[0] == "transformers_modules"

"""How to load a model, whatever its source: with which weights, in which number format, on which device."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from srtoolkit.models.placement import Placement
from srtoolkit.models.weights import DTYPES

#: Null models that are made of the pretrained weights; :func:`srtoolkit.null_model` says what each keeps.
NULLS = ("permuted", "permuted_behind", "mlp", "attention", "spectrum", "gain")

INITS = ("pretrained", "random", *NULLS)


@dataclass(frozen=True)
class Options:
    """The options of :func:`srtoolkit.load_model` that hold for every source.

    Attributes:
        init: ``"pretrained"``, ``"random"`` for weights drawn from ``seed``, or one of ``NULLS``.
        dtype: Name of the number format.
        seed: Seed of what is drawn, where ``init`` is not ``"pretrained"``.
        trust_remote_code: Whether Python files that the model brings along may run.
        placement: On which devices the weights go.
        allow_missing: Whether weights that the checkpoint lacks may be drawn from ``seed``.
        accept_terms: Whether the terms of use are accepted that the weights may have.

    Raises:
        TypeError: ``accept_terms`` is neither ``True`` nor ``False``: no other value accepts anything.
        ValueError: ``init`` or ``dtype`` is unknown.
    """

    init: str = "pretrained"
    dtype: str = "float32"
    seed: int = 0
    trust_remote_code: bool = False
    placement: Placement = field(default_factory=Placement)
    allow_missing: bool = False
    accept_terms: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.accept_terms, bool):
            raise TypeError(f"accept_terms={self.accept_terms!r}: expected one of True and False.")
        if self.init not in INITS:
            raise ValueError(f"init={self.init!r} is not one of {INITS}.")
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype={self.dtype!r} is not one of {tuple(DTYPES)}.")

    def check(self) -> None:
        """Refuse options that contradict each other, or that have no effect.

        Raises:
            ValueError: The placement contradicts itself, or random weights were to be spread over devices or to be read
                from a checkpoint.
        """
        self.placement.check()
        if self.init == "random":
            self.placement.refuse_map("init='random'")
            if self.allow_missing:
                raise ValueError("allow_missing=True with init='random': no checkpoint is read, so leave it out.")

    def left_to_server(self) -> dict[str, tuple[Any, Any]]:
        """The options that a server decides on itself: by name, the value given and the only value allowed."""
        return {
            "init": (self.init, "pretrained"),
            "device": (self.placement.device, "auto"),
            "device_map": (self.placement.device_map, None),
            "max_memory": (self.placement.max_memory, None),
            "offload_folder": (self.placement.offload_folder, None),
            "trust_remote_code": (self.trust_remote_code, False),
            "allow_missing": (self.allow_missing, False),
        }

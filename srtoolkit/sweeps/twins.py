"""Models of a sweep that share weights: one model under two names, or checkpoints that differ in some tensors only."""

from __future__ import annotations

from collections.abc import Mapping

from srtoolkit.models.model import Model
from srtoolkit.models.weights import tensor_digests

#: Attribute of a result in a store with the digests of its model's tensors.
TENSORS = "tensors"

#: Share of a model's weights from which on it is said that another model has them, too.
_MANY = 0.5


def listed(model: Model) -> str:
    """A digest and the number of values of each weight tensor, as one text; empty for weights on a server.

    Args:
        model: The model.
    """
    if model.remote:
        return ""
    return " ".join(f"{digest}:{count}" for digest, count in sorted(tensor_digests(model.hf).items()))


def shared(tensors: Mapping[str, str]) -> dict[str, str]:
    """In words, which earlier model has half or more of a model's weights, tensor by tensor; empty where none has.

    A tensor counts as shared if its name, shape and sampled values are the same, and by its number of values: norms,
    which start alike everywhere, count for little.

    Args:
        tensors: Texts of :func:`listed` by the models' labels, in order.
    """
    before: dict[str, dict[str, int]] = {}
    found = {}
    for name, text in tensors.items():
        own = {digest: int(count) for digest, _, count in (part.partition(":") for part in text.split())}
        total = sum(own.values())
        held = {other: sum(own[digest] for digest in own.keys() & theirs) for other, theirs in before.items()}
        most = max(held, key=held.__getitem__, default="")
        alike = total and most and held[most] >= _MANY * total
        # Rounded down: 100% are all.
        found[name] = f"{100 * held[most] // total}% of its weights are those of {most}" if alike else ""
        before[name] = own
    return found

"""Where a model's weights go: on one device, or spread over several, the memory and the disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


def pick_device(device: str) -> torch.device:
    """The torch device of a name.

    Args:
        device: A torch device, or ``"auto"`` for the first that is there of CUDA, MPS and the CPU.

    Raises:
        ValueError: torch knows no such device, or sees none on this machine.
    """
    if device != "auto":
        return _existing(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _existing(device: str) -> torch.device:
    try:
        found = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device={device!r}: expected 'auto', 'cpu', 'cuda', 'cuda:1' and so on, or 'mps'.") from None
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        seen = torch.cuda.device_count()
        why = "is built without CUDA" if torch.version.cuda is None else f"sees {seen} CUDA devices, counted from 0"
        raise ValueError(f"device={device!r}: torch {torch.__version__} {why}; device='auto' takes what is there.")
    if found.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError(f"device={device!r}: torch sees no Apple GPU here; device='auto' takes what is there.")
    return found


@dataclass(frozen=True)
class Placement:
    """Where a model's weights go, as the arguments of :func:`srtoolkit.load_model` say.

    Attributes:
        device: The one device of all weights; ``"auto"`` picks it.
        device_map: Which module goes to which device, as transformers takes it.
        max_memory: Most bytes of each device that ``device_map="auto"`` may fill.
        offload_folder: Folder for weights that are offloaded to the disk.
    """

    device: str = "auto"
    device_map: Any = None
    max_memory: dict[int | str, int | str] | None = None
    offload_folder: str | Path | None = None

    def check(self) -> None:
        """Refuse arguments that contradict each other, or that have no effect.

        Raises:
            ValueError: Both a device and a device_map are given, limits without a device_map, or a device that is
                not there.
        """
        if self.device_map is None and self._limits:
            raise ValueError(
                f"{', '.join(self._limits)}: only device_map='auto' or another device_map makes use of it."
            )
        if self.device_map is not None and self.device != "auto":
            raise ValueError(f"device={self.device!r} and device_map={self.device_map!r}: give one of them.")
        pick_device(self.device)  # before anything is downloaded

    def refuse_map(self, what: str) -> None:
        """Refuse a device_map for a model that is always made on one device.

        Args:
            what: The model or option that needs one device, as the error message names it.

        Raises:
            ValueError: A device_map was given.
        """
        if self.device_map is not None:
            raise ValueError(
                f"device_map={self.device_map!r}: {what} is made on one device; leave device_map out, use device."
            )

    def for_transformers(self) -> dict[str, Any]:
        """The options with which transformers places the weights as it reads them."""
        return {"device_map": self.device_map, **self._limits}

    def put(self, hf: Any, name: str) -> Any:
        """The transformers model, with its weights on their device.

        Args:
            hf: The transformers model; where there is a device_map, transformers has placed its weights already.
            name: Name of the model, for error messages.

        Raises:
            ValueError: Two modules that share a tensor were sent to different places.
        """
        if self.device_map is None:
            return hf.to(pick_device(self.device))
        _refuse_torn(name, hf)
        return hf

    @property
    def _limits(self) -> dict[str, Any]:
        limits = {"max_memory": self.max_memory, "offload_folder": self.offload_folder}
        return {key: value for key, value in limits.items() if value is not None}


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

"""What can be read in a patched forward pass, where that is in the model, and what is computed from it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from srtoolkit.models.model import Model
from srtoolkit.models.parts import path_of_part
from srtoolkit.validation import check_names, listed

#: Tensors that were read, by name, ``[row, point, width]`` each.
Reads = dict[str, Tensor]

#: What can be read of a position: the residual stream after the last block, the same after the final norm (what the
#: paper's scripts read), the next-token logits and log-probabilities.
READS = ("resid", "final_norm", "logits", "logprobs")

#: Read points beside ``READS``: the MLP's pre-activations in blocks behind the patch, one block after the other, and
#: whether each is above 0.
GATES, OPEN_GATES = "gates", "open_gates"

#: Read points of one block: ``"resid.3"`` is the stream after it, ``"attn.3"`` and ``"mlp.3"`` what these parts add to
#: the stream; ``"attn"`` and ``"mlp"`` are those of the last block.
_OF_A_BLOCK = re.compile(r"(resid|attn|mlp)(?:\.([0-9]{1,6}))?")

#: Number formats that are widened once read.
HALVES = (torch.float16, torch.bfloat16)


class Site(NamedTuple):
    """A place inside a model whose output is read.

    Attributes:
        name: What the read point is called, such as ``"mlp.3"``.
        block: Index of the block.
        path: Path of a module inside the block; empty for the block itself, whose output is the residual stream.
    """

    name: str
    block: int
    path: str


class Hold(NamedTuple):
    """What a part of a block adds to the stream at the patched position, instead of what it computes there.

    Attributes:
        site: Where the part's output is.
        values: What it adds instead, one row for each context.
    """

    site: Site
    values: Float[Tensor, "context _width"]


class Readout(NamedTuple):
    """What to read in a patched forward pass.

    Attributes:
        reads: Names of the read points.
        layer: Block whose output the points replace.
        blocks: Blocks whose gates are read, in the order in which they come back; empty where no gates are read.
        sites: Where the read points of single blocks are.
        behind: Number of tokens of a context behind the patched one. They run again for every point, and what is read
            is read at the last of them.
        held: Outputs of parts that are held, one row for each context of a call, or of a batch.
    """

    reads: tuple[str, ...]
    layer: int
    blocks: tuple[int, ...] = ()
    sites: tuple[Site, ...] = ()
    behind: int = 0
    held: tuple[Hold, ...] = ()

    def of_rows(self, rows: Int[Tensor, " row"]) -> Readout:
        """The same for the rows of a batch.

        Args:
            rows: Index of each row's context.
        """
        return self._replace(held=tuple(Hold(site, values[rows]) for site, values in self.held))


def check_reads(model: Model, reads: str | Iterable[str], layer: int) -> tuple[tuple[str, ...], tuple[Site, ...]]:
    """Names of read points, and where those of single blocks are, after a check that a patch can change them.

    Args:
        model: From :func:`srtoolkit.load_model`.
        reads: The read points, to be checked.
        layer: Block whose output is replaced.

    Raises:
        ValueError: A read point is unknown or stands twice, its block does not exist, has no such part, or comes before
            the patch.
    """
    names = (reads,) if isinstance(reads, str) else listed(reads) or ()
    of_blocks = [site for name in names if (site := _site(model, name, layer)) is not None]
    try:
        wanted = check_names(names, (*READS, GATES, OPEN_GATES, *(site.name for site in of_blocks)), "reads")
    except ValueError as refused:
        raise ValueError(f"{refused} Of single blocks there are 'resid.3', 'attn.3', 'mlp.3' and so on.") from None
    return wanted, tuple(of_blocks)


def _site(model: Model, name: object, layer: int) -> Site | None:
    """The place of a read point of one block, ``None`` for any other name."""
    found = _OF_A_BLOCK.fullmatch(name) if isinstance(name, str) and name not in READS else None
    if found is None:
        return None
    last = model.n_layers - 1
    part, block = found[1], last if found[2] is None else int(found[2])
    if block > last:
        raise ValueError(f"reads={name!r}: {model.name} has blocks 0 to {last}.")
    if block <= layer:
        instead = f"read one of blocks {layer + 1} to {last}" if layer < last else "put it in earlier"
        raise ValueError(
            f"reads={name!r}: a point that is put in after block {layer} changes nothing that block {block} computes; "
            f"{instead}."
        )
    return Site(found[0], block, "" if part == "resid" else path_of_part(model, part, block))


def wants_logits(reads: Sequence[str]) -> bool:
    """Whether the unembedding must run for these read points.

    Args:
        reads: Names of the read points.
    """
    return "logits" in reads or "logprobs" in reads


def derive(found: Reads, reads: Sequence[str]) -> Reads:
    """The read points that were asked for, in that order and in float32 or wider.

    Args:
        found: The tensors that the pass read, by name.
        reads: Names of the read points that were asked for.
    """
    wide = {name: value.float() if value.dtype in HALVES else value for name, value in found.items()}
    if OPEN_GATES in reads and GATES in found:
        wide[OPEN_GATES] = found[GATES] > 0
    if "logprobs" in reads:
        wide["logprobs"] = torch.log_softmax(wide["logits"], dim=-1)
    return {name: wide[name] for name in reads}

"""Damage to a file of the hub's cache that can be told without asking the hub."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

from srtoolkit.files.hashes import git_sha1


def damage_of(path: Path) -> str:
    """What is wrong with a file of the hub's cache, in words; empty where no damage is seen.

    Weights must be as long as their header says. A small file must have the hash that is its name in the cache.

    Args:
        path: The file's path in the cache: a link to a file whose name is its hash.
    """
    if path.suffix == ".safetensors":
        return _cut_short(path)
    named = path.resolve().name
    if re.fullmatch(r"[0-9a-f]{40}", named) and git_sha1(path) != named:
        return f"its git hash is {git_sha1(path)}, the cache has it as {named}"
    return ""


def _cut_short(path: Path) -> str:
    """How the length of a safetensors file differs from that in its header, in words; empty where it does not."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        try:
            header = json.loads(file.read(min(length, size)))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError):
            return f"it has {size} bytes and no header that can be read"
    due = 8 + length + max(ends, default=0)
    return f"it has {size} bytes, its header says {due}" if size != due else ""

"""What follows each token in the nano suite's training text, and how far two tokens differ in it."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

import numpy as np
import scipy.sparse
from jaxtyping import Float, UInt16
from scipy.special import rel_entr

from srtoolkit.files import disk, hashes, verified
from srtoolkit.suite.configuration import VOCABULARY
from srtoolkit.suite.shipped import DATA, read_checked
from srtoolkit.validation import check_whole, listed

#: Tokens that occur less often are left out: of a few occurrences, what follows would look different by chance.
LEAST = 1000

#: Where the counts lie.
FILE = "followers.npz"


def count(train: UInt16[np.ndarray, " train_token"]) -> scipy.sparse.csr_matrix:
    """How often each token follows each, [token, follower]; nothing for tokens that occur fewer than ``LEAST`` times.

    Args:
        train: Token ids of the training text, as one stream.
    """
    before, behind = train[:-1].astype(np.int64), train[1:].astype(np.int64)
    often = (np.bincount(before, minlength=VOCABULARY) >= LEAST)[before]
    ones = np.ones(often.sum(), np.int64)
    shape = (VOCABULARY, VOCABULARY)
    return scipy.sparse.coo_matrix((ones, (before[often], behind[often])), shape=shape).tocsr()


def ship(train: UInt16[np.ndarray, " train_token"]) -> None:
    """Write the counts into the package, and their hash into its manifest.

    Args:
        train: Token ids of the training text, as one stream.
    """
    counts, content = count(train), io.BytesIO()
    np.savez_compressed(
        content, counts=counts.data.astype(np.uint32), followers=counts.indices.astype(np.uint16),
        starts=counts.indptr.astype(np.uint32),
    )  # fmt: skip
    disk.write_whole(DATA / FILE, content.getvalue(), "ship elsewhere")
    manifest = DATA / verified.MANIFEST
    known = json.loads(manifest.read_text()) | {FILE: hashes.file_sha256(DATA / FILE)}
    disk.write_text(manifest, json.dumps(known, indent=1) + "\n")


def followers() -> scipy.sparse.csr_matrix:
    """How often each token follows each in the training text, [token, follower]; rare tokens have nothing.

    Raises:
        CacheError: The file is missing, or is not the one that this release carries.
    """
    with np.load(io.BytesIO(read_checked(FILE))) as held:
        data = held["counts"].astype(np.int64), held["followers"].astype(np.int64), held["starts"].astype(np.int64)
        return scipy.sparse.csr_matrix(data, shape=(VOCABULARY, VOCABULARY))


def divergence(tokens_a: Sequence[int], tokens_b: Sequence[int]) -> Float[np.ndarray, " pair"]:
    """Jensen-Shannon divergence between what follows two tokens in the training text, in nats, from 0 to log 2.

    Args:
        tokens_a: Ids of tokens of the suite's vocabulary.
        tokens_b: As many others.

    Returns:
        One number for each two tokens; NaN where either occurs fewer than ``LEAST`` times.

    Raises:
        ValueError: There are not as many of the one as of the other, or an id is none of the vocabulary's.
    """
    a, b = (
        [check_whole(token, what, 0, VOCABULARY - 1) for token in listed(tokens) or []]
        for tokens, what in ((tokens_a, "tokens_a"), (tokens_b, "tokens_b"))
    )
    if len(a) != len(b):
        raise ValueError(f"tokens_a, tokens_b: expected as many of both, got {len(a)} and {len(b)}.")
    counts = followers()
    p, q = (_shares(counts[rows].toarray()) for rows in (a, b))
    return 0.5 * (rel_entr(p, (p + q) / 2) + rel_entr(q, (p + q) / 2)).sum(axis=1)


def _shares(counts: Float[np.ndarray, "pair d_vocab"]) -> Float[np.ndarray, "pair d_vocab"]:
    """Each row as shares of its sum; NaN where there is nothing."""
    with np.errstate(invalid="ignore"):
        return counts / counts.sum(axis=1, keepdims=True)

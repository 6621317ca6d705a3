"""The notebooks on training and size with ``SRT_PROFILE=paper``, against a local hub cache of tiny models."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import srtoolkit as srt
from checkpoints_on_disk import save_tiny
from srtoolkit.profiles import PROFILES

ROOT = Path(__file__).parents[2]
PAPER = PROFILES["paper"]
RUN = """
import sys
from pathlib import Path
from srtoolkit.report import claims_of, execute

notebook, error = execute(Path(sys.argv[1]))
assert error is None, error
print(*(f"{claim['model']}: {claim['claim']}" for claim in claims_of(notebook, sys.argv[1])), sep="\\n")
"""


def add_repository(root, name, branches, **shape):
    """A model repository as the hub's client lays it out: a snapshot and a reference for each branch."""
    repository = root / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    for seed, branch in enumerate(branches):
        commit = f"{abs(hash((name, branch))):040x}"[-40:]
        save_tiny(repository / "snapshots" / commit, seed=seed, max_position_embeddings=128, **shape)
        (repository / "refs" / branch).write_text(commit)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """The paper's models, their training checkpoints, and its data set, all in miniature."""
    root = tmp_path_factory.mktemp("hub")
    seen = [0, 10, 100, 1000, 2750]  # several of the paper's numbers of tokens have the same nearest checkpoint
    branches = ["main", *(f"step{number}-tokens{billions}B" for number, billions in enumerate(seen))]
    for blocks, size in enumerate(("1B", "7B"), start=2):
        add_repository(root, f"allenai/OLMo-{size}-0724-hf", branches, family="olmo", num_hidden_layers=blocks)
    for blocks, size in enumerate(("0.5B", "1.5B", "7B"), start=2):
        add_repository(root, f"Qwen/Qwen2-{size}", ["main"], family="qwen2", num_hidden_layers=blocks)
    data = root / "datasets--sedthh--gutenberg_english"
    (data / "snapshots/1/data").mkdir(parents=True)
    (data / "refs").mkdir()
    (data / "refs/main").write_text("1")
    prose = "".join(path.read_text() for path in sorted((ROOT / "srtoolkit/prompts/data/prose").glob("*.txt")))
    # A hundred books are read: these have room for 999 pairs of 100 tokens that share no prompt.
    books = pd.DataFrame({"TEXT": [prose[start : start + 2400] for start in range(0, 240_000, 2400)]})
    books.to_parquet(data / "snapshots/1/data/train-00000-of-00037-abc.parquet")
    return root


@pytest.mark.parametrize(
    ("notebook", "members", "claims"),
    [("02_growth", 10, 6), ("03_size", 5, 2)],
)
def test_the_papers_models_run_through_the_same_cells(hub, tmp_path, notebook, members, claims):
    environment = {
        **os.environ,
        "SRT_PROFILE": "paper",
        "SRT_STORE": str(tmp_path),
        "HF_HUB_CACHE": str(hub),
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, "-c", RUN, str(ROOT / f"notebooks/{notebook}.ipynb")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(done.stdout.splitlines()) == claims
    named = PAPER.growth if notebook == "02_growth" else PAPER.runs  # by size, the unit is the run of a family
    assert all(model in done.stdout for model in named)
    (store,) = (path for path in (tmp_path / "paper").iterdir() if path.name in ("growth", "size"))
    curves = "permuted" if notebook == "02_growth" else "curves"
    kept = [srt.load(path) for path in (store / curves).glob("*.nc")]
    assert len(kept) == members
    assert {one.sizes["pair"] for one in kept} == {PAPER.sweep_pairs}
    assert all(one.sizes["weights"] == 4 and one.attrs["commit"] for one in kept)
    assert all("gutenberg" in one.attrs["prompts"] for one in kept)

"""The suite's model card, whose numbers are all read from the files in the package."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from string import Template

import torch

from srtoolkit.suite import shipped
from srtoolkit.suite.configuration import Configuration, configuration, names

CARD = Path(__file__).with_name("MODEL_CARD.md")

PROMPTS = ("In the beginning", "My dear lord,", "The Congress of the United States")

_TEXT = Template("""# The nano suite

Decoder models of the Llama architecture, from $smallest to $largest parameters, trained by this project on
public-domain English so that claims about training and size can be asked on any machine, without a
network. Weights are in the package, Apache-2.0 like the code.

```python
import srtoolkit as srt

srt.load_model("nano-1m")  # the finished model
srt.load_model("nano-1m", revision="step800")  # a checkpoint of its training
srt.load_model("nano-1m", init="random", seed=0)  # its starting weights, the same as revision="step0"
```

## Models

$models

All have RMSNorm, rotary positions, SwiGLU, tied embeddings and a byte-level BPE tokenizer of 4,096 entries. In the
five sizes, depth and width grow together: the width is 8 times the number of blocks, a little less in the
largest. `nano-1m-seed1` differs from `nano-1m` in the seed of weights and data order alone. Names that end in `-run`
and a number are two series, of which below; a size alone, such as `nano-3m`, means its first run there, but for
`nano-0.4m` and `nano-1m`, which are earlier models. Losses are on the whole held-out split, windows of $context
tokens; a model that knows how frequent tokens are and nothing else has $unigram.

Checkpoints in the package, by training step ($per_step tokens each):

$checkpoints

`losses.csv` beside each model's weights logs the loss at all of: $grid. Weights are used in float32. They are kept in
half precision where they are finished, and those of `nano-0.4m` throughout; the series, and what a run went through on
its way, in eight bits with a scale for each row. That changes held-out losses by less than 0.0002 (measured on the
first run of each size), and the median peak of the output's speed by 0.3% at most (measured on four checkpoints, 60
pairs each).

## Data

$sources

$train_tokens tokens for training, $held_out_tokens held out. The split is by document. What is held out is what the
package ships as `srtoolkit/prompts/data/prose`, from which the notebooks' prompts are drawn; the same books of the
Bible in the other translation are left out of training. Every archive is pinned by version and SHA-256 and read as
data; no code of it runs.

## Training

AdamW (betas 0.9 and 0.95, weight decay $decay on matrices), gradients clipped at 1, $batch windows of $context tokens
a step, $steps steps: $seen tokens, $epochs of an epoch. The learning rate rises over $warmup steps, stays, and falls
to 0 over the last $fall, so that checkpoints before that differ in the number of steps alone. Its peak is 0.08 over
the width. That was chosen by trial: at 0.005 for every model, block 0 of the widest one came to give outputs hundreds
apart, the later blocks' part in the output became small, and the median of the paper's largest slope stayed near 1.4,
although the loss was a little lower.

An earlier family grew less in depth than in width, from 6 blocks of 48 to 14 blocks of 192. Its two largest models, 12
blocks of 112 and 14 blocks of 192, had no larger slopes than the one of 8 blocks of 64 after as many tokens (medians
2.38, 2.32 and 2.37). Two deeper sizes, `nano-3m` and `nano-6m`, took their places.

So the rule for the learning rate and the sizes were chosen with slopes in view, and the order of those models by slope
was no evidence that regions sharpen with size. They have left the package, but for `nano-0.4m`, `nano-1m` and
`nano-1m-seed1`, which tests and the claims about training use. A good part of a largest slope is the scale of the
weights alone: models of the same weights in another order have it too. What tells them apart is the motion of outputs
(`srt.motion`), beside such models.

These models were trained in float32, one thread a model, two at a time on two cores of an AMD EPYC that did other work
beside. Given the configuration, training is deterministic on one kind of machine: a test trains the smallest model's
first 100 steps again and compares losses and weights.

## The series

The claim about size is tested on fifteen new runs (`srtoolkit/suite/series.py`): the same five sizes and the deep twin
`nano-1m-deep`, which has the parameters of `nano-1m` in twice as many blocks; three runs of each of the three smallest
sizes, two of the others. The rule for the learning rate and the shapes stay as they were; the tokens and their order
are the same in all runs, and a run's seed draws its initial weights only. The criterion
(`srtoolkit/reference/criteria/size.json`) was written before the first run, and no slope or peak of any was looked at
until all were trained.

Nine of the runs were finished on the CPU when a GPU could be had. All fifteen were then trained anew on it, so that
size is not mixed up with machine: one NVIDIA H200, 26 November 2026, PyTorch 2.11, float32 without TF32, attention as
plain matrix products, fifteen processes at once, six minutes in all. Initial weights are drawn on the CPU and were
the same, bit for bit. Held-out losses of the nine are those of the CPU to 0.0001 at every checkpoint; weights differ
by 0.0002 to 0.003 of their size. Fifty steps twice on the GPU gave the same weights, bit for bit.

The package carries the finished weights of thirteen. The two of `nano-1m-deep`, whose losses were 4.20 and 4.22, are
left out, for the package's size. The notebook `03_size` has the verdict.

## Four runs of one size

Whether regions go on sharpening in training is asked of four more runs of `nano-1m`, `nano-1m-run21` to
`nano-1m-run24`. They differ from it in the seed of weights and data order alone. The criterion
(`srtoolkit/reference/criteria/sharpen-runs.json`) was written before the first was trained, and all four were trained
and are shipped: one NVIDIA H200, 27 November 2026, PyTorch 2.11, as the series above, fourteen processes at once. The
package carries steps 600 and 2,400. The notebook `02_growth` has the verdict.

`python -m srtoolkit.suite corpus`, `train --size nano-1m`, `series` and `ship` make everything anew; a stopped training
goes on where it was, on the same device.

## Samples

Drawn at temperature 0.8 from the 40 likeliest tokens.

$samples

## Limits

Far too small to be of use as language models: they know spelling, frequent words and the sound of their sources, and
little of meaning. Their texts are old, religious and political, and carry the views of their time. $seen tokens are
little even for their size, and none is trained to convergence. That a claim holds on them says that it can be seen at
this scale, not that it holds at others.
""")


def write_card() -> None:
    """Write ``MODEL_CARD.md``."""
    CARD.write_text(_TEXT.substitute(numbers() | {"samples": samples()}), encoding="utf-8")


def numbers() -> dict[str, str]:
    """Numbers and tables of the card that are read from files, by their names in its text."""
    first, every = configuration(names()[0]), [configuration(name) for name in names()]
    statistics, tokens = shipped.statistics(), first.steps * first.tokens_per_step
    return {
        "smallest": f"{every[0].parameters / 1e6:.1f}",
        "largest": f"{every[-1].parameters / 1e6:.1f} million",
        "models": _table(
            ("model", "blocks", "width", "MLP", "heads", "parameters", "peak learning rate", "held-out loss", "time"),
            [_model_row(one) for one in every],
        ),
        "checkpoints": "\n".join(
            f"- `{name}`: {', '.join(revision.removeprefix('step') for revision in shipped.revisions(name))}"
            for name in names()
        ),
        "grid": ", ".join(str(step) for step in first.checkpoints),
        "sources": _sources(),
        "unigram": f"{statistics['unigram_loss']:.2f} nats a token",
        "train_tokens": f"{statistics['train_tokens']:,}",
        "held_out_tokens": f"{statistics['held_out_tokens']:,}",
        "per_step": f"{first.tokens_per_step:,}",
        "context": str(first.context),
        "batch": str(first.batch),
        "steps": f"{first.steps:,}",
        "warmup": str(first.warmup),
        "fall": str(first.decay),
        "decay": str(first.weight_decay),
        "seen": f"{tokens / 1e6:.1f} million",
        "epochs": f"{tokens / statistics['train_tokens']:.2f}",
    }


@torch.no_grad()
def samples(length: int = 60) -> str:
    """Continuations of some prompts by the smallest, a middle and the largest model, as a Markdown list.

    Args:
        length: Number of new tokens in each text.
    """
    tokenizer, lines = shipped.load_suite_tokenizer(), []
    for name in (names()[0], "nano-1m", names()[-1]):
        model = shipped.load_suite_model(name, None).eval()
        for prompt in PROMPTS:
            torch.manual_seed(0)
            ids = torch.tensor([tokenizer(prompt)["input_ids"]])
            found = model.generate(  # type: ignore[operator]
                ids,
                max_new_tokens=length,
                do_sample=True,
                temperature=0.8,
                top_k=40,
                attention_mask=torch.ones_like(ids),
            )
            text = " ".join(str(tokenizer.decode(found[0, ids.shape[1] :].tolist())).split())
            lines.append(f"- `{name}`: **{prompt}** {text}")
    return "\n".join(lines)


def _model_row(one: Configuration) -> tuple[str, ...]:
    last = shipped.losses(one.name).iloc[-1]
    shape = (one.blocks, one.width, one.mlp_width, one.heads)
    return (
        f"`{one.name}`",
        *map(str, shape),
        f"{one.parameters:,}",
        f"{one.learning_rate:.2g}",
        f"{last['held_out_loss']:.2f}",
        f"{last['seconds'] / 60:.0f} min",
    )


def _sources() -> str:
    with (shipped.DATA / "sources.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    cells = [
        (
            f"`{row['archive'].rpartition('/')[2]}`",
            row["what"],
            row["rights"],
            f"{int(row['train_bytes']) / 1e6:.1f} MB",
            f"{int(row['held_out_bytes']) / 1e6:.2f} MB",
        )
        for row in rows
    ]
    return _table(("archive", "texts", "rights", "train", "held out"), cells)


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

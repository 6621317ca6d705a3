"""Peak memory of each way, in a process that does nothing else."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from safetensors.torch import save_file

from benchmarks.table import Row
from benchmarks.work import Problem, Work


def peak(way: str, folder: Path, work: Work, problem: Problem) -> Row:
    """The most memory that a process took, from its start to the end of one piece of work; weights and libraries too.

    Args:
        way: Name of the way.
        folder: Of the model's files.
        work: What it does, all of it.
        problem: Its prompts and points.

    Raises:
        RuntimeError: The process failed; the message has the end of what it said.
    """
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "problem.safetensors"
        save_file({"context": problem.context, "points": problem.points.contiguous()}, file)
        command = [sys.executable, "-m", "benchmarks.alone", way, str(folder), str(file)]
        done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{way}: the process that measures its memory failed:\n{done.stderr[-2000:]}")
    seconds, gib = (float(word) for word in done.stdout.split()[-2:])
    pairs, points = problem.points.shape[:2]
    row = Row.of(work, way, pairs, points, 0, seconds, 0.0)
    row.peak_gib = gib
    return row

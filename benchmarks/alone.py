"""One way doing one piece of work in a process of its own: ``python -m benchmarks.alone WAY FOLDER PROBLEM``.

Nothing is imported that the way does not need. Prints the seconds that the work took, and the process's peak of memory
in GiB.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from safetensors.torch import load_file

from benchmarks.contestants import WAYS
from benchmarks.machine import field


def main(way: str, folder: str, file: str) -> None:
    """Do the work.

    Args:
        way: Name of the way.
        folder: Of the model's files.
        file: Context and points, as ``benchmarks.memory`` writes them.
    """
    problem = load_file(file)
    (make,) = [one for one in WAYS if one.name == way]
    made = make(Path(folder))
    start = time.perf_counter()
    made.outputs(problem["context"], problem["points"], 0)
    seconds = time.perf_counter() - start
    # Not ru_maxrss, which starts at what the parent had taken.
    high = field("/proc/self/status", "VmHWM")
    if high is None:
        raise SystemExit("the peak of memory is read from /proc/self/status, which only Linux has.")
    print(seconds, int(high.split()[0]) / 2**20)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Notebooks run from top to bottom, several at a time, and the canonical form in which they are stored."""

from __future__ import annotations

import base64
import io
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from PIL import Image

from srtoolkit.profiles import profile

#: A cell may take this long, in seconds; those of the ``paper`` profile run as long as they need.
CELL_TIMEOUT = {"quick": 1200, "shuffled": 1200, "full": 6 * 3600, "paper": None}

#: Tag of cells whose code is folded away: what draws a picture says nothing that the picture does not.
HIDE = "hide-input"

#: Kernels show no progress bars, so that outputs are the same each time, and read hub models from the network at most.
#: They also keep buffers that are free, where glibc gives each large one back and has it zeroed anew at the next
#: operation: a twentieth of the time of a small model's passes.
KERNEL_ENVIRONMENT = {
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "PYTHONHASHSEED": "0",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(4 * 2**30),
}


class Executed(NamedTuple):
    """A notebook that was run from top to bottom.

    Attributes:
        notebook: It, with its outputs.
        error: What ended it early; ``None`` where nothing did.
        seconds: How long it took.
    """

    notebook: nbformat.NotebookNode
    error: str | None
    seconds: float


def execute_all(paths: list[Path], workers: int = 1) -> Iterator[Executed]:
    """Notebooks with the outputs of clean runs, in their order, each as soon as it and those before it are done.

    Several at a time share the cores: models as small as these gain more from that than from threads.

    Args:
        paths: The notebooks.
        workers: How many run at a time.
    """
    if workers == 1:
        yield from map(_timed, paths)
        return
    threads = max(1, (os.cpu_count() or 1) // workers)
    with ProcessPoolExecutor(workers, get_context("spawn"), _leave_room, (threads,)) as pool:
        yield from pool.map(_timed, paths)


def _leave_room(threads: int) -> None:
    """Kernels of this process take so many threads, unless their number is set."""
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))


def _timed(path: Path) -> Executed:
    start = time.monotonic()
    notebook, error = execute(path)
    return Executed(notebook, error, time.monotonic() - start)


def execute(path: Path) -> tuple[nbformat.NotebookNode, str | None]:
    """A notebook with the outputs of a clean run from top to bottom, and its error, or ``None``.

    Args:
        path: The notebook.
    """
    os.environ.update(KERNEL_ENVIRONMENT)
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT[profile().name],
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        # Without the kernel's notes on its own transport, which say nothing about the notebook.
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute()
    except (CellExecutionError, DeadKernelError, TimeoutError) as error:
        return notebook, str(error) or type(error).__name__
    finally:
        _drop_bare_widgets(notebook)
    return notebook, None


def _drop_bare_widgets(notebook: nbformat.NotebookNode) -> None:
    """Take out outputs that only a kernel can show, such as progress bars; a panel brings a picture along."""
    widget = "application/vnd.jupyter.widget-view+json"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            bare = [
                output for output in cell.outputs if widget in output.get("data", {}) and "image/png" not in output.data
            ]
            cell.outputs = [output for output in cell.outputs if output not in bare]


def canonical(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A notebook without what changes from run to run: kernel details, widget models, random cell ids.

    Cells with the tag ``HIDE`` get Jupyter's own mark for code that is folded away.

    Args:
        notebook: The notebook, which is changed in place.
    """
    notebook.metadata.clear()
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    notebook.metadata.language_info = {"name": "python"}
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index:02d}"
        cell.metadata = {key: value for key, value in cell.metadata.items() if key == "tags"}
        if HIDE in cell.metadata.get("tags", []):
            cell.metadata["jupyter"] = {"source_hidden": True}
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            data.pop("application/vnd.jupyter.widget-view+json", None)
            if "image/png" in data:
                data["image/png"] = with_palette(data["image/png"])
    return notebook


def with_palette(picture: str) -> str:
    """A picture of at most 256 colours, which lines and letters need no more of: a third of the bytes.

    Args:
        picture: A PNG in Base64.
    """
    whole = base64.b64decode(picture)
    with Image.open(io.BytesIO(whole)) as image:
        few = image if image.mode == "P" else image.convert("RGB").quantize(dither=Image.Dither.NONE)
        packed = io.BytesIO()
        few.save(packed, "PNG", optimize=True)
    return base64.b64encode(min(whole, packed.getvalue(), key=len)).decode()

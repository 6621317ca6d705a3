"""Running the notebooks: a report of all of them with their claims, and the copies that the repository keeps.

python -m srtoolkit.report run     execute all in order; write build/report/ and build/claims.json
python -m srtoolkit.report save    execute all in order; store them, outputs included, in one canonical form

Either takes the first letters of some notebooks' names, to execute only these: python -m srtoolkit.report save 02 03
--workers 2 executes two at a time, each on its share of the cores.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter

from srtoolkit.analysis.scorecards import Scorecard, Standing, table_html
from srtoolkit.analysis.verdicts import MIME, Verdict
from srtoolkit.files import disk
from srtoolkit.profiles import profile
from srtoolkit.reference import CLAIMS, Criterion, criterion

#: A cell may take this long, in seconds; those of the ``paper`` profile run as long as they need.
CELL_TIMEOUT = {"quick": 1200, "shuffled": 1200, "full": 6 * 3600, "paper": None}

#: Tag of cells whose code is folded away: what draws a picture says nothing that the picture does not.
HIDE = "hide-input"

#: Kernels show no progress bars, so that outputs are the same each time, and read hub models from the network at most.
KERNEL_ENVIRONMENT = {"TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error", "PYTHONHASHSEED": "0"}

_INSTEAD = "give --build another folder"

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>srtoolkit report</title>
<style>body{{font:16px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}}
table{{border-collapse:collapse}}
td,th{{padding:.3em .8em;border-bottom:1px solid #ccc;vertical-align:top}}dt{{font-weight:bold}}</style></head>
<body><h1>Stable regions: report</h1><p>Profile: {profile}.</p>{claims}<h2>Notebooks</h2><ol start="0">{notebooks}</ol>
<h2>Criteria</h2><p>Each was written before what it judges was run.</p>{criteria}</body></html>
"""


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


def run(paths: list[Path], build: Path, workers: int = 1) -> int:
    """Execute notebooks, write the report, print the scorecard.

    Args:
        paths: The notebooks.
        build: Folder for the report and the claims.
        workers: How many run at a time.

    Returns:
        The number of notebooks that failed.
    """
    report = build / "report"
    claims: list[dict[str, Any]] = []
    failed: list[str] = []
    print(f"{len(paths)} notebooks, {workers} at a time; each is named when it is done", flush=True)
    for path, (notebook, error, seconds) in zip(paths, execute_all(paths, workers), strict=True):
        disk.write_text(report / path.name, nbformat.writes(notebook) + "\n", _INSTEAD)
        disk.write_text(report / f"{path.stem}.html", to_html(notebook, path.stem), _INSTEAD)
        claims += claims_of(notebook, path.name)
        print(f"{path.name} {'FAILED' if error else 'done'} in {seconds:.0f} s", flush=True)
        if error:
            failed.append(path.name)
            print(f"{path.name}: {error}", file=sys.stderr)
    disk.write_text(build / "claims.json", json.dumps(claims, indent=1) + "\n", _INSTEAD)
    disk.write_text(report / "index.html", _index(paths, claims), _INSTEAD)
    print(f"\n{_card(claims)}\n")
    print(f"Report: {(report / 'index.html').resolve()}\nClaims: {(build / 'claims.json').resolve()}")
    if failed:
        print(f"{len(failed)} of {len(paths)} notebooks failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


def save(paths: list[Path], workers: int = 1) -> int:
    """Execute notebooks and store them in one canonical form: small differences, nothing of this machine.

    Args:
        paths: The notebooks, which are replaced.
        workers: How many run at a time.

    Returns:
        The number of notebooks that failed; these are left as they were.
    """
    failures = 0
    for path, (notebook, error, _) in zip(paths, execute_all(paths, workers), strict=True):
        print(f"{path.name}: {error or 'saved'}", flush=True)
        failures += error is not None
        if error is None:
            disk.write_text(path, nbformat.writes(canonical(notebook)) + "\n", "store it elsewhere")
    return failures


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
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    return notebook


def to_html(notebook: nbformat.NotebookNode, title: str) -> str:
    """A notebook as one HTML page that needs no network: pictures inside, no script from elsewhere.

    Args:
        notebook: The notebook.
        title: Title of the page.
    """
    exporter = HTMLExporter(mathjax_url="", require_js_url="", jquery_url="", embed_images=True)
    page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": title}})
    return str(page)


def claims_of(notebook: nbformat.NotebookNode, name: str) -> Iterator[dict[str, Any]]:
    """The verdicts that a notebook's cells show, in order, each with the notebook and the cell that made it.

    Args:
        notebook: The notebook, with its outputs.
        name: File name of the notebook.
    """
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            for claim in output.get("data", {}).get(MIME, []):
                yield {**claim, "notebook": name, "cell": cell.id}


def by_claim(claims: list[dict[str, Any]]) -> dict[str, list[tuple[Standing, dict[str, Any]]]]:
    """Verdicts by the paper's claims, in the paper's order, each beside what the claims' file has of it.

    Args:
        claims: From :func:`claims_of`, of all notebooks.
    """
    standings = list(zip(_card(claims).standings(), claims, strict=True))
    groups = {of: [one for one in standings if one[0].verdict.of == of] for of in CLAIMS}
    return {of: group for of, group in groups.items() if group}


def anchor(claim: dict[str, Any]) -> str:
    """Where the page of a notebook has the cell of a verdict; nbconvert gives every cell this id.

    Args:
        claim: From :func:`claims_of`.
    """
    return f"{claim['notebook'].removesuffix('.ipynb')}.html#cell-id={claim['cell']}"


def _card(claims: list[dict[str, Any]]) -> Scorecard:
    return Scorecard(tuple(Verdict.from_json(claim) for claim in claims))


def _index(paths: list[Path], claims: list[dict[str, Any]]) -> str:
    """The first page of the report: verdicts by claim, notebooks, and the criteria of these verdicts."""
    tables = ""
    for of, group in by_claim(claims).items():
        links = [f'<a href="{html.escape(anchor(claim))}">{html.escape(claim["notebook"])}</a>' for _, claim in group]
        tables += f"<h2>{html.escape(CLAIMS[of])}</h2>{table_html([standing for standing, _ in group], links)}"
    notebooks = "".join(
        f'<li><a href="{html.escape(path.stem)}.html">{html.escape(path.stem)}</a></li>' for path in paths
    )
    used = dict.fromkeys(claim["criterion"] for claim in claims)
    entries = "".join(_entry_html(criterion(name)) for name in used)
    return _PAGE.format(profile=profile().name, claims=tables, notebooks=notebooks, criteria=entries)


def _entry_html(entry: Criterion) -> str:
    """A criterion in full."""
    rows = "".join(f"<dt>{head}</dt><dd>{html.escape(text)}</dd>" for head, text in entry.told())
    return f'<h3 id="criterion-{html.escape(entry.name)}">{html.escape(entry.name)}</h3><dl>{rows}</dl>'


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns its exit status.

    Args:
        arguments: Arguments of the command; those of the process where ``None``.
    """
    parser = argparse.ArgumentParser(prog="python -m srtoolkit.report", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("command", choices=("run", "save"))
    parser.add_argument("names", nargs="*", help="first letters of notebooks' names; all by default")
    parser.add_argument("--notebooks", type=Path, default=Path("notebooks"))
    parser.add_argument("--build", type=Path, default=Path("build"))
    parser.add_argument("--workers", type=int, default=1, help="how many notebooks run at a time; 1 by default")
    given = parser.parse_intermixed_args(arguments)  # options may stand before names
    if given.workers < 1:
        parser.error(f"--workers {given.workers}: expected 1 or more")
    names = tuple(given.names) or ("",)
    paths = [path for path in sorted(given.notebooks.glob("*.ipynb")) if path.name.startswith(names)]
    if not paths:
        parser.error(f"no notebooks {' or '.join(given.names)} in {given.notebooks.resolve()}")
    failures = run(paths, given.build, given.workers) if given.command == "run" else save(paths, given.workers)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

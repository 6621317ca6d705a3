"""The command that runs notebooks.

python -m srtoolkit.report run     execute all in order; write build/report/ and build/claims.json
python -m srtoolkit.report save    execute all in order; store them, outputs included, in one canonical form

Either takes the first letters of some notebooks' names, to execute only these: python -m srtoolkit.report save 02 03
--workers 2 executes two at a time, each on its share of the cores.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import nbformat

from srtoolkit.files import disk
from srtoolkit.report.claims import card, claims_of
from srtoolkit.report.pages import first_picture, index_page, notebook_page
from srtoolkit.report.running import canonical, execute_all

_INSTEAD = "give --build another folder"


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
    pictures: dict[str, str] = {}
    failed: list[str] = []
    print(f"{len(paths)} notebooks, {workers} at a time; each is named when it is done", flush=True)
    for path, (notebook, error, seconds) in zip(paths, execute_all(paths, workers), strict=True):
        disk.write_text(report / path.name, nbformat.writes(notebook) + "\n", _INSTEAD)
        disk.write_text(report / f"{path.stem}.html", notebook_page(notebook, path.stem), _INSTEAD)
        claims += claims_of(notebook, path.name)
        pictures[path.name] = first_picture(notebook)
        print(f"{path.name} {'FAILED' if error else 'done'} in {seconds:.0f} s", flush=True)
        if error:
            failed.append(path.name)
            print(f"{path.name}: {error}", file=sys.stderr)
    disk.write_text(build / "claims.json", json.dumps(claims, indent=1) + "\n", _INSTEAD)
    disk.write_text(report / "index.html", index_page(pictures, claims), _INSTEAD)
    print(f"\n{card(claims)}\n")
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

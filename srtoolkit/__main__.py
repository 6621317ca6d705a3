"""The command line: ``srt``, or ``python -m srtoolkit``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from srtoolkit.profiles import PROFILES
from srtoolkit.version import __version__

# Commands import what they run, so that `srt --help` answers at once.
if TYPE_CHECKING:
    from rich.console import Console

    from srtoolkit.reproduction import running

app = typer.Typer(
    name="srt",
    help="See, measure and question the stable regions in the residual stream of language models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

#: Exit status where a figure failed, and after Ctrl-C, as shells have it.
FAILED, INTERRUPTED = 1, 130


def _version(wanted: bool) -> bool:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit
    return wanted


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version this is, and stop.")
    ] = False,
) -> None:
    """Options of every command; the help text is the application's."""


@app.command()
def reproduce(
    paper: Annotated[str, typer.Argument(help="Which paper: janiak2024.")],
    figure: Annotated[
        list[str] | None,
        typer.Option(
            "--figure", "-f", metavar="NUMBER", help="A figure, 1 to 26, or table1; may be given again. All by default."
        ),
    ] = None,
    profile: Annotated[
        str,
        typer.Option(
            "--profile",
            "-p",
            help="quick: packaged models in some five minutes. full: the same with tighter intervals. "
            "paper: the paper's own models, checkpoints and prompts, from the Hugging Face hub.",
        ),
    ] = "quick",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Where to write; build/PAPER/PROFILE by default."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be measured and what it would take, and stop.")
    ] = False,
) -> None:
    """Make a paper's figures anew: pictures, their numbers, and the paper's numbers beside them.

    What has been measured is kept: after a crash or Ctrl-C, the same command goes on where it was. The results are
    summed up in index.html.
    """
    import matplotlib as mpl
    from rich.console import Console

    from srtoolkit.reproduction import casting, page, running, terminal
    from srtoolkit.reproduction.figures import find_figures, find_paper

    mpl.use("agg")
    logging.basicConfig(format="%(message)s")
    try:
        every, chosen = find_paper(paper), find_figures(paper, figure or [])
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    profiles = [name for name, size in PROFILES.items() if size.init == "pretrained"]
    if profile not in profiles:
        raise typer.BadParameter(f"profile {profile!r} is not one of {', '.join(profiles)}.")
    size, folder = PROFILES[profile], output or Path("build") / paper / profile
    console = Console()
    if dry_run:
        assumed = casting.AssumedCheckpoints()
        _plan(console, running.prepare(chosen, casting.Cast(size, assumed)), folder, assumed.models)
        return

    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False)

    try:
        outcomes = running.reproduce(chosen, size, folder, say)
    except KeyboardInterrupt:
        page.write_page(paper, page.collect(every, [], size, folder), size, folder)
        say("Stopped. What was measured and made is kept; the same command goes on from there.")
        raise typer.Exit(INTERRUPTED) from None
    where = page.write_page(paper, page.collect(every, outcomes, size, folder), size, folder)
    terminal.show_outcomes(console, outcomes, size)
    console.print(f"Summary: {where.resolve()}", soft_wrap=True, highlight=False)
    if any(outcome.state == "failed" for outcome in outcomes):
        raise typer.Exit(FAILED)


def _plan(console: Console, outcomes: list[running.Outcome], folder: Path, assumed: list[str]) -> None:
    """Say what would be done; what cannot be estimated is a failure, and said in words."""
    from srtoolkit.reproduction import planning, terminal

    terminal.show_plan(console, planning.list_figures(outcomes, folder))
    if assumed:
        models = ", ".join(assumed)
        console.print(
            f"The hub does not say which checkpoints there are of {models}: planned with those the paper names."
        )
    jobs = planning.missing_jobs(outcomes, folder)
    try:
        if jobs:
            terminal.show_costs(console, planning.estimate(jobs))
        elif not any(outcome.error for outcome in outcomes):
            console.print("Nothing is left to measure.")
    except ValueError as error:
        console.print(f"No estimate: {error}", markup=False, highlight=False)
        raise typer.Exit(FAILED) from None
    if any(outcome.error for outcome in outcomes):
        raise typer.Exit(FAILED)


@app.command()
def demo(
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Where to write the page.")] = Path("srt-demo.html"),
    show: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
) -> None:
    """Drag along the path between two prompts: measures three pairs in some seconds, and opens one page.

    It runs on a packaged model, or on SmolLM2-135M where that has been fetched before; nothing is downloaded. The page
    is one file that needs no server.
    """
    import webbrowser

    from srtoolkit.files.disk import DiskError
    from srtoolkit.panels.path.demo import model_for_demo, write_demo

    if to.suffix.lower() not in (".html", ".htm"):
        raise typer.BadParameter(f"--to {str(to)!r}: expected a name that ends in .html.")
    name = model_for_demo()
    typer.echo(f"Measuring three pairs of prompts with {name}, and with the same weights shuffled ...")
    try:
        where = write_demo(to, name).resolve()
    except DiskError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(FAILED) from None
    typer.echo(f"Written: {where}")
    if show and not webbrowser.open(where.as_uri()):
        typer.echo("No browser could be started; open this file in one.")


@app.command()
def notebooks(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to copy them; made as needed.")],
) -> None:
    """Copy the notebooks of this version into a folder, with their stored outputs.

    To run them, install the extra `notebooks` and start `jupyter lab DIR`. SRT_PROFILE says how much they measure.
    """
    from srtoolkit.files.disk import DiskError
    from srtoolkit.files.notebooks import copy_notebooks

    try:
        copies = copy_notebooks(folder)
    except (FileExistsError, FileNotFoundError, DiskError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(FAILED) from None
    typer.echo(f"{len(copies)} notebooks in {folder.resolve()}; read them in order, from {copies[0].name}.")
    typer.echo(f"To run them, in a clone: pip install '.[notebooks]', then jupyter lab {folder}")


if __name__ == "__main__":
    app(prog_name="srt")

"""Measuring what figures need, one model at a time, and making each figure as soon as its measurements are there."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import xarray as xr

from srtoolkit import results
from srtoolkit.files import disk
from srtoolkit.models.sources import announce
from srtoolkit.profiles import Profile
from srtoolkit.reproduction.casting import Cast, Role
from srtoolkit.reproduction.comparing import as_table
from srtoolkit.reproduction.figure import Figure, Made
from srtoolkit.reproduction.measurements import Measurement, Need
from srtoolkit.sweeps.marks import mark
from srtoolkit.sweeps.tasks import Task, run_tasks
from srtoolkit.version import __version__

logger = logging.getLogger(__name__)

Say = Callable[[str], None]


@dataclass
class Outcome:
    """The outcome of one figure.

    Attributes:
        figure: The figure.
        needs: The measurements that it needs, once they are known.
        state: ``"waiting"``, ``"made"`` or ``"failed"``.
        error: Why it failed, in one line.
        table: Our numbers beside the paper's, once the figure is made.
        note: How it was measured, in words.
        models: The models that were measured, in words, once the figure is made.
    """

    figure: Figure
    needs: dict[str, Need] = field(default_factory=dict)
    state: str = "waiting"
    error: str = ""
    table: pd.DataFrame | None = None
    note: str = ""
    models: str = ""

    def fail(self, error: str) -> None:
        """Record a failure.

        Args:
            error: Why the figure failed, in one line.
        """
        self.state, self.error = "failed", error


@dataclass(frozen=True)
class Job:
    """One measurement on one model.

    Attributes:
        measurement: The measurement.
        role: The model.
    """

    measurement: Measurement
    role: Role

    @property
    def name(self) -> tuple[str, str]:
        """Key of the measurement and label of the model, which identify the job."""
        return self.measurement.key, self.role.label

    def done(self, output: Path) -> bool:
        """Whether the job's result is in the store, whole.

        Args:
            output: Folder of the reproduction.
        """
        return self.measurement.store(output).holds(self.role.label)


def prepare(figures: Sequence[Figure], cast: Cast) -> list[Outcome]:
    """Find what each figure needs; a figure whose models cannot be found fails here.

    Args:
        figures: The figures.
        cast: The models that are measured for the paper's.
    """
    outcomes = [Outcome(figure) for figure in figures]
    for outcome in outcomes:
        try:
            outcome.needs = outcome.figure.needs(cast)
        except Exception as error:  # no hub, no such model: the other figures go on
            outcome.fail(_in_a_line(error))
    return outcomes


def jobs_of(outcomes: Sequence[Outcome]) -> list[Job]:
    """Every measurement that some figures need, each once, with those of one model together.

    Args:
        outcomes: From :func:`prepare`.
    """
    jobs = {
        (job := Job(need.measurement, role)).name: job
        for outcome in outcomes
        for need in outcome.needs.values()
        for role in need.roles
    }
    order = {label: place for place, label in enumerate(dict.fromkeys(job.role.label for job in jobs.values()))}
    return sorted(jobs.values(), key=lambda job: order[job.role.label])


def reproduce(figures: Sequence[Figure], profile: Profile, output: Path, say: Say = logger.info) -> list[Outcome]:
    """Measure what is missing, and write each figure's picture, numbers and comparison.

    A measurement is written whole or not at all, so that after a crash the next call measures only what is missing.
    Results of other settings, or of another version, have other names and are not used.

    Args:
        figures: The figures, from :func:`srtoolkit.reproduction.figures.find_figures`.
        profile: The profile to measure.
        output: Folder of the reproduction, made if need be.
        say: Called with a line of text about each step that was done.

    Returns:
        The outcome of each figure, in the order of ``figures``.
    """
    output.mkdir(parents=True, exist_ok=True)
    disk.remove_scratch(output)
    outcomes = prepare(figures, Cast(profile))
    errors: dict[tuple[str, str], str] = {}
    jobs = jobs_of(outcomes)
    for measurement in {job.measurement.key: job.measurement for job in jobs}.values():
        try:
            measurement.store(output).claim(mark(measurement.measure))
        except (ValueError, OSError) as error:
            errors |= {job.name: _in_a_line(error) for job in jobs if job.measurement.key == measurement.key}
    there = {job.name for job in jobs if job.name not in errors and job.done(output)}
    waiting = [job for job in jobs if job.name not in errors and job.name not in there]
    announce(list({(job.role.name, job.role.revision): None for job in waiting}))
    _make_what_can_be(outcomes, profile, output, there, errors, say)
    for label in dict.fromkeys(job.role.label for job in waiting):
        _measure([job for job in waiting if job.role.label == label], output, there, errors, say)
        _make_what_can_be(outcomes, profile, output, there, errors, say)
    return outcomes


def settings_of(figure: Figure, profile: Profile) -> str:
    """Sixteen hexadecimal digits that change with a figure's settings and with the version of this package.

    Settings and version determine measurements and models, so nothing need be looked up for this.

    Args:
        figure: The figure.
        profile: The profile that was measured.
    """
    return hashlib.sha256(f"{__version__} {figure.key} {profile!r}".encode()).hexdigest()[:16]


def models_of(needs: Mapping[str, Need]) -> str:
    """The models that a figure shows, in a few words; empty where nothing is measured for it.

    Args:
        needs: The measurements that the figure needs.
    """
    names = list(dict.fromkeys(role.name for need in needs.values() for role in need.roles))
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} to {names[-1]}, {len(names)} models"


def _measure(
    jobs: Sequence[Job], output: Path, there: set[tuple[str, str]], errors: dict[tuple[str, str], str], say: Say
) -> None:
    """All that one model is to be measured for; enters what is there after it, and what failed and why."""
    role = jobs[0].role
    by_key = {job.measurement.key: job for job in jobs}
    measures = {key: (job.measurement.measure, job.measurement.store(output)) for key, job in by_key.items()}
    say(f"{role.label}: is loaded for {', '.join(job.measurement.name for job in jobs)}")
    for end in run_tasks([Task(role.label, role.member, measures)]):
        job = by_key[end.measurement]
        what = job.measurement
        if end.error:
            errors[job.name] = " ".join(end.error.split())[:600]
            say(f"{role.label}: {what.name} FAILED: {errors[job.name]}")
            continue
        there.add(job.name)
        if end.seconds:  # else another process was faster
            say(f"{role.label}: {what.name} measured in {end.seconds:.0f} s ({what.words})")


def _make_what_can_be(
    outcomes: Sequence[Outcome],
    profile: Profile,
    output: Path,
    there: set[tuple[str, str]],
    errors: dict[tuple[str, str], str],
    say: Say,
) -> None:
    """Every figure that is still waiting and whose measurements are all there, or one of which failed."""
    for outcome in (outcome for outcome in outcomes if outcome.state == "waiting"):
        jobs = jobs_of([outcome])
        failed = [errors[job.name] for job in jobs if job.name in errors]
        if failed:
            outcome.fail(failed[0])
        elif all(job.name in there for job in jobs):
            try:
                _make(outcome, profile, output)
            except Exception as error:  # whatever a figure fails with, the others go on
                logger.debug("%s failed", outcome.figure.name, exc_info=True)
                outcome.fail(_in_a_line(error))
        else:
            continue
        say(f"{outcome.figure.name}: {outcome.state}{f': {outcome.error}' if outcome.error else ''}")


def _make(outcome: Outcome, profile: Profile, output: Path) -> None:
    """Draw one figure and write its picture, comparison and numbers, the latter last: they say that all is there."""
    found = {name: _join(need, output) for name, need in outcome.needs.items()}
    made = outcome.figure.make(profile, outcome.needs, found)
    stem = output / outcome.figure.stem
    outcome.models = models_of(outcome.needs)
    outcome.table, outcome.note = as_table(made.rows), made.note
    _write_picture(made, stem.with_suffix(".png"))
    disk.write_text(stem.with_suffix(".csv"), outcome.table.to_csv(index=False))
    about = {"figure": outcome.figure.name, "title": outcome.figure.title, "note": made.note, "profile": profile.name,
             "models": models_of(outcome.needs)}  # fmt: skip
    marked = made.numbers.assign_attrs(about, made_of=settings_of(outcome.figure, profile))
    results.save(marked, stem.with_suffix(".nc"))
    outcome.state = "made"


def _join(need: Need, output: Path) -> xr.Dataset:
    """A measurement on all its models, read from the store; refuses the same weights under two names."""
    return need.measurement.store(output).read([role.label for role in need.roles])


def _write_picture(made: Made, path: Path) -> None:
    """The picture as a file that is there whole or not at all."""
    drawn = io.BytesIO()
    made.picture.savefig(drawn, dpi=150, format="png")
    plt.close(made.picture)
    disk.write_whole(path, drawn.getvalue(), "take another --output")


def _in_a_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"

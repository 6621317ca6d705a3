"""The project's own rules: pins, direction of imports, documentation of public names."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import srtoolkit as srt

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MODULES = sorted((ROOT / "srtoolkit").rglob("*.py"))
CONDA_NAMES = {"matplotlib-base": "matplotlib", "pytorch": "torch"}

#: A module may import those before it, never those behind it.
ORDER = (
    *("arguments", "reference", "verdicts", "settings", "anatomy", "disk", "packaged", "paths", "measures"),
    *("suite.configuration", "suite.shipped", "suite.corpus", "suite.tokenizer", "suite.training"),
    *("suite.card", "suite.__main__"),
    *("stimuli.sets", "stimuli.lexicon", "stimuli.embeddings", "stimuli.sentences", "stimuli.translations"),
    "stimuli.__main__",
    *("weights", "models", "hub", "hub_errors", "cached_files", "downloads", "remote", "catalogue", "loading"),
    *("checks", "reads", "batching", "prefixes", "methods", "choices", "patching", "overflow", "prompts", "results"),
    *("interpolation", "sharpness", "summary", "comparisons"),
    *("matching", "groupings", "regions", "predictions", "controls"),
    *("polytopes", "boundaries", "planes", "refinement", "slices", "checkpoints", "stores", "executors", "sweeps"),
    *("counting", "work", "calibration", "costs"),
    *("canvas", "slice_plots", "flip_plots", "region_plots", "median_plots", "plot"),
    *("panels.picture", "panels.worker", "panels.text", "panels.base", "panels.picker", "panels.random_pairs"),
    *("panels.pair", "panels.token_bars", "panels.watched", "panels.interpolation", "panels.training"),
    *("panels.region_map", "panels.slice_canvas", "panels.slice_predictions", "panels.explored"),
    *("panels.slice_drawing", "panels.slice", "panels.__main__", "report"),
    *("reproduction.casting", "reproduction.comparing", "reproduction.configurations", "reproduction.measurements"),
    *("reproduction.figure", "reproduction.curve_figures", "reproduction.other_figures", "reproduction.figures"),
    *("reproduction.running", "reproduction.planning", "reproduction.page", "reproduction.terminal", "__main__"),
)


def requirements(names):
    return {requirement.name.lower(): requirement for requirement in map(Requirement, names)}


def everything():
    return requirements(itertools.chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()))


def test_environment_yml_has_the_same_bounds():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    from_pip = next(entry["pip"] for entry in listed if isinstance(entry, dict))
    plain = [entry for entry in listed if isinstance(entry, str)] + [
        entry for entry in from_pip if not entry.startswith("-")
    ]
    found = {CONDA_NAMES.get(name, name): requirement for name, requirement in requirements(plain).items()}
    assert str(found.pop("python").specifier) == PROJECT["requires-python"]
    found.pop("pip")
    for name, requirement in found.items():
        assert requirement.specifier == everything()[name].specifier, name
    assert set(requirements(PROJECT["dependencies"])) <= set(found)
    assert any(re.fullmatch(r"-e \.\[.*\]", entry) for entry in from_pip)


def test_constraints_pin_every_requirement_within_its_bounds():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    pins = {}
    for requirement in requirements(lines).values():
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", requirement
        pins[requirement.name.lower()] = specifier.version
    for name, requirement in everything().items():
        assert pins[name] in requirement.specifier, name
    assert pins["torch"] == "2.13.0"


def dotted(path):
    """A module's name within srtoolkit."""
    return ".".join(path.relative_to(ROOT / "srtoolkit").with_suffix("").parts)


def imported(path):
    """Names of srtoolkit modules that a module imports when it is imported itself."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "srtoolkit":
            home = node.module.removeprefix("srtoolkit").removeprefix(".")
            names |= {f"{home}.{alias.name}".removeprefix(".") for alias in node.names} if home in PACKAGES else {home}
    return names


#: Packages, whose imported names are modules.
PACKAGES = {"", "suite", "stimuli", "panels", "reproduction"}


@pytest.mark.parametrize("path", [path for path in MODULES if path.name != "__init__.py"], ids=dotted)
def test_imports_run_one_way(path):
    before = ORDER[: ORDER.index(dotted(path))]
    assert imported(path) <= set(before)


def test_only_three_modules_know_nnsight():
    knowing = {path.stem for path in MODULES if re.search(r"^\s*(import|from) nnsight", path.read_text(), re.M)}
    assert knowing == {"models", "patching"}


#: What would run code that a file holds, whichever name it was imported under.
UNPICKLING = re.compile(
    r"\b(pickle|dill|joblib|cloudpickle|shelve|marshal)\b|torch\.load\(|read_pickle|allow_pickle|weights_only"
)


def test_nothing_is_unpickled():
    for path in [*MODULES, *(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "notebooks").glob("*.ipynb")]:
        assert not UNPICKLING.search(path.read_text()), path


def test_code_of_a_model_runs_in_one_place_if_anywhere():
    sources = [*MODULES, *(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "notebooks").glob("*.ipynb")]
    assert {path.stem for path in sources if "trust_remote" in path.read_text()} == {"loading"}


def test_no_trace_is_stopped():
    for path in MODULES:
        calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
        assert not {call for call in calls if call.endswith(".stop")}, path


def test_every_public_name_is_documented_with_its_arguments():
    for name in srt.__all__:
        thing = getattr(srt, name)
        if inspect.ismodule(thing):
            continue
        text = inspect.getdoc(thing) or ""
        assert len(text) > 40, name
        if inspect.isfunction(thing) and not name.startswith(("available", "profile", "preset")):
            for argument in inspect.signature(thing).parameters:
                assert re.search(rf"^\s*\**{argument}\w*:", text, re.M), (name, argument)


def test_the_readme_names_the_commands_that_ci_runs():
    readme = (ROOT / "README.md").read_text()
    assert "make run" in readme and "make test" in readme
    assert "make test" in (ROOT / ".ci/run").read_text()


def test_importing_the_package_imports_no_architecture():
    """To look up one class of transformers' takes a second, for people who may load another model or none."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys, srtoolkit; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    heavy = {"transformers.modeling_utils", "transformers.models.llama.modeling_llama", "torch._dynamo", "sympy"}
    assert not heavy & set(done.stdout.split())

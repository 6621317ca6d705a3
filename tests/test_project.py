"""The project's own rules: pins, direction of imports, documentation of public names."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import pkgutil
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import axes
import srtoolkit as srt
from docs import rooms
from srtoolkit import results

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MODULES = sorted((ROOT / "srtoolkit").rglob("*.py"))
CONDA_NAMES = {"matplotlib-base": "matplotlib", "pytorch": "torch"}


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


LEVELS = {room: level for level, floor in enumerate(rooms.FLOORS) for room in floor}


def test_imports_run_down_only():
    assert {(upper, lower) for upper, lower in rooms.edges() if LEVELS[upper] <= LEVELS[lower]} == set()
    assert {path.relative_to(ROOT / "srtoolkit").parts[0].removesuffix(".py") for path in MODULES} == set(LEVELS)


def test_the_picture_of_the_rooms_is_that_of_the_code():
    told = (ROOT / "docs/architecture.txt").read_text()
    assert told == rooms.listed(rooms.edges()), "run `python -m docs.rooms`"


def test_at_most_eight_modules_lie_outside_the_rooms():
    assert len(list((ROOT / "srtoolkit").glob("*.py"))) <= 8


def test_one_room_and_the_models_know_nnsight():
    knowing = {path for path in MODULES if re.search(r"^\s*(import|from) nnsight", path.read_text(), re.M)}
    places = {path.relative_to(ROOT / "srtoolkit").as_posix() for path in knowing}
    assert {place for place in places if not place.startswith("patching/")} == {"models/model.py", "models/ndif.py"}


def loaded_after(code):
    """What a fresh process has loaded after some lines."""
    lines = f"import sys\n{code}\nprint(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True).stdout.split())


ANALYSIS = ["srtoolkit.analysis." + path.stem for path in MODULES if path.parent.name == "analysis"]


@pytest.mark.parametrize(
    "code",
    [
        "import srtoolkit",
        "import " + ", ".join(name.removesuffix(".__init__") for name in ANALYSIS),
        "from typer.testing import CliRunner; from srtoolkit.__main__ import app; CliRunner().invoke(app, ['--help'])",
    ],
    ids=["package", "analysis", "help"],
)
def test_what_needs_no_model_loads_no_torch(code):
    heavy = {"torch", "nnsight", "transformers"} | (set() if "analysis" in code else {"matplotlib", "pandas"})
    assert not heavy & loaded_after(code)


def test_the_stub_lists_every_public_name_and_all_resolve():
    body = ast.parse((ROOT / "srtoolkit/__init__.pyi").read_text()).body
    bound = [alias.name for node in body if isinstance(node, ast.ImportFrom) for alias in node.names]
    stated = next(ast.literal_eval(node.value) for node in body if isinstance(node, ast.Assign))
    assert sorted(bound) == sorted(stated) == sorted(srt.__all__) == sorted(dir(srt))
    assert all(getattr(srt, name) is not None for name in srt.__all__)


@pytest.mark.parametrize("name", ["plot", "panels", "prompts", "reference", "stimuli", "toy"])
def test_completion_offers_what_is_public_and_nothing_else(name):
    room = getattr(srt, name)
    assert dir(room) == sorted(room.__all__)


def test_the_table_of_axes_has_every_name_that_occurs_and_no_other():
    trees = [ast.parse(path.read_text()) for path in MODULES]
    occurring = {name for tree in trees for found in (axes.of_annotations, axes.of_results) for name in found(tree)}
    table = re.search(r"^=+  =+\n(.*)^=+  =+\n", results.__doc__, re.M | re.S)[1]
    assert occurring == {name.lstrip("_") for name in re.findall(r"``(\w+)``", table)}


@pytest.mark.filterwarnings("ignore:The module srtoolkit:DeprecationWarning")
def test_no_public_name_hides_a_module_of_its_package():
    for path in (path for path in MODULES if path.name == "__init__.py"):
        room = importlib.import_module(".".join(path.relative_to(ROOT).parts[:-1]))
        find = vars(room).get("__getattr__", vars(room).get)  # what loads on first use is found as if it were the first
        for name in {module.name for module in pkgutil.iter_modules(room.__path__)} & set(dir(room)):
            assert find(name) is importlib.import_module(f"{room.__name__}.{name}"), f"{room.__name__}.{name}"


#: What would run code that a file holds, whichever name it was imported under.
UNPICKLING = re.compile(
    r"\b(pickle|dill|joblib|cloudpickle|shelve|marshal)\b|torch\.load\(|read_pickle|allow_pickle|weights_only"
)


def test_nothing_is_unpickled():
    for path in [*MODULES, *(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "notebooks").glob("*.ipynb")]:
        assert not UNPICKLING.search(path.read_text()), path


def test_code_of_a_model_runs_in_one_room_if_anywhere():
    sources = [*MODULES, *(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "notebooks").glob("*.ipynb")]
    knowing = [path for path in sources if "trust_remote" in path.read_text()]
    assert knowing and all(path.is_relative_to(ROOT / "srtoolkit/models") for path in knowing)


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


@pytest.mark.slow
def test_no_public_name_is_taken_by_what_nnsight_gives_to_every_object():
    code = """
    import srtoolkit as srt
    srt.load_model("nano-0.4m")
    assert hasattr(object(), "save"), "nnsight mounts it no more: the package needs no property of its own"
    wrong = [name for name in srt.__all__ if type(getattr(srt, name)).__name__ == "method"]
    assert not wrong, wrong
    from srtoolkit import save
    assert save is srt.save is srt.results.save
    import cloudpickle, pickle
    assert pickle.loads(cloudpickle.dumps(srt)) is srt, "as a notebook's function brings it along"
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md", "README.md"])
def test_files_that_the_guides_name_are_there(page):
    named = re.findall(r"`([\w./-]+\.(?:py|pyi|md|yml|toml|txt|json|ipynb))`", (ROOT / page).read_text())
    rooms = [path for path in (ROOT / "srtoolkit").iterdir() if path.is_dir()]
    homes = [ROOT, ROOT / "srtoolkit", *rooms, ROOT / "tests", ROOT / "tests/support"]
    real = [name for name in named if "NN_" not in name]
    missing = {name for name in real if not any((home / name).exists() for home in homes)}
    assert real or page == "README.md"
    assert not missing


def test_the_table_of_calls_has_every_call():
    rows = [row for row in (ROOT / "docs/calls.md").read_text().splitlines() if row.startswith("|")]
    told = " ".join(code for row in rows for code in re.findall("`([^`]+)`", row))
    public = [name for name in srt.__all__ if not inspect.isclass(getattr(srt, name)) and not name.startswith("__")]
    # null_threshold works for one more release, and is told to nobody.
    assert [name for name in public if not re.search(rf"\b{name}\b", told)] == ["null_threshold"]

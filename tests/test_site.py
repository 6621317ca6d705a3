"""The site: built without a warning, whole, and asking no server."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import srtoolkit as srt
from docs import public_names

ROOT = Path(__file__).parents[1]

#: What makes a browser fetch something by itself; a link is followed by a reader alone.
FETCHED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "link": "href",
    "source": "src",
    "video": "src",
    "audio": "src",
}

#: Hosts that pages link to: papers, libraries and their documentation.
LINKED = {
    "arxiv.org", "doi.org", "github.com", "xarray.dev", "nnsight.net", "docs.kidger.site", "semver.org",
    "huggingface.co", "download.pytorch.org", "www.sphinx-doc.org", "pradyunsg.me",
}  # fmt: skip


class Seen(HTMLParser):
    """What a page fetches, links to, and can be linked at."""

    def __init__(self, path):
        super().__init__()
        self.fetched, self.linked, self.places = [], [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.places.add(given.get("id"))
        if tag in FETCHED and given.get(FETCHED[tag]) and given.get("rel") != "canonical":
            self.fetched.append(given[FETCHED[tag]])
        if tag == "a" and given.get("href"):
            self.linked.append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [
        "-m",
        "sphinx",
        "--quiet",
        "--fail-on-warning",
        "--keep-going",
        "-c",
        "docs",
        "-d",
        str(folder / "cache"),
    ]
    done = subprocess.run(
        [sys.executable, *command, ".", str(folder / "site")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def seen(site):
    return {path.relative_to(site).as_posix(): Seen(path) for path in site.rglob("*.html")}


pytestmark = pytest.mark.slow


def test_every_public_name_has_an_entry(seen):
    places = set().union(*(page.places for name, page in seen.items() if name.startswith("docs/api/")))
    for name in srt.__all__:
        if name != "__version__":
            thing = getattr(srt, name)
            inside = public_names.members(thing) if hasattr(thing, "__path__") else []
            found = [f"srtoolkit.{name}.{member}" for member in inside if not _told_above(thing, member)]
            assert {f"module-srtoolkit.{name}", f"srtoolkit.{name}"} & places, name
            assert set(found) <= places, name


def _told_above(module, member):
    return member in srt.__all__ and getattr(srt, member) is getattr(module, member)


def test_every_notebook_has_a_page_with_its_pictures(site, seen):
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert notebooks
    for path in notebooks:
        page = seen[f"notebooks/{path.stem}.html"]
        drawn = len(re.findall('"image/png"', path.read_text()))
        assert sum("_images" in one for one in page.fetched) >= min(drawn, 1), path.stem
        assert any(f"{path.stem}.html" in link for link in seen["docs/notebooks.html"].linked)


def test_nothing_is_fetched_from_another_host(site, seen):
    away = {(name, one) for name, page in seen.items() for one in page.fetched if re.match(r"(\w+:)?//", one)}
    assert not away
    for path in [*site.rglob("*.css"), *site.rglob("*.js")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(url\(|@import|import\()\s*['\"]?(https?:)?//", text), path


def test_links_away_go_where_pages_may_link(seen):
    hosts = {
        re.match(r"https?://([^/]+)", link)[1]
        for page in seen.values()
        for link in page.linked
        if link.startswith("http")
    }
    assert hosts <= LINKED


def test_links_within_the_site_lead_somewhere(site, seen):
    lost = set()
    for name, page in seen.items():
        for link in page.linked:
            if re.match(r"\w+:", link):
                continue
            target, _, place = link.partition("#")
            path = (site / name).parent.joinpath(target).resolve() if target else site / name
            there = seen.get(path.relative_to(site).as_posix())
            if not path.exists() or (place and there and place not in there.places):
                lost.add((name, link))
    assert not lost


def test_the_first_page_leads_on(site, seen):
    assert 'url=README.html"' in (site / "index.html").read_text()
    assert {"docs/recipes/index.html", "docs/api/index.html", "docs/faq.html"} <= set(seen["README.html"].linked)


def test_no_path_of_this_machine_is_told(site):
    for path in site.rglob("*.html"):
        assert str(ROOT) not in path.read_text(encoding="utf-8"), path


def test_a_warning_stops_the_build(tmp_path):
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (tmp_path / "README.md").write_text("# Page\n\n[nowhere](docs/nowhere.md)\n")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-c", "docs", "-D", "include_patterns=README.md", ".", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0 and "nowhere" in done.stderr

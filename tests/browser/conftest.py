"""One server a test process; one browser, and one notebook with a panel in it, a test file."""

from __future__ import annotations

import re
import shutil

import pytest
from playwright.sync_api import sync_playwright

from driver import Notebook
from lab import BUILD, serve

#: A browser in a container: no sandbox for root, no GPU, and nothing that would look for a network.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)

HOW_TO_INSTALL = """The panels are tested in a real browser, and no chromium is on the PATH. On Debian and Ubuntu:
    apt-get install -y --no-install-recommends chromium fonts-dejavu-core"""


@pytest.fixture(scope="session")
def lab(tmp_path_factory, worker_id):
    BUILD.mkdir(parents=True, exist_ok=True)
    with serve(tmp_path_factory.mktemp("lab"), BUILD / f"lab-{worker_id}.log") as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    # Playwright keeps an event loop running in this thread, which other tests of this process must not find.
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.fail(HOW_TO_INSTALL, pytrace=False)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, headless=True, args=list(ARGUMENTS))
        yield running
        running.close()


@pytest.fixture
def open_file(browser):
    """Opens a page that lies in a file, which then has asked nothing of anybody and told no error."""
    left = []

    def opening(path, width, height, picture):
        page, wrong = browser.new_page(viewport={"width": width, "height": height}), []
        page.on("request", lambda asked: wrong.append(asked.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text))
        page.goto(path.as_uri())
        left.append((page, picture, path.as_uri(), wrong))
        return page

    yield opening
    for page, picture, address, wrong in left:
        page.screenshot(path=BUILD / picture)
        page.close()
        assert wrong == [address]


@pytest.fixture(scope="module")
def opened(request, browser, lab):
    """The notebook of this file's ``CELLS``, run."""
    page = browser.new_page(viewport={"width": 1280, "height": 1400})
    notebook = Notebook(page, lab, request.module.__name__.rpartition(".")[2], request.module.CELLS)
    notebook.run()
    yield notebook
    notebook.close()


@pytest.fixture
def notebook(opened, request):
    """The same, watched: after every test a picture is kept, and nothing may have gone wrong unseen."""
    opened.errors.clear()
    yield opened
    name = re.sub(r"\W+", "-", request.node.name).strip("-")
    opened.screenshot(BUILD / request.module.__name__.rpartition(".")[2] / f"{name}.png")
    assert opened.errors == []
    assert opened.elsewhere == []

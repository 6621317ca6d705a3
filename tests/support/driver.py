"""A person at a notebook in JupyterLab: types, drags, presses keys, looks, and asks the kernel what it has."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Locator, Page

from lab import Lab

#: Milliseconds that a kernel may take to start and to import, on a machine that does much else.
PATIENCE = 60_000

_NOTEBOOK = "window.jupyterapp?.shell?.currentWidget"
_IDLE = f"{_NOTEBOOK}?.context?.sessionContext?.session?.kernel?.status === 'idle'"
_CELLS = f"{_NOTEBOOK}.content.model.sharedModel.toJSON().cells.filter(cell => cell.cell_type === 'code')"

# Asked beside the notebook's own cells, so that no execution count changes.
_ASK = f"""async code => {{
  const future = {_NOTEBOOK}.context.sessionContext.session.kernel.requestExecute({{code, store_history: false}});
  let said = '', failed = null;
  future.onIOPub = message => {{
    if (message.header.msg_type === 'stream' && message.content.name === 'stdout') said += message.content.text;
    if (message.header.msg_type === 'error') failed = message.content.ename + ': ' + message.content.evalue;
  }};
  await future.done;
  return [said, failed];
}}"""


# Colour of a text, and of the nearest thing behind it that has one.
_COLOURS = """text => {
  const opaque = colour => !/, 0\\)$|transparent/.test(colour);
  let behind = text;
  while (behind.parentElement && !opaque(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
  return [getComputedStyle(text).color, getComputedStyle(behind).backgroundColor];
}"""


def contrast(one: str, other: str) -> float:
    """Of two CSS colours, as WCAG 2 defines it: from 1 to 21."""

    def luminance(colour: str) -> float:
        channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


class Notebook:
    """A notebook in a page of its own.

    Args:
        page: An empty page of the browser.
        lab: The server.
        name: Of the notebook's file.
        cells: Source code of its cells.
    """

    def __init__(self, page: Page, lab: Lab, name: str, cells: list[str]) -> None:
        self.page, self.errors, self.elsewhere = page, [], []
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        page.on("request", lambda request: self._watch(request.url, lab.url))
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}  # else the page asks which
        nbformat.write(notebook, lab.folder / f"{name}.ipynb")
        page.goto(f"{lab.url}/lab/tree/{name}.ipynb?token={lab.token}&reset")
        page.wait_for_function(f"path => {_NOTEBOOK}?.context?.path === path && {_IDLE}", arg=f"{name}.ipynb")

    def _watch(self, url: str, home: str) -> None:
        if not url.startswith((home, home.replace("http", "ws", 1), "data:", "blob:")):
            self.elsewhere.append(url)

    def run(self) -> None:
        """Run all cells, every one of which must run without an error."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
        cells = self.page.evaluate(f"() => {_CELLS}")
        failed = [output for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]
        assert not failed, "\n".join(failed[0]["traceback"])
        assert cells and all(cell["execution_count"] for cell in cells), "a cell did not run"

    def kernel(self, code: str) -> str:
        """What the kernel prints when it runs ``code``."""
        said, failed = self.page.evaluate(_ASK, code)
        assert failed is None, failed
        return str(said)

    def value(self, expression: str) -> Any:
        """The value of a Python expression in the kernel: numbers, texts, and lists of these."""
        return json.loads(self.kernel(f"import json; print(json.dumps({expression}, default=float))"))

    def wait_for(self, expression: str, expected: Any) -> None:
        """Wait until an expression in the kernel has this value.

        What is done to a control is not in the kernel at once, and what is asked of the kernel afterwards may be
        answered before: JupyterLab sends widgets' messages to another thread there.
        """
        end = time.monotonic() + PATIENCE / 1000
        while (found := self.value(expression)) != expected:
            assert time.monotonic() < end, f"{expression} is {found}, not {expected}"
            self.page.wait_for_timeout(50)

    def settle(self, panel: str = "panel") -> None:
        """Wait until a panel has computed, and the page has had what the kernel sent."""
        self.kernel(f"{panel}.settle()")
        self.page.wait_for_timeout(50)

    def labelled(self, label: str) -> Locator:
        """The control with this visible label."""
        return self.page.locator(f".srt-panel *:has(> .widget-label:text-is({json.dumps(label)}))").first

    def _arrive(self, label: str, trait: str, shown: Any) -> None:
        """Wait until the kernel's control with this label has what the page shows."""
        controls = "__import__('ipywidgets').widgets.widget._instances.values()"
        self.wait_for(
            f"{shown!r} in [one.{trait} for one in [*{controls}] if getattr(one, 'description', None) == {label!r}]",
            True,
        )

    def _arrive_readout(self, label: str) -> float | str:
        """Wait until the kernel has what a slider's readout shows: a number, or the name of an option."""
        shown = self.labelled(label).locator(".widget-readout").inner_text()
        try:
            number = float(shown)
        except ValueError:
            self._arrive(label, "label", shown)
            return shown
        self._arrive(label, "value", number)
        return number

    def drag(self, label: str, share: float) -> float | str:
        """Drag a slider's handle to a share of its length; returns what it then shows."""
        slider = self.labelled(label)
        handle, track = slider.locator(".noUi-handle"), slider.locator(".noUi-target")
        handle.scroll_into_view_if_needed()
        start, length = handle.bounding_box(), track.bounding_box()
        assert start and length
        height = start["y"] + start["height"] / 2
        self.page.mouse.move(start["x"] + start["width"] / 2, height)
        self.page.mouse.down()
        self.page.mouse.move(length["x"] + length["width"] * share, height, steps=10)
        self.page.mouse.up()
        return self._arrive_readout(label)

    def press(self, label: str, *keys: str) -> float | str:
        """Press keys on a slider's handle; returns what it then shows."""
        self.labelled(label).locator(".noUi-handle").focus()
        for key in keys:
            self.page.keyboard.press(key)
        return self._arrive_readout(label)

    def enter(self, label: str, value: float) -> float | str:
        """Type a number into a slider's readout; returns what it then shows."""
        self.labelled(label).locator(".widget-readout").click()
        self._replace(str(value))
        self.page.keyboard.press("Enter")
        return self._arrive_readout(label)

    def type(self, label: str, text: str, delay: float = 0) -> None:
        """Type a text into a field, in place of what is there, and leave it.

        Args:
            label: Of the field.
            text: With any characters.
            delay: Milliseconds between two keys; without, the text comes in one piece, as if pasted.
        """
        self.labelled(label).locator("input, textarea").click()
        if delay:
            self.page.keyboard.press("Control+A")
            self.page.keyboard.type(text, delay=delay)
        else:
            self._replace(text)
        self.page.keyboard.press("Tab")
        self._arrive(label, "value", text)

    def edit(self, label: str, text: str) -> None:
        """Click the tokens of a prompt, type another text in their place, and leave the field.

        Args:
            label: Name of the prompt.
            text: With any characters.
        """
        prompt = self.labelled(label)
        prompt.locator(".srt-prompt-tokens").click()
        self._replace(text)
        prompt.locator("button").click()
        self._arrive(label, "value", text)

    def _replace(self, text: str) -> None:
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(text)

    def choose(self, label: str, option: str) -> None:
        """Choose an option of a list by its text."""
        self.labelled(label).locator("select").select_option(label=option)
        self._arrive(label, "label", option)

    def click(self, button: str) -> None:
        """Click the button with this text."""
        self.page.locator(f"button.jupyter-button:text-is({json.dumps(button)})").first.click()

    def picture(self) -> Locator:
        """The panel's picture."""
        return self.page.locator(".srt-panel img").first

    def status(self) -> Locator:
        """The panel's line of text."""
        return self.page.locator(".srt-panel [data-srt=status]").first

    def error(self) -> Locator:
        """The panel's error line, where there is one."""
        return self.page.locator(".srt-panel [data-srt=error]").first

    def check(self) -> str:
        """The alternative text, once the page shows what the kernel has: the picture, and words beside and below it.

        A control's value is in the kernel before its callback has ended, so the two must agree twice in a row.
        """
        self.settle()
        end, agreed = time.monotonic() + PATIENCE / 1000, 0
        while agreed < 2:
            alt = str(self.value("panel.alt"))
            png = self.value("__import__('base64').b64encode(panel.png).decode()")
            picture, words = self.picture(), self.status().inner_text()
            source = picture.get_attribute("src") or ""
            same = (picture.get_attribute("alt"), words.split(), source.partition("base64,")[2]) == (
                alt,
                alt.split(),
                png,
            )
            agreed = agreed + 1 if same else 0
            assert same or time.monotonic() < end, f"the kernel has {alt!r}, the page {words!r}"
            self.page.wait_for_timeout(100)
        assert self.picture().evaluate("image => image.complete && image.naturalWidth > 0")
        return alt

    def use_dark_theme(self, dark: bool) -> None:
        """Change JupyterLab's theme."""
        theme = f"JupyterLab {'Dark' if dark else 'Light'}"
        self.page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
        self.page.wait_for_function("dark => (document.body.dataset.jpThemeLight === 'false') === dark", arg=dark)
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")

    def check_contrast(self, *selectors: str, fill: bool = False) -> None:
        """Text in the panel stands out from what is behind it as much as WCAG 2 asks for: 4.5 to 1.

        Args:
            selectors: Of texts in the panel, the first of each.
            fill: They are texts of an SVG, whose colour is their fill.
        """
        for selector in selectors:
            text = self.page.locator(f".srt-panel {selector}").first
            colour, behind = text.evaluate(_COLOURS)
            if fill:
                colour = text.evaluate("text => getComputedStyle(text).fill")
            assert contrast(colour, behind) >= 4.5, (selector, colour, behind)

    def check_pictures_fit(self) -> None:
        """No picture of the panel reaches beyond it, where it would be cut off."""
        beyond = self.page.locator(".srt-panel").first.evaluate(
            """panel => [...panel.querySelectorAll('img, canvas')].map(
              picture => picture.getBoundingClientRect().right - panel.getBoundingClientRect().right)"""
        )
        assert beyond and max(beyond) <= 0.5, beyond

    def screenshot(self, path: Path) -> None:
        """Keep what the page looks like."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path)

    def close(self) -> None:
        """End the kernel and the page."""
        self.page.evaluate(f"() => {_NOTEBOOK}.context.sessionContext.shutdown()")
        self.page.close()

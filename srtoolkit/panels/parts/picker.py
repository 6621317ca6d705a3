"""The control of the model: a packaged one, one from the hub, or one in a folder."""

from __future__ import annotations

import threading
from collections.abc import Callable
from weakref import WeakValueDictionary

import ipywidgets as W

from srtoolkit.models.catalogue import available_models
from srtoolkit.models.loading import load_model
from srtoolkit.models.model import Model
from srtoolkit.panels.parts.panel import Panel
from srtoolkit.panels.parts.worker import JobProgress

#: The model of a panel that was given none: small, and in the package.
DEFAULT = "nano-1m"

_OTHER = "another: hub id or folder"

# Panels that ask for the same model share it, as long as one of them holds it.
_LOADED: WeakValueDictionary[tuple[str, str | None], Model] = WeakValueDictionary()
_LOADING = threading.Lock()


class ModelPicker(W.HBox):
    """Controls that choose a model: one of :func:`srtoolkit.available_models`, a hub id or a folder, at any revision.

    The panel loads the model on its worker, shows progress and errors, and keeps its former model until then.

    Args:
        name: Name of the model that is chosen at first.
        revision: Revision that is chosen at first; the latest where ``None``.
    """

    def __init__(self, name: str = DEFAULT, revision: str | None = None) -> None:
        rows = available_models()
        known = list(rows["name"])
        options = [
            (
                f"{row['name']} ({_size(int(row['parameters']))}{'' if row['works_offline'] else ', to be fetched'})",
                name,
            )
            for name, row in zip(known, rows.to_dict("records"), strict=True)
        ]
        style = {"description_width": "initial"}
        self.choice = W.Dropdown(
            options=[*options, (_OTHER, _OTHER)], value=name if name in known else _OTHER, description="model",
            style=style, layout=W.Layout(width="290px"),
        )  # fmt: skip
        self.other = W.Text(
            value="" if name in known else name, description="hub id or folder", disabled=name in known,
            style=style, layout=W.Layout(width="290px"),
        )  # fmt: skip
        self.revision = W.Text(
            value=revision or "", description="revision", placeholder="the latest",
            style=style, layout=W.Layout(width="180px"),
        )  # fmt: skip
        self.load = W.Button(description="Load model", icon="download")
        self.choice.observe(self._toggle, "value")
        super().__init__([self.choice, self.other, self.revision, self.load], layout=W.Layout(flex_flow="row wrap"))

    @property
    def name(self) -> str:
        """Name of the model that is chosen."""
        return str(self.other.value.strip() if self.choice.value == _OTHER else self.choice.value)

    def attach(self, panel: Panel, then: Callable[[Model], None]) -> None:
        """Load the chosen model whenever the button is clicked, as a job of a panel.

        Args:
            panel: The panel, which shows progress and errors.
            then: Function that takes the loaded model.
        """
        self.load.on_click(lambda _: panel.run(lambda: self.fetch(panel, then)))

    def fetch(self, panel: Panel, then: Callable[[Model], None]) -> None:
        """Load the chosen model, as a job of a panel.

        Args:
            panel: The panel, which shows progress and errors.
            then: Function that takes the loaded model.

        Raises:
            ValueError: No model is chosen.
        """
        name, revision = self.name, self.revision.value.strip() or None
        if not name:
            raise ValueError("no model is named; type a Hugging Face id or a folder, or choose one from the list.")

        def job(_: JobProgress) -> Model:
            return shared_model(name, revision)

        panel.submit(job, then, f"loading {name}{f' at {revision}' if revision else ''}")

    def _toggle(self, _: object) -> None:
        self.other.disabled = self.choice.value != _OTHER
        self.revision.value = ""  # another model has other revisions


def shared_model(name: str, revision: str | None = None) -> Model:
    """A loaded model, which all panels that ask for it share.

    Args:
        name: Name of the model, as :func:`srtoolkit.load_model` takes it.
        revision: Branch, tag or commit; the main one where ``None``.
    """
    with _LOADING:
        model = _LOADED.get((name, revision))
        if model is None:
            model = _LOADED[name, revision] = load_model(name, revision=revision)
        return model


def load_call(model: Model) -> str:
    """The code of the call that loads a model, or that wraps what was in memory.

    Args:
        model: From :func:`srtoolkit.load_model` or :func:`srtoolkit.wrap`.
    """
    arguments = [repr(model.name)]
    if model.init == "given":
        revision = f", revision={model.revision!r}" if model.revision is not None else ""
        return f"srt.wrap(hf_model, tokenizer, name={model.name!r}{revision})  # the model and tokenizer in memory"
    if model.revision is not None:
        arguments.append(f"revision={model.revision!r}")
    if model.init != "pretrained":
        arguments.append(f"init={model.init!r}, seed={model.seed}")
    if model.dtype != "float32":
        arguments.append(f"dtype={model.dtype!r}")
    if model.remote:
        arguments.append(f"remote={model.remote!r}")
    return f"srt.load_model({', '.join(arguments)})"


def _size(parameters: int) -> str:
    return f"{parameters / 1e9:.1f}B" if parameters >= 1e9 else f"{parameters / 1e6:.1f}M"

"""Panels that measure a model: the choice of another model, and of the block whose output is replaced."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import ipywidgets as W

from srtoolkit.models.model import Model
from srtoolkit.panels.parts.panel import Panel
from srtoolkit.panels.parts.picker import DEFAULT, ModelPicker


class ModelPanel(Panel):
    """A panel that measures a model, which the user can exchange for another.

    A subclass makes its controls, places them with ``arrange``, and calls ``begin``. Whatever else asks for a
    measurement calls ``request``.

    Args:
        title: Heading of the panel.
        model: From :func:`srtoolkit.load_model`, or the name of a model; a small packaged model by default.
        layer: Block whose output is replaced at first.

    Attributes:
        model: The model that is measured; ``None`` while it is being loaded.
        picker: Control of the model.
        layer: Control of the block whose output is replaced; it goes as far as the model has blocks.
    """

    def __init__(self, title: str, model: Model | str | None, layer: int) -> None:
        super().__init__(title)
        self.model = model if isinstance(model, Model) else None
        if isinstance(model, Model):
            self.picker = ModelPicker(model.name, model.revision)
        else:
            self.picker = ModelPicker(model or DEFAULT)
        last = self.model.n_layers - 1 if self.model is not None else max(layer, 1)
        style = {"description_width": "initial"}
        self.layer = W.IntSlider(layer, 0, last, description="after block", continuous_update=False, style=style)
        self._held = False

    def begin(self) -> None:
        """Follow the controls of model and block, and measure the first model, after loading it if need be."""
        self.picker.attach(self, self.use)
        self.follow(self.layer, self.request)
        if self.model is None:
            self.run(lambda: self.picker.fetch(self, self.use))
        else:
            self.use(self.model)

    def use(self, model: Model) -> None:
        """Measure another model from now on.

        Args:
            model: From :func:`srtoolkit.load_model`.
        """
        with self.lock:
            self.model = model
            with self.held():
                self.layer.max = model.n_layers - 1
            self.run(self.request)

    def request(self) -> None:
        """Compute what the controls ask for, in the background."""
        if self.model is not None and not self._held:
            self.ask(self.model)

    def ask(self, model: Model) -> None:
        """Submit the job that measures what the controls ask for.

        Args:
            model: The model to measure.
        """
        raise NotImplementedError

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """A context in which controls may change without a measurement."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

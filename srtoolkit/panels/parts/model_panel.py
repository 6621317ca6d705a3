"""What all panels share that measure a model: the choice of another one, and the block whose output is replaced."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import ipywidgets as W

from srtoolkit.models.model import Model
from srtoolkit.panels.parts.panel import Panel
from srtoolkit.panels.parts.picker import DEFAULT, ModelPicker


class ModelPanel(Panel):
    """A panel that measures a model, which the user can exchange for another.

    A panel of this kind makes its controls, puts them in their places with ``arrange``, and calls ``begin``. Everything
    else that asks for a measurement calls ``request``.

    Args:
        title: Heading.
        model: From :func:`srtoolkit.load_model`, or the name of one; a small packaged one by default.
        layer: Block whose output is replaced at first.

    Attributes:
        model: What is measured; ``None`` as long as it is being loaded.
        picker: Choice of another model.
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
        """Follow the choice of the model, and measure the first one, which is loaded if only its name is known."""
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
            model: What is measured.
        """
        raise NotImplementedError

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Within this, controls may change without a measurement."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

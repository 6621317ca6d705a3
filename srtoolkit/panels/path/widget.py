"""The widget of one path: the curve, and the point on it that one drags."""

from __future__ import annotations

import anywidget
import traitlets as T

from srtoolkit.panels.parts.assets import script, style


class PathPicture(anywidget.AnyWidget):
    """A path to drag along by mouse, touch or keys. Dragging asks no kernel; the point is sent when it ends.

    Attributes:
        story: What is drawn, from :func:`srtoolkit.panels.path.story.tell`; empty before there is a result.
        value: Alpha of the point that is shown; page and kernel may both set it.
        ghost: Whether the speed in a model of shuffled weights is drawn, too.
        stale: Whether what is drawn is not what was asked for, so that it is dimmed.
        description: Name of the point, as other controls have it.
    """

    _esm = script("path", "path")
    _css = style("path", "path")

    story = T.Dict().tag(sync=True)
    value = T.Float(0.5, min=0, max=1).tag(sync=True)
    ghost = T.Bool(False).tag(sync=True)
    stale = T.Bool(False).tag(sync=True)
    description = T.Unicode("alpha").tag(sync=True)

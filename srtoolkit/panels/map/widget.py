"""The widget of the map: dots with their texts under the pointer, and the path between two that one clicks."""

from __future__ import annotations

import anywidget
import traitlets as T

from srtoolkit.panels.parts.assets import script, style


class MapPicture(anywidget.AnyWidget):
    """Prompts on a map, and the curve of the path between two of them. A click takes a prompt as the path's new end.

    Attributes:
        dots: ``x``, ``y``, ``text``, ``word`` (its last), ``name`` (its class), ``marker`` and ``colour`` (CSS) of each
            prompt.
        edges: Pairs of dots between which there is no jump, each with 1 where it belongs to the tree of its group,
            which is drawn always, else 0.
        picked: Dots where the path starts and ends. Page and kernel may both set it.
        curve: ``alpha`` and ``values`` of the path that is picked, and ``low`` and ``high``, the ends of the axis;
            ``values`` is empty where there is no path.
        heading: What the map shows, in words.
        path: What the path shows, in words.
        near: What it means that two dots are near each other.
        label: All of it, in words.
    """

    _esm = script("map", "map")
    _css = style("map", "map")

    dots = T.List(T.Dict()).tag(sync=True)
    edges = T.List(T.List(T.Int())).tag(sync=True)
    picked = T.List(T.Int(), [0, 0]).tag(sync=True)
    curve = T.Dict().tag(sync=True)
    heading = T.Unicode().tag(sync=True)
    path = T.Unicode().tag(sync=True)
    near = T.Unicode().tag(sync=True)
    label = T.Unicode().tag(sync=True)

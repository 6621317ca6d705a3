"""A text whose tokens are coloured by a number, with all numbers of a token on hover, as HTML that asks for nothing."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import matplotlib as mpl
import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.colors import to_hex

from srtoolkit.validation import check_dataset, check_variable

#: Part of the colour map that black text can be read on, from the least to the largest value.
_SHADES = (0.0, 0.62)

#: What is shown of a token on hover: a variable over ``pos``, its name, its unit.
_SHOWN = (
    ("boundary", "nearest boundary", ""),
    ("predicted_boundary", "by derivatives", ""),
    ("surprisal", "surprisal", " nats"),
    ("entropy", "entropy", " nats"),
)

#: What is said of a token stands below its line: under the token where the browser can place it so, else at the left,
#: and never beyond the text's edge.
_STYLE = """
.srt-text{font:16px/2.1 ui-monospace,monospace;color:#111;background:#fff;padding:10px;max-width:60em}
.srt-text p{position:relative;white-space:pre-wrap;overflow-wrap:anywhere;margin:0 0 10px}
.srt-text .t{border-radius:3px;padding:2px 0;cursor:default}
.srt-text .t:hover,.srt-text .t:focus{outline:2px solid #111}
.srt-text .t:hover::after,.srt-text .t:focus::after{content:attr(data-tip);position:absolute;left:0;margin-top:2em;
z-index:9;width:min(24em,100%);box-sizing:border-box;white-space:pre-wrap;
font:13px/1.45 system-ui,sans-serif;background:#111;color:#fff;border-radius:4px;padding:6px 9px}
@supports (left:anchor(left)){.srt-text .t:hover,.srt-text .t:focus{anchor-name:--srt-token}
.srt-text .t:hover::after,.srt-text .t:focus::after{position-anchor:--srt-token;
left:max(0px,min(anchor(left),100% - 24em))}}
.srt-text small{font:13px/1.5 system-ui,sans-serif;display:block}
.srt-text i{display:inline-block;width:1.1em;height:1em;vertical-align:-0.15em}
"""


@dataclass(frozen=True)
class TextPicture:
    """A coloured text, which a notebook shows and a browser opens.

    Attributes:
        html: The picture as a piece of HTML, with its style; no script, and no request.
    """

    html: str = field(repr=False)

    def _repr_html_(self) -> str:
        return self.html

    def page(self, title: str) -> str:
        """A whole page with the picture.

        Args:
            title: Heading of the page.
        """
        name = html.escape(title)
        return (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1"></head>'
            f'<body style="margin:1em;background:#fff;color:#111;font-family:system-ui,sans-serif">'
            f"<h1>{name}</h1>{self.html}</body></html>\n"
        )


def text(result: xr.Dataset, of: str = "boundary") -> TextPicture:
    """A text with each token coloured by its distance from the nearest boundary, the darkest nearest.

    Colours go by rank, so that one far token does not bleach the rest. All numbers of a token show under the pointer,
    or where the keyboard stands.

    Args:
        result: From :func:`srtoolkit.text_map`.
        of: The variable over ``pos`` to colour by.

    Returns:
        The picture; what a notebook's cell ends with is shown.

    Raises:
        TypeError: ``result`` is no Dataset.
        ValueError: It is of another call, or has no such variable.
    """
    check_dataset(result, ("token_text", *(name for name, _, _ in _SHOWN)), "result", "srtoolkit.text_map")
    values = check_variable(result, of, ("pos",), "of").values.astype(np.float64)
    shades = _shades(values)
    tokens = "".join(map(_token, result["token_text"].values.tolist(), shades, _tips(result)))
    known = values[np.isfinite(values)]
    ends = [f"{end:.3g}" for end in (known.min(), known.max())] if len(known) else ["?", "?"]
    name = str(result[of].attrs.get("long_name", of))
    about = f"{result.attrs.get('model', 'a model')}, after block {result.attrs.get('layer', '?')}"
    legend = "".join(f'<i style="background:{shade}"></i>' for shade in _shades(np.arange(9.0)))
    most = "; none found" if np.isinf(values).any() else ""
    said = html.escape(f"{name}: {ends[0]}"), html.escape(f"{ends[1]}{most} ({about}; colours by rank)")
    return TextPicture(
        f'<div class="srt-text"><style>{_STYLE}</style><p>{tokens}</p><small>{said[0]} {legend} {said[1]}</small></div>'
    )


def _token(word: str, shade: str, tip: str) -> str:
    tip, word = html.escape(tip), html.escape(word)
    return f'<span class="t" tabindex="0" style="background:{shade}" data-tip="{tip}">{word}</span>'


def _tips(result: xr.Dataset) -> Iterator[str]:
    """What is said of each token."""
    for place in range(result.sizes["pos"]):
        one = result.isel(pos=place)
        yield "\n".join(
            [
                f"token {place}: {one['token_text'].item()!r}",
                *(f"{name} {_number(one[key].item(), unit)}" for key, name, unit in _SHOWN),
                *_ways(one),
                f"likeliest next {one['top_text'].item()!r}" if "top_text" in one else "",
            ]
        ).strip()


def _ways(one: xr.Dataset) -> Iterator[str]:
    """The way to each of a token's alternatives."""
    if not {"alternative_text", "radius", "away"} <= set(one.variables):
        return
    for way in range(one.sizes["alternative"]):
        other = one.isel(alternative=way)
        radius, away = (_number(other[name].item()) for name in ("radius", "away"))
        yield f"towards {other['alternative_text'].item()!r}: {radius} of {away}"


def _number(value: float, unit: str = "") -> str:
    if math.isnan(value):
        return "unknown"
    return "none found" if math.isinf(value) else f"{value:.3g}{unit}"


def _shades(values: Float[np.ndarray, " pos"]) -> list[str]:
    """A colour for each value by its rank, dark for the least; white where it is unknown."""
    found = np.full(len(values), "#ffffff", dtype=object)
    known = ~np.isnan(values)
    ranks = np.searchsorted(np.unique(values[known]), values[known])
    most = max(1, int(ranks.max(initial=0)))
    places = _SHADES[1] + (_SHADES[0] - _SHADES[1]) * ranks / most
    found[known] = [to_hex(colour) for colour in mpl.colormaps["YlOrRd"](places)]
    return [str(shade) for shade in found]

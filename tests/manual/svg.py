"""Pictures as SVG: boxes, circles, lines and text, in colours for light and for dark, on a ground of their own."""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import escape

Point = tuple[float, float]

FONT_WIDTH: Final = 7.4
"""Width of a character of the text at 13 pixels, with some to spare: how wide boxes have to be."""
_LINE: Final = 17

_STYLE: Final = """\
text { font: 13px Inter, "Segoe UI", "DejaVu Sans", Verdana, Arial, sans-serif; fill: #1f2933; }
.small { font-size: 12px; fill: #52606d; }
.strong { font-weight: 600; }
.code { font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: 12.5px; }
.ground { fill: #ffffff; stroke: #d5dbe3; }
.box { fill: #eef2f7; stroke: #7b8794; }
.core { fill: #e0ecff; stroke: #2f6fdb; }
.allow { fill: #e1f5e6; stroke: #2c8a4b; }
.deny { fill: #fde6e4; stroke: #c63b31; }
.challenge { fill: #fff1d6; stroke: #b7791f; }
.state { fill: #ffffff; stroke: #52606d; stroke-width: 1.5; }
.line { fill: none; stroke: #52606d; stroke-width: 1.4; }
.head { fill: #52606d; }
.walk { fill: none; stroke: #2f6fdb; stroke-width: 3; }
.walkhead { fill: #2f6fdb; }
.dashed { stroke-dasharray: 5 4; }
.plate { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
text { fill: #e4e7eb; }
.small { fill: #a8b3c1; }
.ground { fill: #1e2229; stroke: #3a414c; }
.box { fill: #2b313b; stroke: #8592a3; }
.core { fill: #1f3355; stroke: #6ea0f5; }
.allow { fill: #1b3b27; stroke: #58c17a; }
.deny { fill: #4a211f; stroke: #f0776d; }
.challenge { fill: #46350f; stroke: #e0ac4f; }
.state { fill: #1e2229; stroke: #a8b3c1; }
.line { stroke: #a8b3c1; }
.head { fill: #a8b3c1; }
.walk { stroke: #6ea0f5; }
.walkhead { fill: #6ea0f5; }
.plate { fill: #1e2229; }
}"""


class Drawing:
    """A picture that grows.

    Args:
        width: in pixels.
        height: likewise.
        title: what it shows, for those who cannot see it.
    """

    def __init__(self, width: float, height: float, title: str) -> None:
        self._size = (width, height)
        self._title = title
        self._lines: list[str] = []
        self._shapes: list[str] = []

    def box(self, x: float, y: float, width: float, lines: list[str], *, kind: str = "box") -> None:
        """A box with its top left corner at a point, as high as its text; the first line is strong."""
        height = box_height(len(lines))
        self._shapes.append(f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6"/>')
        for number, line in enumerate(lines):
            style = "strong" if number == 0 else "small"
            self.text((x + width / 2, y + 20 + number * _LINE), line, style=style)

    def circle(self, at: Point, radius: float) -> None:
        """A circle."""
        self._shapes.append(f'<circle class="state" cx="{at[0]:g}" cy="{at[1]:g}" r="{radius:g}"/>')

    def text(self, at: Point, text: str, *, style: str = "", anchor: str = "middle") -> None:
        """A line of text whose base line passes through a point."""
        self._shapes.append(
            f'<text class="{style}" x="{at[0]:g}" y="{at[1]:g}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def arrow(self, points: list[Point], *, label: str = "", style: str = "line") -> None:
        """A line through points with a head at its end, and a label over the middle of its last part."""
        kind = "walk" if style.startswith("walk") else "line"
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        self._lines.append(f'<polyline class="{style}" points="{path}" marker-end="url(#{kind})"/>')
        if label:
            (start_x, start_y), (end_x, end_y) = points[-2:]
            x, y = (start_x + end_x) / 2 - 4, (start_y + end_y) / 2 - 7
            width = len(label) * FONT_WIDTH + 2
            self._shapes.append(
                f'<rect class="plate" x="{x - width / 2:g}" y="{y - 12:g}" width="{width:g}" height="15"/>'
            )
            self.text((x, y), label, style="small")

    def render(self) -> str:
        """The picture as the text of a file."""
        width, height = self._size
        size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
        heads = "".join(
            f'<marker id="{kind}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="{length}" markerHeight="{length}" '
            f'markerUnits="userSpaceOnUse" orient="auto"><path class="{head}" d="M0,0 L10,5 L0,10 z"/></marker>'
            for kind, head, length in (("line", "head", 10), ("walk", "walkhead", 13))
        )
        return "\n".join(
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
                f"<title>{escape(self._title)}</title>",
                f"<style>{_STYLE}</style>",
                f"<defs>{heads}</defs>",
                f'<rect class="ground" x="0.5" y="0.5" width="{width - 1:g}" height="{height - 1:g}" rx="8"/>',
                *self._lines,
                *self._shapes,
                "</svg>\n",
            )
        )


def box_height(lines: int) -> float:
    """Height of a box with so many lines of text."""
    return 14 + lines * _LINE

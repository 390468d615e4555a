"""docs/pictures/console-*.png: every page of the console, on a desk and on a telephone, in light and in the dark.

Not compared with what is committed: fonts differ between machines.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import chdir
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from consoles import chromium, console, ring, served_console
from PIL import Image
from programs import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page

Scheme = Literal["light", "dark"]
_COMPANY: Final = Path("examples", "company.yaml")
_ALICE, _BOB = "a11ce000-0000-4000-8000-000000000001", "b0b00000-0000-4000-8000-000000000002"
_WIDTHS: Final = (1280, 390)
_SHOTS: Final = {
    "ask": "ask?caller=Bob&number=0900123456&outcall=1",
    "person": f"people/{_BOB}?outcall=2",
    "numbers": "numbers?number=0012025550123&outcall=2",
    "rules": "rules",
    "edit": "edit",
    "status": "status",
}
_SERVED: Final = {"now": "now?follow=no", "changes": "changes"}
"""Pages of a server."""


def main() -> None:
    """Writes the pictures."""
    with (
        chdir(ROOT),
        tempfile.TemporaryDirectory() as directory,
        console(_COMPANY) as files,
        served_console(_COMPANY, Path(directory)) as (server, running),
        chromium() as browser,
    ):
        for caller, extension, outcall in (
            (_ALICE, "112", "1"),
            (_ALICE, "0033123456789", "2"),
            (_BOB, "0190512345", "1"),
            (_BOB, "102", ""),
        ):
            ring(running, caller, extension, outcall)
        ring(running, _BOB, "0012025550123", "2", ("1", "2", "3"))
        for width, scheme in product(_WIDTHS, get_args(Scheme)):
            with browser.new_context(viewport={"width": width, "height": 860}, color_scheme=scheme) as context:
                page = context.new_page()
                for name, path in _SHOTS.items():
                    _shoot(page, f"{files}/{path}", f"{name}-{width}-{scheme}")
                page.goto(f"{server}/sign-in")
                page.get_by_label("Token").fill("secret")
                page.keyboard.press("Enter")
                page.wait_for_url("**/ask")
                for name, path in _SERVED.items():
                    _shoot(page, f"{server}/{path}", f"{name}-{width}-{scheme}")


def _shoot(page: Page, url: str, name: str) -> None:
    page.goto(url)
    if name.startswith("edit"):
        text = page.get_by_label("Definitions of company.yaml")
        text.fill(text.input_value().replace('["_0900.", "_0190X!"]', '["_0190X!"]', 1))
        page.get_by_text("is broken").first.wait_for()
        page.locator("#findings").scroll_into_view_if_needed()
    shot = Image.open(BytesIO(page.screenshot())).convert("RGB")
    # Few colours make small files.
    few = shot.quantize(64, dither=Image.Dither.NONE)
    few.save(ROOT / "docs" / "pictures" / f"console-{name}.png", optimize=True)


if __name__ == "__main__":
    main()

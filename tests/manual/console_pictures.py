"""docs/pictures/console-*.png: pages of the console over the example company, as Chromium shows them.

Not compared with what is committed: fonts differ between machines.
"""

from __future__ import annotations

import sys
from contextlib import chdir
from pathlib import Path
from typing import Final, Literal

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from consoles import chromium, console
from programs import ROOT

_BOB: Final = "b0b00000-0000-4000-8000-000000000002"
_SHOTS: Final[dict[str, tuple[str, int, Literal["light", "dark"]]]] = {
    "ask": ("ask?caller=Bob&number=0900123456&outcall=1", 1280, "light"),
    "edit": ("edit", 1280, "light"),
    "person": (f"people/{_BOB}?outcall=2", 390, "light"),
    "numbers": ("numbers?number=0012025550123&outcall=2", 390, "dark"),
}


def main() -> None:
    """Writes the pictures."""
    with chdir(ROOT), console(Path("examples", "company.yaml")) as url, chromium() as browser:
        for name, (path, width, scheme) in _SHOTS.items():
            with browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme) as context:
                page = context.new_page()
                page.goto(f"{url}/{path}")
                if name == "edit":
                    text = page.get_by_label("Definitions of company.yaml")
                    text.fill(text.input_value().replace('["_0900.", "_0190X!"]', '["_0190X!"]', 1))
                    page.get_by_text("is broken").first.wait_for()
                page.screenshot(path=ROOT / "docs" / "pictures" / f"console-{name}.png", full_page=True)


if __name__ == "__main__":
    main()

"""The console in a browser, as a person uses it: with and without a mouse, on a telephone, without scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest
from consoles import AXE, chromium, console, ring, served_console
from programs import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page
    from server import Running

COMPANY = ROOT / "examples" / "company.yaml"
BOB = "b0b00000-0000-4000-8000-000000000002"
PAGES = (
    "ask?caller=Bob&number=0900123456&outcall=1",
    "ask?caller=nobody&number=1",
    "people",
    f"people/{BOB}?outcall=2",
    "numbers?number=0012025550123&outcall=2",
    "rules",
    "edit",
    "status",
    "nothing",
)
SERVED = ("now?follow=no", "changes", "changes?revision=1-" + "ab" * 6, f"people/{BOB}", "status", "edit")
"""Pages of a server, which have more than those of a playground."""
ABROAD, WRONG = "0012125550123", ("1", "2", "3")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A console over the example company."""
    with console(COMPANY) as found:
        yield found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Running]]:
    """A server with a console, and with two revisions of the example company."""
    with served_console(COMPANY, tmp_path_factory.mktemp("clients")) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails the test on any error in it."""
    errors: list[str] = []
    with browser.new_context() as context:
        opened = context.new_page()
        opened.on("pageerror", lambda error: errors.append(str(error)))
        opened.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        yield opened
    assert not errors


def test_a_person_asks_with_the_keyboard_alone(page: Page, url: str) -> None:
    """Tab reaches every field in order; Enter asks; the decision and a way on are there."""
    page.goto(url)
    page.get_by_label("Caller").focus()
    page.keyboard.type("Bob")
    page.keyboard.press("Tab")
    page.keyboard.type("0900123456")
    page.keyboard.press("Tab")
    page.keyboard.type("national")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("permission 11 (premium) matches").wait_for()
    page.get_by_role("link", name="Who may dial 0900123456?").click()
    assert "may not: 5" in page.inner_text("main")


def test_an_operator_signs_in_and_looks_after_a_server_with_the_keyboard_alone(
    page: Page, served: tuple[str, Running]
) -> None:
    """Sign-in, the next decision as it comes, the last edit, a lockout that is lifted, sign-out."""
    url, running = served
    page.goto(f"{url}/now")
    page.get_by_label("Token").focus()
    page.keyboard.type("secret")
    page.keyboard.press("Enter")
    page.get_by_text("None yet since").wait_for()
    ring(running, BOB, ABROAD, "2", WRONG)
    page.get_by_role("heading", name="Locked out: 1").wait_for()
    assert ABROAD in page.inner_text("main")

    page.get_by_role("link", name="Changes").focus()
    page.keyboard.press("Enter")
    page.get_by_text("What it changed").wait_for()
    assert "0900" in page.inner_text(".revision")

    page.goto(f"{url}/people/{BOB}")
    page.get_by_role("button", name="Unlock").focus()
    page.keyboard.press("Enter")
    page.get_by_text("The lockout is over.").wait_for()
    page.get_by_role("button", name="Sign out").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Token").wait_for()


def test_an_edit_is_judged_while_it_is_typed(page: Page, url: str) -> None:
    """Without a button: the findings follow the text."""
    page.goto(f"{url}/edit")
    text = page.get_by_label("Definitions of company.yaml")
    before = text.input_value()
    text.fill(before.replace('"_0900."', '"_09[0."', 1))
    page.get_by_text("Faults: 1").wait_for()
    text.fill(before)
    page.get_by_text("Faults: 0").wait_for()
    assert "Nothing." in page.inner_text("#findings")


def test_all_of_it_works_without_scripts(browser: Browser, url: str) -> None:
    """Forms are forms."""
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{url}/edit")
        page.get_by_role("button", name="Try it").click()
        assert "Faults: 0" in page.inner_text("main")
        page.get_by_role("link", name="People").click()
        page.get_by_label("Name, extension or UUID").fill("carol")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("link", name="Carol").click()
        assert "reception" in page.inner_text("main")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_no_page_is_hard_to_use(
    browser: Browser, url: str, served: tuple[str, Running], width: int, scheme: Literal["light", "dark"]
) -> None:
    """axe-core finds nothing, on a desk in light and on a telephone in the dark; nothing overflows."""
    there, running = served
    with browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
        bypass_csp=True,  # for axe-core itself
    ) as context:
        page = context.new_page()
        for path in PAGES:
            page.goto(f"{url}/{path}")
            check_ease(page, width)
        page.goto(f"{there}/sign-in")
        check_ease(page, width)
        page.get_by_label("Token").fill("secret")
        page.keyboard.press("Enter")
        page.wait_for_url("**/ask")
        ring(running, BOB, ABROAD, "2", WRONG)
        for path in SERVED:
            page.goto(f"{there}/{path}")
            check_ease(page, width)


def check_ease(page: Page, width: int) -> None:
    """Fails for what axe-core finds on a page, with all unfolded, and for a page that is wider than its window."""
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    page.add_script_tag(path=AXE)
    found = page.evaluate(
        "async () => (await axe.run({resultTypes: ['violations']})).violations.map(v => v.id + ': ' + v.nodes[0].html)"
    )
    assert not found, f"{page.url}: {found}"
    assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url

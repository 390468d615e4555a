"""The documentation as a site: what is made of the code, what readers copy, and where links lead."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from manual import automaton, configuration
from manual.run import DOCS, MADE
from manual.site import PAGES as PAGES_BESIDE
from markdown_it import MarkdownIt

from pdp.rules.model import Decision
from rightcall.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = DOCS.parent
PAGES = sorted(DOCS.glob("*.md"))
STRUCTURE = {"h1", "h2", "h3", "h4", "li", "tr", "pre", "img"}
"""What a page must have as much of on the site as anywhere else. Paragraphs are not told apart in lists."""


def build(config: Path, site: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Builds the site."""
    command = [sys.executable, "-m", "properdocs", "build", *options, "-f", str(config), "-d", str(site)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The site, and what its build complained of."""
    directory = tmp_path_factory.mktemp("site")
    done = build(ROOT / "properdocs.yml", directory)
    assert done.returncode == 0, done.stderr
    return directory, done.stderr


@pytest.fixture
def site(built: tuple[Path, str]) -> Path:
    """The site."""
    return built[0]


class Seen(HTMLParser):
    """The elements of a page, what it fetches by itself, and what it links to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.inside = 0
        self.elements: Counter[str] = Counter()
        self.fetched: set[str] = set()
        self.linked: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Counts and collects."""
        attributes = dict(attrs)
        self.inside += tag == "article"
        if self.inside and tag in STRUCTURE:
            self.elements[tag] += 1
        for name in ("src", "srcset", "data"):
            if attributes.get(name):
                self.fetched.add(attributes[name] or "")
        if tag == "link" and attributes.get("rel") != "canonical":
            self.fetched.add(attributes["href"] or "")
        elif tag == "a":
            self.linked.add(attributes.get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        """Ends the article."""
        self.inside -= tag == "article"


@pytest.mark.parametrize("name", MADE)
def test_what_is_made_of_the_code_is_up_to_date(name: str) -> None:
    """Otherwise: ``make docs``."""
    assert (DOCS / name).read_text(encoding="utf-8") == MADE[name]()


def test_no_page_of_the_site_fetches_anything_from_elsewhere(site: Path) -> None:
    """Neither fonts nor scripts: it reads in a network without the Internet, and tells nobody who reads it."""
    for page in site.rglob("*.html"):
        for address in Seen(page.read_text(encoding="utf-8")).fetched - {"https://fonts.gstatic.com"}:
            assert not address.startswith(("http:", "https:", "//")), f"{page.name}: {address}"
            if page.name != "404.html":
                assert (page.parent / address.partition("?")[0]).exists(), f"{page.name}: {address}"


def test_every_link_within_the_site_leads_to_a_file_of_it(site: Path) -> None:
    """Those to the repository's other files too."""
    for page in site.rglob("*.html"):
        for address in Seen(page.read_text(encoding="utf-8")).linked:
            path = address.partition("#")[0]
            if path and "://" not in path and page.name != "404.html":
                assert (page.parent / path).exists(), f"{page.name}: {address}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_the_same_on_the_site_as_in_a_browser_of_repositories(page: Path, site: Path) -> None:
    """A list without an empty line before it is a list to the one, and a part of the paragraph to the other."""
    text = page.read_text(encoding="utf-8")
    expected = Seen(f"<article>{MarkdownIt().enable('table').render(text)}</article>").elements
    found = Seen((site / f"{page.stem}.html").read_text(encoding="utf-8")).elements
    assert found == expected


def test_the_build_has_nothing_to_complain_of(built: tuple[Path, str]) -> None:
    """Neither a link nor an anchor that leads nowhere; and the navigation has every page, once."""
    assert "WARNING" not in built[1], built[1]
    named = re.findall(r"^ +- .*: (\S+\.md)$", (ROOT / "properdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(named) == sorted({*(page.name for page in PAGES), *PAGES_BESIDE.values()})


def test_links_that_lead_nowhere_end_the_build(tmp_path: Path) -> None:
    """``make check`` fails, and says where they are."""
    bad = {
        "[x](nowhere.md)": "'nowhere.md'",
        "[x](agi.md#nowhere)": "'agi.md#nowhere'",
        "[x](#gone)": "'#gone'",
        "![x](pictures/nowhere.svg)": "'pictures/nowhere.svg'",
        "[x](../nowhere/README.md)": "'../nowhere/README.md'",
    }
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Start\n\n" + "\n\n".join(bad))
    (tmp_path / "docs" / "agi.md").write_text("# FastAGI\n")
    text = (ROOT / "properdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[0]
    (tmp_path / "properdocs.yml").write_text(text.replace("tests/manual/site.py", str(ROOT / "tests/manual/site.py")))
    for path in PAGES_BESIDE:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("# Another page\n")
    checked = re.search(r"^check:.*?properdocs build (.*?)$", (ROOT / "Makefile").read_text(), re.MULTILINE | re.DOTALL)
    assert checked
    done = build(tmp_path / "properdocs.yml", tmp_path / "site", *checked[1].split())
    assert done.returncode != 0
    assert [complaint for complaint in bad.values() if complaint not in done.stderr] == []


def test_every_option_that_is_explained_elsewhere_exists() -> None:
    """The generator points to pages by the names of options."""
    names = {
        option.opts[0] for command in configuration.commands().values() for option in configuration.options_of(command)
    }
    assert set(configuration.SEE) <= names


def test_the_picture_of_a_profile_tells_the_decision_that_is_made() -> None:
    """The call whose walk is drawn ends where the picture says."""
    snapshot = automaton.company()
    verdict = snapshot.decide(automaton.ALICE, automaton.EXTENSION, automaton.WORLD)
    assert verdict.decision is Decision.ALLOW
    assert f">ALLOW by {verdict.permission_id}<" in automaton.profile_picture()


def shown(text: str) -> str:
    """Output without what differs from run to run."""
    return re.sub(r" {2}\[revision \S+\]|, revision \S+", "", text).strip()


def dialogues(page: Path) -> list[tuple[str, str]]:
    """The commands of a page's consoles, with the output that is shown."""
    text = page.read_text(encoding="utf-8").replace("\\\n", "")
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    steps = [step.partition("\n") for block in blocks for step in re.split(r"^\$ ", block, flags=re.MULTILINE) if step]
    return [(command, output) for command, _, output in steps if output]


def answered(command: str, *extra: str) -> str:
    """What one of our commands says."""
    _, *arguments = shlex.split(command)
    result = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke(main, [*arguments, *extra])
    return result.stdout


def test_the_quick_start_shows_what_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rules, its commands and their output, as they stand there."""
    page = DOCS / "quickstart.md"
    rules = re.search(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert rules
    (tmp_path / "rules.yaml").write_text(rules[1])
    monkeypatch.chdir(tmp_path)
    steps = dialogues(page)
    assert len(steps) == 4
    for command, output in steps:
        assert shown(answered(command)) == output.strip(), command


def test_the_readme_shows_what_happens() -> None:
    """Its example, asked of the rules that ``make run`` serves."""
    ((command, output),) = dialogues(ROOT / "README.md")
    assert shown(answered(command, "--definitions", str(ROOT / "examples" / "company.yaml"))) == shown(output)


@pytest.mark.parametrize(
    ("edit", "breaks"),
    [
        (lambda text: text.replace("string caller = 1;", "", 1), True),
        (lambda text: text.replace("string caller = 1;", "string caller = 9;", 1), True),
        (lambda text: text.replace("DECISION_ALLOW = 1", "DECISION_ALLOWED = 1"), True),
        (lambda text: text + "\nmessage New {\n  string id = 1;\n}\n", False),
        (lambda text: text, False),
    ],
)
def test_the_api_keeps_what_was_promised(edit: Callable[[str], str], breaks: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter of the table
    """A break is noticed, an addition is none, and the protos are no break of ``tests/cases/api.binpb``."""
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    changed = tmp_path / "protos" / "rightcall" / "v1" / "decision.proto"
    changed.write_text(edit(changed.read_text(encoding="utf-8")))
    promised = ROOT / "tests" / "cases" / "api.binpb"
    buf = Path(sys.executable).parent / "buf"
    command = [str(buf), "breaking", str(tmp_path), "--against", str(promised)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode != 0) == breaks, done.stdout + done.stderr

"""A hook of the site's build: pages are written for browsers of repositories, and this is what the site needs else.

They link to files of the repository as they lie there, and the site has only docs/: so a linked page becomes a page of
the site, anything else a file of it. In a table's code a ``|`` stands behind a backslash, which the site would show.
"""

from __future__ import annotations

import posixpath
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

from properdocs.structure.files import File

if TYPE_CHECKING:
    from properdocs.config.defaults import ProperDocsConfig
    from properdocs.structure.files import Files
    from properdocs.structure.pages import Page

_ROOT: Final = Path(__file__).parents[2]
PAGES: Final = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
    "examples/README.md": "examples/index.md",
    "helm/rightcall/README.md": "chart.md",
    **{
        f"examples/{page.parent.name}/README.md": f"examples/{page.parent.name}.md"
        for page in _ROOT.glob("examples/*/README.md")
    },
}
"""Pages of the repository beside docs/, by what they are called on the site."""

_FILES: Final = "files"
"""Where on the site other files of the repository are."""
_LINK: Final = re.compile(r"(?<=\]\()([^)\s#:]+)(?=[#)])")
_CELL_CODE: Final = re.compile(r"(?<=^\|).*`[^`\n]*\\\|[^`\n]*`.*$", re.MULTILINE)
"""A row of a table that has such code."""
_TABLE: Final = re.compile(r"<table>.*?</table>", re.DOTALL)
_ROW: Final = re.compile(r"<tr>.*?</tr>", re.DOTALL)
_HEADING: Final = re.compile(r"<th[^>]*>(.*?)</th>", re.DOTALL)
_CELL: Final = re.compile(r"<td([ >])")
_TAG: Final = re.compile(r"<[^>]*>")
_SOURCES: Final = {name: path for path, name in PAGES.items()}


def on_files(files: Files, *, config: ProperDocsConfig) -> Files:
    """Adds the pages, and whatever a page links to outside docs/."""
    root = Path(config.docs_dir).parent
    for path, name in PAGES.items():
        files.append(File.generated(config, name, abs_src_path=str(root / path)))
    pages = [file for file in files.documentation_pages() if file.abs_src_path]
    for page in pages:
        for link in _LINK.findall(page.content_string):
            path = _in_repository(page.src_uri, link)
            name = f"{_FILES}/{path}"
            outside = path not in PAGES and not path.startswith(("docs/", ".."))
            if outside and (root / path).is_file() and files.get_file_from_path(name) is None:
                files.append(File.generated(config, name, abs_src_path=str(root / path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: ProperDocsConfig, files: Files) -> str:
    """Points links to where their targets are on the site; those that lead nowhere stay, and end the build."""
    del config
    here = page.file.src_uri

    def moved(match: re.Match[str]) -> str:
        path = _in_repository(here, match[0])
        for name in (PAGES.get(path, ""), path.removeprefix("docs/"), f"{_FILES}/{path}"):
            if name and files.get_file_from_path(name) is not None:
                return posixpath.relpath(name, posixpath.dirname(here) or ".")
        return match[0]

    return _CELL_CODE.sub(lambda code: code[0].replace("\\|", "|"), _LINK.sub(moved, markdown))


def on_page_content(html: str, *, page: Page, config: ProperDocsConfig, files: Files) -> str:
    """Gives each cell of a table the heading of its column, which narrow screens show beside it."""
    del page, config, files
    return _TABLE.sub(_labelled, html)


def _labelled(table: re.Match[str]) -> str:
    headings = [_TAG.sub("", heading) for heading in _HEADING.findall(table[0])]

    def row(cells: re.Match[str]) -> str:
        left = iter(headings)
        return _CELL.sub(lambda cell: f'<td data-label="{escape(next(left, ""))}"{cell[1]}', cells[0])

    return _ROW.sub(row, table[0])


def _in_repository(page: str, link: str) -> str:
    """What a page of the site links to, as a path within the repository."""
    source = _SOURCES.get(page, f"docs/{page}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))

"""Pages of the site that are made: the commands, and what lies beside docs/. A hook of mkdocs (mkdocs.yml)."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Literal

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "packaging"))
import reference  # noqa: E402

BESIDE_DOCS = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")


def on_startup(command: Literal["build", "gh-deploy", "serve"], dirty: bool) -> None:
    """Let mkdocstrings find the package under its name, without it being imported."""
    link = ROOT / "build" / "source" / "llmzip"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(ROOT / "compressor", target_is_directory=True)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    files.append(File.generated(config, "commands.md", content=reference.command_reference()))
    for name in BESIDE_DOCS:
        content = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, name.lower(), content=content))
    files.append(File.generated(config, "examples.md", content=examples()))
    return files


def examples() -> str:
    """A page with every example, under its name."""
    parts = ["# Examples\n\nEach of these is run by the tests, with the real library.\n"]
    for path in sorted((ROOT / "examples").glob("*.py")):
        parts.append(f"## {path.stem}\n\n```python\n{path.read_text(encoding='utf-8')}```\n")
    return "\n".join(parts)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """In the repository the examples are files; here they have places on a page."""
    return re.sub(r"\]\(\.\./examples/(\w+)\.py\)", r"](examples.md#\1)", markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Docstrings name things as Sphinx does; readers want the name alone."""
    return re.sub(r":(?:class|func|meth|mod):<code>", "<code>", html)

"""The manual page, the completions and the command reference, from the commands themselves.

``python packaging/reference.py [--check]`` writes ``llmzip.1`` and the completions beside this file, whence setup.py
installs them; the site's hook asks for the reference as Markdown.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from llmzip import __version__
from llmzip.cli.commands import GZIP_STYLE, main

HERE = Path(__file__).parent
SHELLS = {"bash": "llmzip", "zsh": "_llmzip", "fish": "llmzip.fish"}
"""Names under which shells look for completions."""
EXIT_CODES = [
    ("0", "All done."),
    ("1", "An error: a file could not be read, restored or written, or an option is wrong. Other files were done."),
    ("2", "A warning: a file was left as it is, or an input was not removed although --rm was given."),
    ("128 + N", "Ended by signal N. 141 means that the reader of the output went away."),
]
ENVIRONMENT = [
    ("LLMZIP_MODEL_PATH", "Folders, separated as in PATH, in which models are looked for by their fingerprint."),
    ("LLMZIP_KERNEL", "The kernel to use: portable, avx2, avxvnni, avx512, amx or neon. All give the same bytes."),
]
EXAMPLES = [
    ("llmzip book.txt", "writes book.txt.llmz and keeps book.txt"),
    ("llmzip -d book.txt.llmz", "restores it"),
    ("llmzip -9 --rm *.log", "smallest; removes the inputs when the outputs are on disk"),
    ("tar -I llmzip -cf letters.tar.llmz letters", "a folder as one archive"),
    ("llmzip cat book.txt.llmz | grep -n Alice", "searches an archive"),
    ("llmzip -t *.llmz", "checks archives"),
]


def documented_commands() -> Iterator[tuple[str, click.Command]]:
    """Every command by name but the nameless one, whose options are those of ``llmzip`` itself."""
    for name, command in sorted(main.commands.items()):
        if name == "bench":
            from llmzip.benchmarks.bench import main as bench

            command = bench
        if not command.hidden:
            yield name, command


def nameless() -> click.Command:
    return main.commands[GZIP_STYLE]


def option_rows(command: click.Command) -> list[tuple[str, str]]:
    """Options as help shows them: their names, and what they do."""
    # As when they are called: an option for help that was made once stays as it is.
    context = click.Context(command, info_name="llmzip", help_option_names=["-h", "--help"])
    rows = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record:
            name, text = record
            text = re.sub(r"; (\d+<=)?x[<>]=?\d+\]", "]", re.sub(r" *\[(\d+<=)?x[<>]=?\d+\]", "", text))
            rows.append((re.sub(r" (INTEGER|FLOAT)( RANGE)?", " N", name), " ".join(text.split())))
    return rows


def usage(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"llmzip {name}".strip())
    return " ".join(command.get_usage(context).split()).removeprefix("Usage: ")


def _description(command: click.Command) -> str:
    return re.sub(r"[ \t]*\n[ \t]*(?!\n)", " ", inspect.cleandoc(command.help or "").replace("\n\n", "\0")).replace(
        "\0", "\n\n"
    )


def _roff(text: str) -> str:
    """Text of which nothing is taken for a request."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line.startswith((".", "'")) else line for line in escaped.splitlines())


def _entries(rows: list[tuple[str, str]]) -> Iterator[str]:
    for name, text in rows:
        yield f".TP\n.B {_roff(name)}\n{_roff(text)}"


def manual_page() -> str:
    """``llmzip.1``."""
    parts = [
        f'.TH LLMZIP 1 "" "llmzip {__version__}" "User Commands"',
        ".SH NAME\nllmzip \\- compress text with a trained language model",
        ".SH SYNOPSIS\n.B llmzip\n[OPTIONS] [FILE]...\n.br\n.B llmzip\nCOMMAND [ARGUMENTS]...",
        ".SH DESCRIPTION\n" + _roff(_description(main)).replace("\n\n", "\n.PP\n"),
        ".SH OPTIONS",
        *_entries(option_rows(nameless())),
        ".SH COMMANDS",
    ]
    for name, command in documented_commands():
        parts.append(f".SS {_roff(usage(name, command))}")
        parts.append(_roff(_description(command)).replace("\n\n", "\n.PP\n"))
        rows = [row for row in option_rows(command) if not row[0].endswith("--help")]
        own = [row for row in rows if row not in option_rows(nameless())]
        parts += _entries(own)
        if len(own) < len(rows):
            parts.append(".PP\nOther options are those of\n.B llmzip\nitself; \\-\\-help lists them.")
    parts += [".SH EXIT STATUS", *_entries(EXIT_CODES), ".SH ENVIRONMENT", *_entries(ENVIRONMENT), ".SH EXAMPLES"]
    parts += _entries(EXAMPLES)
    parts.append(".SH SEE ALSO\n.BR gzip (1),\n.BR xz (1),\n.BR zstd (1)")
    return "\n".join(parts) + "\n"


def completion(shell: str) -> str:
    """The script that asks ``llmzip`` itself for completions."""
    kind = get_completion_class(shell)
    assert kind is not None
    return kind(main, {}, "llmzip", "_LLMZIP_COMPLETE").source().lstrip("\n")


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    cells = [(f"`{name}`".replace("|", "\\|"), text.replace("|", "\\|")) for name, text in rows]
    return "\n".join(f"| {one} | {other} |" for one, other in [head, ("---", "---"), *cells]) + "\n"


def command_reference() -> str:
    """The page of the site, as Markdown."""
    parts = [
        "# Commands\n",
        "This page is made from the program's own help. [Coming from gzip](coming-from-gzip.md) sets the options "
        "beside those of gzip, xz and zstd.\n",
        "## llmzip\n",
        "```\nllmzip [OPTIONS] [FILE]...\nllmzip COMMAND [ARGUMENTS]...\n```\n",
        _description(main) + "\n",
        _table(("option", "what it does"), option_rows(nameless())),
    ]
    for name, command in documented_commands():
        parts += [f"## llmzip {name}\n", f"```\n{usage(name, command)}\n```\n", _description(command) + "\n"]
        if rows := option_rows(command):
            parts.append(_table(("option", "what it does"), rows))
    parts += ["## Exit codes\n", _table(("code", "meaning"), EXIT_CODES)]
    parts += ["## Environment\n", _table(("variable", "meaning"), ENVIRONMENT)]
    return "\n".join(parts)


def files() -> dict[Path, str]:
    """What is installed beside the package, by path."""
    made = {HERE / "completions" / name: completion(shell) for shell, name in SHELLS.items()}
    return {HERE / "llmzip.1": manual_page()} | made


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail if something would change.")
def write(check: bool) -> None:
    """Write the manual page and the completions."""
    changed = [path for path, text in files().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in changed:
        click.echo(f"{path.name}: {'differs from the commands' if check else 'written'}")
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(files()[path], encoding="utf-8")
    if check and changed:
        raise click.ClickException("run python packaging/reference.py")


if __name__ == "__main__":
    write()

"""The command line as its users meet it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import llmzip as package
from llmzip.cli import commands, jobs, options
from llmzip.cli.jobs import Conversion, bar
from llmzip.cli.safe_files import Source, Target, open_source
from llmzip.progress import Progress
from llmzip.streams import iterate_plain

from .command import COMMAND, IS_ROOT, NOBODY, TEXT, as_other_user, llmzip, one_line, packed


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain.txt"
    path.write_bytes(TEXT)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Commands, and the same without their names


@pytest.mark.parametrize(
    ("compress", "restore"),
    [
        (["compress", "-1"], ["decompress"]),
        (["-1"], ["-d"]),
        (["-z1"], ["--decompress"]),
        (["--fast"], ["--uncompress"]),
        (["-9kn1"], ["-dk"]),
    ],
)
def test_round_trip_keeps_input_mode_and_time(plain: Path, compress: list[str], restore: list[str]) -> None:
    plain.chmod(0o640)
    os.utime(plain, ns=(10**18, 10**18 + 5))
    assert llmzip(*compress, plain).returncode == 0
    archive = plain.with_name("plain.txt.llmz")
    assert plain.exists()
    assert archive.stat().st_size < len(TEXT) / 4
    plain.unlink()
    assert llmzip(*restore, archive).returncode == 0
    assert plain.read_bytes() == TEXT
    assert plain.stat().st_mode & 0o777 == 0o640
    assert plain.stat().st_mtime_ns == 10**18 + 5
    assert names(plain.parent) == ["plain.txt", "plain.txt.llmz"]


def test_standard_streams(plain: Path) -> None:
    expected = llmzip("compress", "-1", "-c", plain).stdout
    assert package.decompress(expected) == TEXT
    for arguments in (
        ["compress", "-1"],
        ["compress", "-1", "-"],
        ["-1"],
        ["-1", "-"],
        ["-1c"],
        ["-1", "-o", "-", "-"],
    ):
        assert llmzip(*arguments, stdin=TEXT).stdout == expected
    for arguments in (["decompress"], ["-d"], ["-dc", "-"], ["cat", "-"]):
        assert llmzip(*arguments, stdin=expected).stdout == TEXT


def test_combined_short_options(plain: Path) -> None:
    archive = packed(plain)
    assert llmzip("-dc", archive).stdout == TEXT
    assert llmzip("-dkf", archive).returncode == 0
    assert llmzip("-1kfvT0", plain).stderr.startswith(b"llmzip: ")
    assert llmzip("-tqT2", archive).returncode == 0
    assert b"plain.txt.llmz" in llmzip("-lv", archive).stdout
    assert llmzip("-hd").stdout == llmzip("--help").stdout
    assert llmzip("-V").stdout == llmzip("--version").stdout == f"llmzip {package.__version__}\n".encode()


def test_list_test_and_info(plain: Path) -> None:
    archive = packed(plain)
    table = llmzip("-l", archive, archive).stdout.decode().splitlines()
    assert len(table) == 4
    assert table[1].split()[:2] == [f"{archive.stat().st_size:,}", f"{len(TEXT):,}"]
    assert table[-1].endswith("(all)")
    assert llmzip("list", archive, archive).stdout.decode().splitlines() == table
    for command in (["-t"], ["test"]):
        assert llmzip(*command, archive).stderr == b""
        assert b"OK" in llmzip(*command, "-v", archive).stderr
    assert llmzip("-l", stdin=archive.read_bytes()).returncode == 0
    assert b"bits per byte" in llmzip("info", archive).stdout


def test_info_tells_groups_and_records() -> None:
    lines = b"".join(b'{"id": "user-%d"}\n' % number for number in range(400))
    data = package.compress(lines, 1, group_bytes=2000, records="jsonl", key="id")
    assert llmzip("info", stdin=data).stdout.endswith(b" 4 group(s), 400 jsonl record(s), keys: id, model none\n")
    assert llmzip("info", stdin=package.compress(lines, 1)).stdout.endswith(b" 1 context, 1 group(s), model none\n")


def test_a_command_name_is_a_file_behind_an_option(tmp_path: Path) -> None:
    (tmp_path / "test").write_bytes(TEXT)
    assert llmzip("-1", "test", cwd=tmp_path).returncode == 0
    assert names(tmp_path) == ["test", "test.llmz"]
    assert llmzip("-d", "-f", "--", "test.llmz", cwd=tmp_path).returncode == 0


def test_tar_calls_it_as_it_calls_gzip(plain: Path, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    program.chmod(0o755)
    archive, out = tmp_path / "a.tar.llmz", tmp_path / "out"
    out.mkdir()
    tar = ["tar", "-C", str(tmp_path), "-I"]
    subprocess.run([*tar, f"{program} -1", "-cf", str(archive), "plain.txt"], check=True, timeout=60)
    listed = subprocess.run([*tar, str(program), "-tf", str(archive)], check=True, capture_output=True, timeout=60)
    assert listed.stdout == b"plain.txt\n"
    subprocess.run(["tar", "-C", str(out), "-I", str(program), "-xf", str(archive)], check=True, timeout=60)
    assert (out / "plain.txt").read_bytes() == TEXT


def test_cat_joins_and_passes_on(plain: Path, tmp_path: Path) -> None:
    archive = packed(plain)
    assert llmzip("cat", archive, archive).stdout == TEXT * 2
    assert llmzip("cat", plain).returncode == 1
    assert llmzip("cat", "-f", plain, archive).stdout == TEXT * 2
    assert llmzip("-dcf", stdin=b"x").stdout == b"x"
    assert llmzip("-dcf", stdin=b"").stdout == b""
    found = subprocess.run(f"{' '.join(COMMAND)} cat {archive} | grep -c wisdom", shell=True, capture_output=True)
    assert found.stdout == b"20\n"


def test_a_dash_in_a_folder_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "-").write_bytes(TEXT)
    assert llmzip("-1", "./-", cwd=tmp_path).returncode == 0
    assert names(tmp_path) == ["-", "-.llmz"]
    assert llmzip("-d", "-c", "./-.llmz", cwd=tmp_path).stdout == TEXT
    assert llmzip("-1", "-o", "./-", "-f", "-", stdin=b"other", cwd=tmp_path).stdout == b""
    assert package.decompress((tmp_path / "-").read_bytes()) == b"other"


def test_names_that_a_terminal_cannot_show(tmp_path: Path) -> None:
    archive = packed(tmp_path / "\u0436.txt")
    for arguments in (["info"], ["-l"], ["-t", "-v"]):
        told = llmzip(*arguments, archive, env=os.environ | {"PYTHONIOENCODING": "latin-1"})
        assert told.returncode == 0
        assert b"\\u0436.txt.llmz" in told.stdout + told.stderr


def test_names_of_any_bytes(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff\n\x1b[31m.txt"
    try:
        with open(name, "wb") as file:
            file.write(TEXT)
    except OSError:
        pytest.skip("the file system takes UTF-8 only")
    assert llmzip("-1", name).returncode == 0
    assert "already exists" in one_line(llmzip("-1", name))
    for arguments, environment in (
        (["info"], {}),
        (["-l"], {"LC_ALL": "C"}),
        (["-l"], {"PYTHONIOENCODING": "ascii"}),
        (["-t", "-v"], {"LC_ALL": "C"}),
    ):
        told = llmzip(*arguments, name + b".llmz", env=os.environ | environment)
        assert told.returncode == 0
        assert b"\x1b" not in told.stdout + told.stderr
    (row,) = json.loads(llmzip("-l", "--json", name + b".llmz").stdout)
    assert os.fsencode(row["file"]) == name + b".llmz"


# Exit codes: 0 all done, 1 an error, 2 a warning


@pytest.mark.parametrize(
    "arguments",
    [
        ("compress", "--level", "10", "x"),
        ("compress", "--lanes", "3", "x"),
        ("compress", "-M", "much", "x"),
        ("compress", "--bogus", "x"),
        ("-T", "-1", "x"),
        ("-o", "a", "x", "y"),
        ("-o", "a", "-c", "x"),
        ("-c", "--json", "x"),
        ("entropy",),
        ("frobnicate",),
        ("no-such-file", ""),
        ("-d", "none.llmz"),
        ("-o", "no/such/folder/x", "-"),
    ],
)
def test_wrong_use_and_missing_files_give_one_line_each_and_1(arguments: tuple[str, ...], tmp_path: Path) -> None:
    failed = llmzip(*arguments, cwd=tmp_path)
    assert failed.returncode == 1
    assert failed.stdout == b""
    lines = failed.stderr.decode().splitlines()
    assert len(lines) == (2 if "" in arguments else 1)
    assert all(line.startswith("llmzip: ") for line in lines)


def test_what_is_left_as_it_is_gives_2(plain: Path) -> None:
    archive = packed(plain)
    for arguments in (["-1", archive], ["-d", plain], ["-1", plain.parent], ["-d", plain.parent], ["-t", plain.parent]):
        done = llmzip(*arguments)
        one_line(done)
        assert done.returncode == 2
    silent = llmzip("-q", "-d", plain)
    assert (silent.returncode, silent.stderr) == (2, b"")
    fifo = plain.with_name("fifo")
    os.mkfifo(fifo)
    assert "is no regular file" in one_line(llmzip("-1", fifo))
    assert llmzip("-1", archive, plain.with_name("none")).returncode == 1
    assert llmzip("-1", plain.with_name("none"), archive).returncode == 1
    dot = plain.with_name(".llmz")
    dot.write_bytes(archive.read_bytes())
    assert llmzip("-d", dot).returncode == 2


def test_several_files_and_removal(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.txt" for i in range(3)]
    for path in paths:
        path.write_bytes(TEXT[: 300 + len(path.name)])
    done = llmzip("-1", "--rm", paths[0], tmp_path / "missing.txt", paths[1], paths[2])
    assert done.returncode == 1
    assert "missing.txt: No such file" in one_line(done)
    assert names(tmp_path) == ["0.txt.llmz", "1.txt.llmz", "2.txt.llmz"]
    assert llmzip("-1", "--rm", "--keep", "-f", tmp_path / "0.txt.llmz").returncode == 0
    assert len(names(tmp_path)) == 4


def test_folders_need_and_take_recursion(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    texts = {tmp_path / "a" / "1.txt": TEXT, inner / "2.txt": TEXT[:99], inner / "3.txt.llmz": b"precious"}
    for path, content in texts.items():
        path.write_bytes(content)
    (inner / "link.txt").symlink_to(inner / "2.txt")
    os.mkfifo(inner / "fifo")
    assert "is a directory" in one_line(llmzip("compress", tmp_path / "a"))
    assert llmzip("compress", "-1", "-r", "--rm", tmp_path / "a").returncode == 0
    assert sorted(p.name for p in tmp_path.rglob("*.*")) == ["1.txt.llmz", "2.txt.llmz", "3.txt.llmz", "link.txt"]
    assert (inner / "3.txt.llmz").read_bytes() == b"precious"
    (inner / "3.txt.llmz").unlink()
    assert llmzip("test", "-r", tmp_path).returncode == 0
    assert len(json.loads(llmzip("-lr", "--json", tmp_path).stdout)) == 2
    assert llmzip("decompress", "-r", "--rm", tmp_path).returncode == 0
    assert (tmp_path / "a" / "1.txt").read_bytes() == TEXT
    assert (inner / "2.txt").read_bytes() == TEXT[:99]
    assert llmzip("decompress", "-r", tmp_path).returncode == 0  # nothing left to do


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs users")
def test_unreadable_files_and_folders_are_told_and_do_not_stop_the_others(public: Path) -> None:
    folder, closed, secret = public / "a", public / "a" / "closed", public / "a" / "secret.txt"
    closed.mkdir(parents=True)
    for path in (secret, folder / "1.txt", folder / "2.txt", closed / "3.txt"):
        path.write_bytes(TEXT)
    log = public / "log"

    def run() -> int:
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT), 2)
        sys.stderr = os.fdopen(2, "w")
        conversion = Conversion(lambda source, target, _: source.copy_to(target), lambda name: f"{name}.copy", True)
        return conversion.of_all(jobs.chosen((str(folder),), True, lambda name: name.endswith(".txt")))

    folder.chmod(0o777)
    closed.chmod(0)
    secret.chmod(0)
    try:
        assert (as_other_user(run, NOBODY) if IS_ROOT else run()) == 1
    finally:
        closed.chmod(0o755)
    lines = log.read_text().splitlines()
    assert [line.split(": ")[1:] for line in lines] == [
        [str(closed), "Permission denied"],
        [str(secret), "Permission denied"],
    ]
    assert (folder / "1.txt.copy").read_bytes() == (folder / "2.txt.copy").read_bytes() == TEXT


def test_damage_leaves_no_file(plain: Path, tmp_path: Path) -> None:
    archive = packed(plain)
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    before = names(tmp_path)
    for arguments in (("decompress", "-o", tmp_path / "out"), ("test",), ("-dc",)):
        failed = llmzip(*arguments, archive)
        assert failed.returncode == 1
        assert "damaged" in one_line(failed)
    assert names(tmp_path) == before


def test_padding_is_ignored_and_other_bytes_behind_are_named_by_their_place(plain: Path) -> None:
    archive = packed(plain)
    whole = archive.read_bytes()
    archive.write_bytes(whole + whole + bytes(7))
    assert llmzip("-dc", archive).stdout == TEXT * 2
    assert llmzip("-t", archive).returncode == 0
    archive.write_bytes(whole + bytes(3) + b"other")
    names_before = names(plain.parent)
    plain.unlink()
    for arguments in (["-dc"], ["-d"], ["-t"]):
        failed = llmzip(*arguments, archive)
        assert failed.returncode == 1
        assert str(len(whole) + 3) in one_line(failed).removeprefix(f"llmzip: {archive}")
        assert failed.stdout == (TEXT if arguments == ["-dc"] else b"")  # as xz does
    assert names(plain.parent) == names_before[1:]


# Limits


def test_memory_limit_is_kept_and_told(plain: Path) -> None:
    archive = packed(plain)
    for arguments in (["-dc"], ["-t"], ["cat"]):
        assert "--memory-limit" in one_line(llmzip(*arguments, "-M", "1K", archive))
        assert llmzip(*arguments, "-M", "2GiB", archive).returncode == 0


def test_output_limit(plain: Path) -> None:
    archive = packed(plain)
    plain.unlink()
    assert "more than 1024 plain bytes" in one_line(llmzip("-d", "--output-limit", "1K", archive))
    assert names(plain.parent) == [archive.name]
    assert llmzip("-dc", "--output-limit", str(len(TEXT)), archive).stdout == TEXT


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("2k", 2048), ("1.5GiB", 3 << 29), ("512M", 512 << 20), ("7 MB", 7 << 20)]
)
def test_sizes(text: str, size: int) -> None:
    assert options.Size().convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "1T", "M", "1 2", "nan", "1e9"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(click.BadParameter):
        options.Size().convert(text, None, None)


# Reports


def test_every_reporting_command_speaks_json(plain: Path) -> None:
    (row,) = json.loads(llmzip("-1", "--json", plain).stdout)
    archive = Path(row["output"])
    assert row["plain_bytes"] == len(TEXT)
    assert row["stored_bytes"] == archive.stat().st_size
    for arguments in (["-d", "-f"], ["-t"], ["test"], ["-l"], ["info"]):
        done = llmzip(*arguments, "--json", archive, plain.with_name("none.llmz"))
        assert done.returncode == 1
        row, failure = json.loads(done.stdout)
        assert (row["file"], row["plain_bytes"]) == (str(archive), len(TEXT))
        assert row["stored_bytes"] == archive.stat().st_size
        assert failure == {"file": str(plain.with_name("none.llmz")), "error": "No such file or directory"}
    assert json.loads(llmzip("info", "--json", archive).stdout)[0]["members"] == 1
    assert json.loads(llmzip("-1", "--json", archive).stdout)[0]["warning"]


def test_verbose_tells_sizes_ratio_and_rate(plain: Path) -> None:
    line = one_line(llmzip("-1", "-v", plain))
    for part in ("1,580 plain", "stored", "bits per byte", "ratio", " s, ", "KB/s", "plain.txt.llmz"):
        assert part in line
    assert "KB/s" in one_line(llmzip("-dcv", f"{plain}.llmz"))
    assert llmzip("-1", "-vq", "-f", plain).stderr == b""


def test_empty_files_are_no_special_case(tmp_path: Path) -> None:
    archive = packed(tmp_path / "empty", b"")
    for arguments in (["info"], ["-l"], ["-tv"], ["-dfv"]):
        told = llmzip(*arguments, archive)
        assert told.returncode == 0
        assert b"nan" not in told.stdout + told.stderr
    assert (tmp_path / "empty").read_bytes() == b""
    assert "empty" in one_line(llmzip("-t", tmp_path / "empty"))


# Progress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _screen(monkeypatch: pytest.MonkeyPatch) -> _Terminal:
    screen = _Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


@pytest.mark.parametrize("compresses", [True, False])
def test_progress_has_rate_ratio_and_time_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compresses: bool
) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(100_000 if compresses else 25_000))
    screen = _screen(monkeypatch)

    def work(source: Source, target: Target, progress: Progress) -> None:
        for _ in range(10):
            source.read(10_000 if compresses else 2_500)
            for _ in range(10):
                time.sleep(0.015)
                progress.advance(1_000)
            target.write(bytes(2_500 if compresses else 10_000))

    assert Conversion(work, lambda name: name + ".out", compresses).of_all([str(source)]) == 0
    shown = screen.getvalue()
    assert "source" in shown
    assert "ratio 4.00" in shown
    assert "/100k" in shown  # bytes done of all
    assert "kB/s" in shown
    assert "<00:0" in shown  # time left


def test_progress_of_growing_and_piped_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    growing = tmp_path / "growing"
    growing.write_bytes(bytes(1000))
    screen = _screen(monkeypatch)
    with open_source(str(growing)) as source, bar(source, Target("x", io.BytesIO())) as progress:  # type: ignore[arg-type]
        time.sleep(0.6)
        for _ in range(4):
            source.read(1000)
            progress.advance(1000)
            time.sleep(0.25)
            with growing.open("ab") as file:
                file.write(bytes(1000))
    assert "2.00k/2.00k" in screen.getvalue()
    assert "4.00k/4.00k" in screen.getvalue()
    read_end, write_end = os.pipe()
    os.write(write_end, bytes(2000))
    os.close(write_end)
    screen = _screen(monkeypatch)
    with open(read_end, "rb") as pipe:
        source = Source("pipe", pipe)
        with bar(source, Target("x", io.BytesIO())) as progress:  # type: ignore[arg-type]
            time.sleep(0.6)
            source.read(1000)
            progress.advance(1000)
            time.sleep(0.3)
            progress.advance(1000)
    assert "2.00kB [" in screen.getvalue()
    assert "%" not in screen.getvalue()


def test_no_progress_where_nobody_looks_or_data_would_be_torn(plain: Path) -> None:
    assert llmzip("-1", plain).stderr == b""
    assert llmzip("-1c", plain).stderr == b""


def test_decompress_reads_its_input_once(plain: Path, tmp_path: Path) -> None:
    archive = packed(plain)
    fifo = tmp_path / "fifo.llmz"
    os.mkfifo(fifo)
    process = subprocess.Popen([*COMMAND, "-dc", str(fifo)], stdout=subprocess.PIPE)
    fifo.write_bytes(archive.read_bytes())  # can be read but once
    assert process.communicate()[0] == TEXT
    with open_source(str(archive)) as source:
        reads = 0
        original = source.stream.read

        def counted(size: int = -1) -> bytes:
            nonlocal reads
            part = original(size)
            reads += len(part)
            return part

        source.stream = type("Counted", (), {"read": staticmethod(counted)})()
        assert b"".join(iterate_plain(source)) == TEXT
    assert reads == archive.stat().st_size


# Terminals


def _on_terminal(*arguments: str, stdin_too: bool = False) -> tuple[int, bytes]:
    pty = pytest.importorskip("pty")
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdin=terminal if stdin_too else subprocess.DEVNULL, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    out = b""
    while True:
        try:
            part = os.read(controller, 1 << 16)
        except OSError:
            break
        if not part:
            break
        out += part
    os.close(controller)
    return process.wait(), out


def test_compressed_data_stays_off_terminals(plain: Path) -> None:
    code, out = _on_terminal("-1", "-c", str(plain))
    assert (code, out.count(b"\n")) == (1, 1)
    assert b"not written to a terminal" in out
    code, out = _on_terminal("-d", stdin_too=True)
    assert code == 1
    assert b"not read from a terminal" in out
    code, out = _on_terminal(stdin_too=True)
    assert code == 0
    assert out.startswith(b"Usage: llmzip [OPTIONS] [FILE]...")
    code, out = _on_terminal("cat", str(packed(plain)))
    assert (code, out) == (0, TEXT.replace(b"\n", b"\r\n"))


# Start and models


def test_help_starts_fast() -> None:
    fastest = 9.0
    for _ in range(5):
        started = time.perf_counter()
        assert llmzip("--help").returncode == 0
        fastest = min(fastest, time.perf_counter() - started)
    assert fastest < 0.3  # 0.06 s on an idle machine; CI machines are not
    code = (
        "import sys; from llmzip.cli.commands import main; sys.exit(bool({'numpy', 'tqdm', 'torch'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_every_command_has_help() -> None:
    for name in ("compress", "decompress", "cat", "test", "info", "list", "entropy"):
        result = CliRunner().invoke(commands.main, [name, "--help"])
        assert result.exit_code == 0
        assert name in result.output
    for name in ("compress", "decompress", "cat", "test", "info", "list", "entropy", "bench", "train", "adapt"):
        assert f"\n  {name}" in CliRunner().invoke(commands.main, ["--help"]).output


def test_shell_completion_knows_commands_and_files() -> None:
    environment = os.environ | {"_LLMZIP_COMPLETE": "bash_complete"}
    program = [sys.executable, "-c", "from llmzip.cli import run; run()"]
    for words, position, expected in (
        ("llmzip de", "1", "decompress"),
        ("llmzip a", "1", "file"),
        ("llmzip -d a", "2", "file"),
    ):
        result = subprocess.run(
            program, env=environment | {"COMP_WORDS": words, "COMP_CWORD": position}, capture_output=True, timeout=60
        )
        assert expected in result.stdout.decode()


def test_run_time_never_imports_torch() -> None:
    code = "import sys, llmzip; llmzip.decompress(llmzip.compress(b'some text')); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=300).returncode == 0


def test_the_page_for_gzip_users_lists_every_option() -> None:
    page = (Path(__file__).parents[2] / "docs" / "coming-from-gzip.md").read_text(encoding="utf-8")
    options = page.split("## Options")[1].split("## Exit codes")[0]
    for parameter in commands.main.commands[commands.GZIP_STYLE].params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            for name in (*parameter.opts, *parameter.secondary_opts):
                assert f"`{name}" in options, name


def test_an_output_that_cannot_be_made_is_named(plain: Path) -> None:
    assert "nowhere/x: No such file" in one_line(llmzip("-1", plain, "-o", "nowhere/x"))
    assert "nowhere/x: No such file" in one_line(llmzip("entropy", plain, "--csv", "nowhere/x"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["-1", "--output-limit", "10", "FILE"],
        ["-1", "-o", "", "FILE"],
        ["cat", "-f", "--range", "0-3", "FILE"],
        ["-1", "--block-size", "9" * 400, "FILE"],
        ["-1", "--record-kind", "jsonl", "--key", "\udcff", "FILE"],
        ["-1", "--key", "id", "FILE"],
    ],
    ids=lambda arguments: " ".join(arguments)[:20].encode("ascii", "replace").decode(),
)
def test_what_has_no_meaning_is_refused(plain: Path, arguments: list[str]) -> None:
    before = sorted(plain.parent.iterdir())
    done = llmzip(*(plain if argument == "FILE" else argument for argument in arguments))
    one_line(done)
    assert done.returncode == 1
    assert sorted(plain.parent.iterdir()) == before


def test_a_key_may_contain_an_equals_sign(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"a=b": 1}\n{"a=b": 2}\n{"a": "b=2"}\n')
    llmzip("-1", "--key", "a=b", str(path))
    assert llmzip("cat", "--key", "a=b=2", f"{path}.llmz").stdout == b'{"a=b": 2}\n'
    assert llmzip("cat", "--key", "a=c", f"{path}.llmz").stdout == b""
    llmzip("cat", "--key", "a=\udcff", f"{path}.llmz")

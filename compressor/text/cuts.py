"""Runs of encoded bytes cut out of a text: what is left, and what the runs stand for, as streams."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from llmzip.text.description import Source, pack_numbers, senseless

Form = TypeVar("Form")
JOINED = 2
"""Streams in which runs stand one after the other: of bytes that look like text, and of others."""
_OWN_STREAM_BYTES, _MOST_STREAMS = 1 << 14, 32
"""Runs from this length on get a stream of their own, if they are not too many."""
_EFFORT, _DEFLATE_START = 1, 60
"""Of zlib; bytes that it takes for its codes at least."""
STREAM_COST = 9
"""Bytes of a stream's header, and of a model that begins anew."""
_MOST_CONTROLS = 0.01
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r\x1b")) + b"\x7f"


class Cut(NamedTuple):
    """``text[begin:end]`` stands for ``data``, in a form of which there are few; ``note`` is what it alone needs."""

    begin: int
    end: int
    form: bytes
    note: bytes
    data: bytes


def looks_like_text(data: bytes) -> bool:
    """Whether bytes have hardly any control characters."""
    return len(data) - len(data.translate(None, _CONTROLS)) <= _MOST_CONTROLS * len(data)


def pays(text: bytes, cuts: list[Cut], taken: tuple[bytes, list[bytes]], saved_share: float) -> bool:
    """Whether runs are likely to take fewer bytes as what they stand for.

    Args:
        saved_share: what is saved of bytes in which there is nothing to find.
    """
    description, streams = taken
    data = b"".join(cut.data for cut in cuts)
    encoded = zlib.compress(b"".join(text[cut.begin : cut.end] for cut in cuts), _EFFORT)
    saved = max(saved_share * len(data), len(encoded) - _DEFLATE_START - deflated_bytes(data))
    return saved > len(description) + STREAM_COST * len(streams)


def deflated_bytes(data: bytes) -> int:
    """What a quick zlib makes of bytes, or their number if that is less."""
    return min(len(zlib.compress(data, _EFFORT)), len(data))


def pack_cuts(text: bytes, cuts: Iterable[Cut]) -> tuple[bytes, list[bytes]] | None:
    """Return a description and streams: what is left of the text, text of runs, other bytes of runs, long runs.

    The description has the number of forms and whether there are the second and third stream, the forms, then for each
    run what stands before it, its bytes, a number for its form and its stream, and its note.
    """
    kept, joined, long_runs = bytearray(), (bytearray(), bytearray()), list[bytes]()
    forms: dict[bytes, int] = {}
    runs = bytearray()
    at = 0
    for cut in cuts:
        kept += text[at : cut.begin]
        own = len(cut.data) >= _OWN_STREAM_BYTES and len(long_runs) < _MOST_STREAMS
        stream = JOINED if own else int(not looks_like_text(cut.data))
        if own:
            long_runs.append(cut.data)
        else:
            joined[stream].extend(cut.data)
        form = forms.setdefault(cut.form, len(forms))
        runs += pack_numbers((cut.begin - at, len(cut.data), form * (JOINED + 1) + stream)) + cut.note
        at = cut.end
    if not forms:
        return None
    kept += text[at:]
    streams = [bytes(kept), *(bytes(stream) for stream in joined if stream), *long_runs]
    there = sum(1 << i for i, stream in enumerate(joined) if stream)
    return pack_numbers([len(forms) << JOINED | there]) + b"".join(forms) + bytes(runs), streams


def put_back_cuts(
    description: bytes, streams: list[bytes], plain_length: int, read_form: Callable[[Source], Form],
    write: Callable[[Form, Source, bytes, int], bytes | None],
) -> bytes:  # fmt: skip
    """Undo :func:`pack_cuts`.

    Args:
        read_form: takes a form off the description.
        write: makes a run of its form, its note (taken off the description) and its bytes; None where it would be
            longer than the number of bytes that it gets last.

    Raises:
        DamagedError: the description makes no sense, or does not give ``plain_length`` bytes.
    """
    source = Source(description)
    count, there = divmod(source.number(len(description) << JOINED), 1 << JOINED)
    forms = [read_form(source) for _ in range(count)]
    if len(streams) < 1 + there.bit_count():
        raise senseless()
    kept, others = streams[0], iter(streams[1:])
    joined = [next(others) if there >> i & 1 else b"" for i in range(JOINED)]
    long_runs = others
    parts, at, left, places = [], 0, plain_length, [0] * JOINED
    while not source.is_empty:
        gap = source.number(len(kept) - at)
        length = source.number(plain_length)
        form, stream = divmod(source.number(), JOINED + 1)
        if form >= len(forms) or length == 0:
            raise senseless()
        if stream == JOINED:
            data = next(long_runs, b"")
        else:
            data = joined[stream][places[stream] : places[stream] + length]
            places[stream] += length
        parts.append(kept[at : at + gap])
        at += gap
        left -= gap
        run = write(forms[form], source, data, left) if len(data) == length and left >= 0 else None
        if run is None:
            raise senseless()
        parts.append(run)
        left -= len(run)
    parts.append(kept[at:])
    unused = next(long_runs, None) is not None or any(places[i] != len(joined[i]) for i in range(JOINED))
    if unused or left != len(kept) - at:
        raise senseless()
    return b"".join(parts)

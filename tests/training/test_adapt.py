"""``llmzip adapt``: from a folder of text to a file that makes more of it smaller."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

import numpy as np
import torch

import llmzip
from llmzip.errors import LlmzError
from llmzip.models import adapt_network as adapt_module
from llmzip.models.adapt import adapt
from llmzip.models.adapt_network import adapt_network
from llmzip.models.adapt_text import choose_primer, hold_back, read_texts
from llmzip.network.model import Model, load_model
from tests.conftest import TINY_PATH

COMMAND = [sys.executable, "-m", "llmzip", "adapt"]


def day(number: int) -> bytes:
    return b"".join(
        b"2026-01-%02d host app[%d]: user %d logged in from 10.0.%d.%d\n"
        % (number, number * 7 + i, i * 31 % 97, i % 5, i * number % 251)
        for i in range(120)
    )


@pytest.fixture
def days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLMZIP_MODEL_PATH", str(Path(TINY_PATH).parent))
    folder = tmp_path / "days"
    (folder / "older").mkdir(parents=True)
    for number in range(1, 5):
        (folder / "older" / f"{number}.log.gz").write_bytes(gzip.compress(day(number)))
    (folder / "5.log").write_bytes(day(5))
    (folder / "6.bin").write_bytes(b"\0\1" * 50)
    return folder


def test_from_a_folder_to_smaller_archives(days: Path, tmp_path: Path) -> None:
    made = tmp_path / "own.llmzmodel"
    options = ["--model", TINY_PATH, "--steps", "2", "--rank", "2", "--primer", "8", "-T", "1"]
    done = subprocess.run([*COMMAND, str(days), "-o", str(made), *options], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "6.bin" in done.stderr
    assert load_model(str(made)).fingerprint.hex() in done.stdout
    text = day(6)
    archive = llmzip.compress(text, model=str(made))
    assert llmzip.decompress(archive, model=str(made)) == text
    assert len(archive) < 0.8 * len(llmzip.compress(text, model=TINY_PATH))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["days", "own.llmzmodel"]


ONE_AFTER_THE_OTHER = """
import json, sys
from click.testing import CliRunner
from llmzip.cli.commands import main
for arguments in json.loads(sys.argv[1]):
    done = CliRunner().invoke(main, ["adapt", *arguments])
    print(json.dumps([done.exit_code, done.stderr]))
"""


def test_what_is_wrong_is_told_in_one_line(days: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    damaged = tmp_path / "damaged.gz"
    damaged.write_bytes(gzip.compress(day(1))[:-20])
    out = str(tmp_path / "out.llmzmodel")
    wrong = [
        [str(tmp_path / "empty"), "-o", out],
        [str(damaged), "-o", out],
        [str(days), "-o", str(tmp_path / "none" / "out"), "-q"],
        [str(days), "-o", out, "--model", str(damaged), "-q"],
        [str(days)],
    ]
    command = [sys.executable, "-c", ONE_AFTER_THE_OTHER, json.dumps(wrong)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == len(wrong)
    for code, message in told:
        assert code == 1, message
        assert len(message.strip().splitlines()) == 1, message
        assert message.startswith("llmzip: ")
    assert not Path(out).exists()


def test_without_torch_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['torch'] = None; from llmzip.cli import run; sys.argv[1:] = ['adapt', '.']; run()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "pip install 'llmzip[train]'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_interrupt_leaves_no_file(days: Path, tmp_path: Path) -> None:
    options = ["--model", TINY_PATH, "--steps", "100000", "-T", "1"]
    out = tmp_path / "out.llmzmodel"
    process = subprocess.Popen(
        [*COMMAND, str(days), "-o", str(out), *options],
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # whoever started the tests may ignore it
    )
    assert process.stderr is not None
    seen = b""
    while b"network" not in seen:  # it has begun
        seen += process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGINT
    assert b"Traceback" not in told
    assert [path.name for path in tmp_path.iterdir()] == ["days"]


def test_training_the_network_helps_on_text_apart(tiny: Model) -> None:
    torch.set_num_threads(1)
    tokens = tiny.tokenizer.encode(b"".join(map(day, range(1, 40))))
    told: list[int] = []
    apart = tiny.tokenizer.encode(b"".join(map(day, range(40, 44))))
    change = adapt_network(tiny, tokens, apart, 2, 12, told.append)
    assert sum(told) == 12
    assert change is not None
    assert change.gain > 0.01
    assert set(change.low_rank) == {f"decoder.{n}_weight" for n in ("in", "out", "up", "down")} | {"head_weight"}
    assert all(np.abs(array).max() > 0 for array in change.differences.values())


@pytest.mark.slow
def test_compiled_layers_learn_the_same(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    tokens, apart = (tiny.tokenizer.encode(b"".join(map(day, days))) for days in (range(1, 40), range(40, 44)))
    monkeypatch.setenv("CXX", "no compiler")
    plain = adapt_network(tiny, tokens, apart, 2, adapt_module._STEPS_WORTH_COMPILING, lambda _: None)
    monkeypatch.delenv("CXX")
    compiled = adapt_network(tiny, tokens, apart, 2, adapt_module._STEPS_WORTH_COMPILING, lambda _: None)
    assert plain is not None
    assert compiled is not None
    assert compiled.gain == pytest.approx(plain.gain, rel=0.05)


def test_an_adapted_model_is_not_adapted_again(tiny: Model) -> None:
    data, _ = adapt(tiny, [day(1)], primer_bytes=2000, progress=False)
    with pytest.raises(LlmzError, match="again"):
        adapt(Model(data, tiny), [day(1)], progress=False)


def test_text_apart_is_whole_texts_or_the_end_of_a_long_one() -> None:
    short = [b"%d\n" % number * 100 for number in range(20)]
    trained, apart = hold_back(short, 700)
    assert sorted(trained + apart) == sorted(short)
    assert 5000 // 8 <= sum(map(len, apart)) < 5000 // 8 + 300
    long = [b"a line\n" * 500, b"another line\n" * 500]
    trained, apart = hold_back(long, 700)
    assert trained[0] == long[0]
    assert trained[1] + apart[0] == long[1]
    assert 700 <= len(apart[0]) < 720
    assert apart[0].startswith(b"another")
    assert hold_back([b"x"], 700) == ([b"x"], [b""])


def test_the_primer_is_what_repeats_and_what_is_recent() -> None:
    random = np.random.default_rng(1)
    noise = [random.integers(97, 123, 6000).astype(np.uint8).tobytes() + b"\n" for _ in range(12)]
    texts = [once + b"a line that every text of them has, at its end\n" * 40 for once in noise]
    primer = choose_primer(texts, 8000)
    assert 4000 < len(primer) <= 8000
    assert b"a line that every text" in primer
    assert choose_primer(texts[:1], 1 << 20) == texts[0]
    assert choose_primer(texts, 8000) == primer


def test_texts_come_in_the_order_of_their_names(days: Path) -> None:
    texts, passed_over = read_texts(days)
    assert texts == [day(5), *map(day, range(1, 5))]
    assert [Path(name).name for name in passed_over] == ["6.bin"]

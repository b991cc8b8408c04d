"""The page of ``llmzip bench --html`` in headless Chromium: light and dark, narrow and wide."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmzip.benchmarks import bench_page, results
from tests.browser import CHROMIUM, Site, served

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")

LOOK = """<!doctype html><title>look</title><body style="margin: 0"><script>
"use strict";
const asked = new URLSearchParams(location.search);
const frame = document.createElement("iframe");
frame.style = "border: 0; height: 900px; width: " + asked.get("width") + "px";
frame.src = "page.html";
const channels = (color) => color.match(/[0-9.]+/g).map(Number);
const luminance = (color) => {
  const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const [r, g, b] = channels(color).map((c) => linear(c / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (one, other) => {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
};
frame.onload = () => {
  const view = frame.contentWindow, page = view.document;
  const shown = (element) => element.getClientRects().length > 0;
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const color = view.getComputedStyle(element).backgroundColor;
      if (channels(color)[3] !== 0) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const written = [...page.querySelectorAll("h1, h2, p, th, td, dt, dd, svg text")].filter(shown);
  const contrasts = written.map((element) => {
    const style = view.getComputedStyle(element);
    return contrast(element.closest("svg") ? style.fill : style.color, ground(element));
  });
  const plots = [...page.querySelectorAll("svg")].filter(shown);
  const outside = plots.flatMap((plot) => {
    const around = plot.getBoundingClientRect();
    return [...plot.querySelectorAll("text")].filter((text) => {
      const box = text.getBoundingClientRect();
      const within = box.left >= around.left - 1 && box.right <= around.right + 1;
      return !within || box.top < around.top - 1 || box.bottom > around.bottom + 1;
    }).map((text) => text.textContent);
  });
  const root = page.documentElement;
  fetch("result", { method: "POST", body: JSON.stringify({
    dark: view.matchMedia("(prefers-color-scheme: dark)").matches,
    ground: luminance(ground(page.body)),
    sideways: root.scrollWidth - root.clientWidth,
    plots: plots.map((plot) => plot.getBoundingClientRect().width),
    outside,
    written: written.length,
    leastContrast: Math.min(...contrasts),
    loaded: view.performance.getEntriesByType("resource").map((entry) => entry.name),
  }) });
};
document.body.append(frame);
</script>"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The page for the committed result of all compressors."""
    measured = results.load("bench")
    assert measured is not None
    folder = tmp_path_factory.mktemp("page")
    (folder / "page.html").write_text(bench_page.page(measured), encoding="utf-8")
    (folder / "look.html").write_text(LOOK, encoding="utf-8")
    with served(folder) as site:
        yield site


@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_and_can_be_read(site: Site, tmp_path: Path, width: int, dark: bool) -> None:
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    told = site.reported_by(f"look.html?width={width}", tmp_path, scheme, "--window-size=1400,1000")
    seen: dict[str, Any] = json.loads(told)
    assert seen["dark"] is dark
    assert (seen["ground"] < 0.1) is dark
    assert seen["sideways"] <= 0, "the page as a whole scrolls sideways"
    assert len(seen["plots"]) == 2, "one drawing of each plot is shown"
    assert all(0.8 * min(width, 900) < plot <= width for plot in seen["plots"])
    assert not seen["outside"], "labels are cut off"
    assert seen["written"] > 100
    assert seen["leastContrast"] >= 4.5
    assert seen["loaded"] == []

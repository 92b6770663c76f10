"""Makes tables and plots of what was measured: the Markdown between the marks in docs/benchmarks.md,
and docs/images/bench-*.png.

usage: report.py RESULTS_FOLDER DOCUMENT IMAGES_FOLDER

A cell has the ratio of the alternative to Framelane first, and the median of all rounds behind it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

Rows = dict[str, dict[str, list[float]]]
OURS = "Framelane"
LIBAV = "Framelane, --decoder libav"
SHARED_MEMORY = "multiprocessing.shared_memory"


@dataclasses.dataclass(frozen=True)
class Spec:
    """How to show a table: its metrics with their headings, and what the plot is of."""

    metrics: dict[str, str]
    unit: str
    plot: str
    # Whether the rows are compared with Framelane's.
    compared: bool = True


SPECS = {
    "hop-blocking": Spec({"p50_us": "p50", "p99_us": "p99"}, "µs", "p50_us"),
    "hop-busy": Spec({"p50_us": "p50", "p99_us": "p99"}, "µs", "p50_us"),
    "throughput": Spec({"720p": "720p", "1080p": "1080p", "4K": "4K"}, "frames/s", "1080p"),
    "frames-in-python": Spec({"720p": "720p", "1080p": "1080p", "4K": "4K"}, "frames/s", "1080p"),
    "whole-job": Spec(
        {
            "720p_wall_s": "720p wall",
            "720p_cpu_s": "720p CPU",
            "1080p_wall_s": "1080p wall",
            "1080p_cpu_s": "1080p CPU",
        },
        "s",
        "1080p_cpu_s",
    ),
    "latency": Spec(
        {
            "added_p50_ms": "added, p50",
            "added_p99_ms": "added, p99",
            "first_picture_ms": "first picture",
            "glass_to_glass_p50_ms": "glass to glass, p50",
        },
        "ms",
        "added_p50_ms",
    ),
    "workers": Spec(
        {"of_ideal": "share of the ideal", "frames_per_second": "frames/s"}, "", "of_ideal", False
    ),
    "python-loop": Spec({"cpu_us": "CPU time a frame"}, "µs", "cpu_us"),
    "memory": Spec({"720p_mb": "720p", "1080p_mb": "1080p"}, "MB", "1080p_mb", False),
    "streams": Spec(
        {"1_cpu_s": "1 stream", "4_cpu_s": "4 streams", "16_cpu_s": "16 streams"}, "s", "16_cpu_s"
    ),
}


def load(folder: pathlib.Path) -> dict[str, Rows]:
    tables: dict[str, Rows] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            table = json.loads(line)
            tables[table["table"]] = {row["name"]: row["metrics"] for row in table["rows"]}
    return tables


def shown(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def median(tables: dict[str, Rows], table: str, row: str, metric: str) -> float:
    return statistics.median(tables[table][row][metric])


@dataclasses.dataclass(frozen=True)
class Spread:
    """What most rounds say of a ratio: its median, and its quartiles."""

    low: float
    median: float
    high: float

    def __str__(self) -> str:
        return f"{shown(self.median)} ({shown(self.low)} to {shown(self.high)})"


def spread(rows: Rows, metric: str, other: str) -> Spread:
    """Framelane's number to another's, round by round: both had the same machine then."""
    pairs = zip(rows[OURS][metric], rows[other][metric], strict=True)
    return Spread(*statistics.quantiles((ours / theirs for ours, theirs in pairs), n=4))


def markdown(spec: Spec, rows: Rows) -> str:
    lines = ["| | " + " | ".join(spec.metrics.values()) + " |"]
    lines.append("|---" * (len(spec.metrics) + 1) + "|")
    for name, metrics in rows.items():
        cells = [cell(spec, rows, name, metric) for metric in spec.metrics]
        label = f"**{name}**" if name == OURS else name
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    rounds = max(len(values) for metrics in rows.values() for values in metrics.values())
    return "\n".join([*lines, "", f"*Medians of {rounds} rounds.*"])


def cell(spec: Spec, rows: Rows, name: str, metric: str) -> str:
    value = statistics.median(rows[name][metric])
    text = f"{shown(value)} {spec.unit}".strip()
    if spec.compared:
        ratio = value / statistics.median(rows[OURS][metric])
        text = f"**{ratio:.2f}** ({text})"
    return text


def slow_model(rows: Rows) -> str:
    """Ages and memory over time, one line for each moment."""
    moments = [key.rsplit("_", 1)[1] for key in rows[OURS] if key.startswith("age")]
    lines = ["| after | " + " | ".join(f"{name}: age | {name}: memory" for name in rows) + " |"]
    lines.append("|---" * (2 * len(rows) + 1) + "|")
    for moment in moments:
        cells = []
        for metrics in rows.values():
            memory = metrics.get(f"memory_mb_after_{moment}")
            cells.append(f"{metrics[f'age_s_after_{moment}'][0]:.2f} s")
            cells.append(f"{memory[0]:.1f} MB" if memory else "it has ended")
        lines.append(f"| {int(moment)} s | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def goals(tables: dict[str, Rows]) -> str:
    """Each goal beside what was measured."""

    def of(table: str, row: str, metric: str) -> float:
        return median(tables, table, row, metric)

    def ratio(table: str, metric: str, other: str, ours: str = OURS) -> float:
        return of(table, ours, metric) / of(table, other, metric)

    def worst(table: str, other: str) -> Spread:
        spreads = [spread(tables[table], size, other) for size in ("720p", "1080p", "4K")]
        return min(spreads, key=lambda spread: spread.median)

    slow = tables["slow-model"][OURS]
    ages = [values[0] for key, values in slow.items() if key.startswith("age")]
    memory = [values[0] for key, values in slow.items() if key.startswith("memory")]
    stages = [max(tables["memory"][s]["1080p_mb"]) for s in ("puller", "worker", "pusher")]
    streams = of("streams", OURS, "16_cpu_s") / of("streams", OURS, "1_cpu_s")
    sizes = ("720p", "1080p")
    script_wall = max(ratio("whole-job", f"{s}_wall_s", "the script") for s in sizes)
    script_cpu = max(ratio("whole-job", f"{s}_cpu_s", "the script") for s in sizes)
    libav_cpu = max(ratio("whole-job", f"{s}_cpu_s", "the script", LIBAV) for s in sizes)
    ffmpeg_wall = max(ratio("whole-job", f"{s}_wall_s", "one ffmpeg") for s in sizes)
    first = ratio("latency", "first_picture_ms", "one ffmpeg")
    rows = [
        ("hop, blocking, p50, to iceoryx2", ratio("hop-blocking", "p50_us", "iceoryx2"), "<=", 1.0),
        ("hop, busy, p50, to iceoryx2", ratio("hop-busy", "p50_us", "iceoryx2"), "<=", 1.0),
        ("1080p frames/s, to two memcpy", ratio("throughput", "1080p", "two memcpy in one process"), ">=", 0.95),
        ("frames/s, to iceoryx2, the worst of three sizes", worst("throughput", "iceoryx2"), ">=", 1.0),
        ("frames/s in Python, to shared_memory, the worst of three sizes", worst("frames-in-python", SHARED_MEMORY), ">=", 1.0),
        ("whole job, wall time, to the script", script_wall, "<=", 0.75),
        ("whole job, CPU time, to the script", script_cpu, "<=", 0.75),
        ("the same with `--decoder libav`", libav_cpu, "<=", 0.75),
        ("whole job, wall time, to one ffmpeg", ffmpeg_wall, "<=", 1.0),
        ("live, added latency, p50, in frame intervals", of("latency", OURS, "added_p50_ms") / 40, "<=", 1.5),
        ("live, first picture, to one ffmpeg", first, "<=", 1.0),
        ("slow model: age at the end, to that at the start", ages[-1] / ages[0], "<=", 1.2),
        ("16 workers, share of the ideal", of("workers", "16", "of_ideal"), ">=", 0.98),
        ("Python loop, CPU time a frame, µs", of("python-loop", OURS, "cpu_us"), "<=", 50.0),
        ("Python loop, to shared_memory", ratio("python-loop", "cpu_us", SHARED_MEMORY), "<=", 1.0),
        ("memory of the largest stage, MB", max(stages), "<=", 30.0),
        ("slow model: memory at the end, to that at the start", memory[-1] / memory[0], "<=", 1.1),
        ("CPU time a stream, 16 streams to 1", streams, "<=", 1.1),
    ]
    lines = ["| | measured | goal | |", "|---|---|---|---|"]
    for label, measured, direction, goal in rows:
        value = measured.median if isinstance(measured, Spread) else measured
        text = str(measured) if isinstance(measured, Spread) else shown(measured)
        sign = "at most" if direction == "<=" else "at least"
        if value <= goal if direction == "<=" else value >= goal:
            verdict = "met"
        elif isinstance(measured, Spread) and measured.low <= goal <= measured.high:
            verdict = "even"
        else:
            verdict = "**missed**"
        lines.append(f"| {label} | {text} | {sign} {goal:g} | {verdict} |")
    return "\n".join(lines)


def machine() -> str:
    def first_line(*command: str) -> str | None:
        if shutil.which(command[0]) is None:
            return None
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return (done.stdout or done.stderr).splitlines()[0].strip()

    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    facts = [
        time.strftime("%Y-%m-%d"),
        f"{cpu.group(1) if cpu else platform.machine()}, {os.cpu_count()} cores",
        f"Linux {platform.release()}",
        first_line("rustc", "--version"),
        (first_line("ffmpeg", "-version") or "").split(" Copyright")[0],
        f"Python {platform.python_version()}",
        first_line("gst-launch-1.0", "--version"),
    ]
    return "; ".join(fact for fact in facts if fact) + "."


def plot(name: str, spec: Spec, rows: Rows, path: pathlib.Path) -> None:
    names = list(rows)
    values = [statistics.median(rows[row][spec.plot]) for row in names]
    figure, axes = pyplot.subplots(figsize=(7, 0.5 * len(names) + 1))
    colours = ["#d95f02" if row == OURS or not spec.compared else "#9aa5b1" for row in names]
    bars = axes.barh(names[::-1], values[::-1], color=colours[::-1])
    axes.bar_label(bars, [shown(value) for value in values[::-1]], padding=3)
    axes.margins(x=0.15)
    axes.set_xlabel(f"{spec.metrics[spec.plot]} {spec.unit}")
    axes.set_title(name)
    save(figure, path)


def plot_slow(rows: Rows, path: pathlib.Path) -> None:
    figure, axes = pyplot.subplots(figsize=(7, 3))
    for name, metrics in rows.items():
        ages = {int(key.rsplit("_", 1)[1]): v[0] for key, v in metrics.items() if "age_s" in key}
        colour = "#d95f02" if name == OURS else "#9aa5b1"
        axes.plot(list(ages), list(ages.values()), marker="o", label=name, color=colour)
    axes.set_xlabel("seconds")
    axes.set_ylabel("age of the picture, s")
    axes.legend()
    save(figure, path)


def save(figure: pyplot.Figure, path: pathlib.Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def fill(document: str, mark: str, text: str) -> str:
    pattern = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- end -->)", re.S)
    if not pattern.search(document):
        sys.exit(f"the document has no place for {mark}")
    return pattern.sub(lambda found: found.group(1) + text + "\n" + found.group(2), document)


def main(results: str, document: str, images: str) -> None:
    tables = load(pathlib.Path(results))
    path = pathlib.Path(document)
    text = fill(path.read_text(), "machine", machine())
    if tables.keys() >= {*SPECS, "slow-model"}:
        text = fill(text, "goals", goals(tables))
    for name, spec in SPECS.items():
        if name in tables:
            text = fill(text, name, markdown(spec, tables[name]))
            plot(name, spec, tables[name], pathlib.Path(images, f"bench-{name}.png"))
    if "slow-model" in tables:
        text = fill(text, "slow-model", slow_model(tables["slow-model"]))
        plot_slow(tables["slow-model"], pathlib.Path(images, "bench-slow-model.png"))
    path.write_text(text)


if __name__ == "__main__":
    main(*sys.argv[1:])

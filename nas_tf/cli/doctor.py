"""``nas-tf doctor``: what is wrong with this environment, and what to do about it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nas_tf.cli import doctor_checks, tables
from nas_tf.cli.doctor_checks import Finding
from nas_tf.errors import EnvironmentFault

_COLOURS = {"ok": "green", "note": "yellow", "problem": "red"}
_PATIENCE = 300
_DRAWN = "shapes"


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(as_json: bool) -> None:
    """Check versions, processor, memory, disk, GPUs, data and tools, and suggest fixes.

    A note is an optional part that is missing. A problem breaks commands, and the exit code is 4.
    The check also works where TensorFlow does not.

    \b
    nas-tf doctor
    nas-tf doctor --json
    """
    with Console(stderr=True).status("Looking, TensorFlow takes some seconds ..."):
        found = list(_all())
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=1))
    else:
        tables.console().print(_table(found))
    problems = [one.subject for one in found if one.state == "problem"]
    if problems:
        raise EnvironmentFault(
            f"{len(problems)} of {len(found)} checks found a problem: {', '.join(problems)}"
        )


def _all() -> Iterator[Finding]:
    yield doctor_checks.python()
    yield from doctor_checks.packages()
    yield from doctor_checks.extras()
    told, end = _probe()
    yield from _tensorflow(told, end)
    yield doctor_checks.cores()
    yield doctor_checks.memory()
    yield from doctor_checks.caches()
    yield doctor_checks.data_folder()
    yield from _data(told)
    yield from doctor_checks.tools()


def _probe() -> tuple[dict[str, dict[str, Any]], str]:
    """What TensorFlow's own process answered by topic, and how that process ended, if badly."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "nas_tf.cli.doctor_probe"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return {}, f"no answer within {_PATIENCE} s"
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"topic"')]
    told = {line["topic"]: line for line in lines}
    if done.returncode < 0:
        return told, f"the process was ended by signal {-done.returncode}"
    said = done.stderr.strip().splitlines() or ["nothing said"]
    return told, f"exit code {done.returncode}: {said[-1]}" if done.returncode else ""


def _tensorflow(told: dict[str, dict[str, Any]], end: str) -> Iterator[Finding]:
    """Whether TensorFlow and what stands on it can be imported, and what they compute with."""
    remedy = "mend the packages above first; then nas-tf doctor again"
    failed = {topic: line["error"] for topic, line in told.items() if "error" in line}
    failed.pop("data", None)
    for topic, reason in failed.items():
        yield Finding(f"import {topic}", "problem", reason, remedy)
    if end:
        last = f" after {list(told)[-1]}" if told else ""
        yield Finding("import of TensorFlow", "problem", f"{end}{last}", remedy)
    if "said" not in told.get("tensorflow", {}):
        return
    if not failed and not end:
        yield Finding("imports", "ok", "TensorFlow and what stands on it")
    yield _gpus(told["tensorflow"]["said"]["gpus"])
    if "said" in told.get("arithmetic", {}):
        yield Finding("arithmetic", "ok", told["arithmetic"]["said"])


def _gpus(names: list[str]) -> Finding:
    if names:
        return Finding("GPUs", "ok", ", ".join(names))
    if Path("/dev/nvidia0").exists():
        return Finding(
            "GPUs",
            "note",
            "TensorFlow sees none, and this machine has one",
            "pip install 'nas-tf[gpu]'; the driver must be of CUDA 12.2 or newer",
        )
    return Finding("GPUs", "ok", "none; TensorFlow runs on the CPU")


def _data(told: dict[str, dict[str, Any]]) -> Iterator[Finding]:
    """ImageNet weights and prepared data sets."""
    if "said" in told.get("weights", {}):
        if path := told["weights"]["said"]:
            yield Finding("ImageNet weights", "ok", path)
        else:
            yield Finding(
                "ImageNet weights",
                "note",
                "not here",
                "downloaded when first used; without a network put them into "
                "$NAS_TF_DATA/weights; the quickstart does not need them",
            )
    line = told.get("data")
    if line is None:
        return
    if "error" in line:
        yield Finding(
            "data sets",
            "problem",
            line["error"],
            "remove the folder it names and run nas-tf data prepare again",
        )
        return
    for name, splits in line["said"].items():
        if splits:
            counts = ", ".join(f"{split} {count}" for split, count in splits.items())
            yield Finding(f"data set {name}", "ok", counts)
    absent = [name for name, splits in line["said"].items() if not splits and name != _DRAWN]
    if absent:
        yield Finding(
            "other data sets",
            "note",
            f"not prepared: {', '.join(absent)}",
            "nas-tf data list says where each comes from; shapes needs no files",
        )


def _table(found: list[Finding]) -> Table:
    """A row a finding; what to do stands below what was found."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in found:
        told = f"{one.told}\n→ {one.remedy}" if one.remedy else one.told
        table.add_row(f"[{_COLOURS[one.state]}]{one.state}[/]", escape(one.subject), escape(told))
    return table

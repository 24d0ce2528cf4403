"""``nas-tf doctor``: finds faults of this environment and suggests remedies."""

import json
import subprocess
import sys
from collections.abc import Iterator
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
_TIMEOUT_SECONDS = 300
_SYNTHETIC = "shapes"


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(as_json: bool) -> None:
    """Check versions, processor, memory, disk, GPUs, data and tools, and suggest fixes.

    A note reports an optional part that is missing. A problem makes commands fail; the exit code
    is then 4. The checks also run if TensorFlow cannot be imported.

    \b
    nas-tf doctor
    nas-tf doctor --json
    """
    with Console(stderr=True).status("Checking; importing TensorFlow takes some seconds ..."):
        findings = list(_all())
    if as_json:
        click.echo(json.dumps([finding.to_dict() for finding in findings], indent=1))
    else:
        tables.console().print(_table(findings))
    problems = [finding.subject for finding in findings if finding.state == "problem"]
    if problems:
        raise EnvironmentFault(
            f"{len(problems)} of {len(findings)} checks found a problem: {', '.join(problems)}"
        )


def _all() -> Iterator[Finding]:
    yield doctor_checks.python()
    yield from doctor_checks.packages()
    yield from doctor_checks.extras()
    answers, fault = _probe()
    yield from _tensorflow(answers, fault)
    yield doctor_checks.cores()
    yield doctor_checks.memory()
    yield from doctor_checks.caches()
    yield doctor_checks.data_folder()
    yield from _data(answers)
    yield from doctor_checks.tools()


def _probe() -> tuple[dict[str, dict[str, Any]], str]:
    """Returns the answers of the TensorFlow process by topic, and its fault if it failed."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "nas_tf.cli.doctor_probe"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return {}, f"no answer within {_TIMEOUT_SECONDS} s"
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"topic"')]
    answers = {line["topic"]: line for line in lines}
    if done.returncode < 0:
        return answers, f"the process was ended by signal {-done.returncode}"
    errors = done.stderr.strip().splitlines() or ["no error message"]
    return answers, f"exit code {done.returncode}: {errors[-1]}" if done.returncode else ""


def _tensorflow(answers: dict[str, dict[str, Any]], fault: str) -> Iterator[Finding]:
    """Checks that TensorFlow and its companions can be imported; reports GPUs and arithmetic."""
    remedy = "fix the packages above first, then run nas-tf doctor again"
    failed = {topic: line["error"] for topic, line in answers.items() if "error" in line}
    failed.pop("data", None)
    for topic, reason in failed.items():
        yield Finding(f"import {topic}", "problem", reason, remedy)
    if fault:
        last = f" after {list(answers)[-1]}" if answers else ""
        yield Finding("import of TensorFlow", "problem", f"{fault}{last}", remedy)
    if "value" not in answers.get("tensorflow", {}):
        return
    if not failed and not fault:
        yield Finding("imports", "ok", "TensorFlow and the packages that need it")
    yield _gpus(answers["tensorflow"]["value"]["gpus"])
    if "value" in answers.get("arithmetic", {}):
        yield Finding("arithmetic", "ok", answers["arithmetic"]["value"])


def _gpus(names: list[str]) -> Finding:
    if names:
        return Finding("GPUs", "ok", ", ".join(names))
    if Path("/dev/nvidia0").exists():
        return Finding(
            "GPUs",
            "note",
            "TensorFlow finds none, although this machine has one",
            "pip install 'nas-tf[gpu]'; the driver must support CUDA 12.2 or newer",
        )
    return Finding("GPUs", "ok", "none; TensorFlow runs on the CPU")


def _data(answers: dict[str, dict[str, Any]]) -> Iterator[Finding]:
    """Reports ImageNet weights and prepared data sets."""
    if "value" in answers.get("weights", {}):
        if path := answers["weights"]["value"]:
            yield Finding("ImageNet weights", "ok", path)
        else:
            yield Finding(
                "ImageNet weights",
                "note",
                "not on this machine",
                "they are downloaded when first used; without a network, copy them to "
                "$NAS_TF_DATA/weights; the quickstart does not need them",
            )
    line = answers.get("data")
    if line is None:
        return
    if "error" in line:
        yield Finding(
            "data sets",
            "problem",
            line["error"],
            "remove the folder that it names and run nas-tf data prepare again",
        )
        return
    for name, splits in line["value"].items():
        if splits:
            counts = ", ".join(f"{split} {count}" for split, count in splits.items())
            yield Finding(f"data set {name}", "ok", counts)
    absent = [name for name, splits in line["value"].items() if not splits and name != _SYNTHETIC]
    if absent:
        yield Finding(
            "other data sets",
            "note",
            f"not prepared: {', '.join(absent)}",
            "nas-tf data list names the source of each; shapes needs no files",
        )


def _table(findings: list[Finding]) -> Table:
    """Returns a table with a row per finding, its remedy below its message."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        state, message = finding.state, finding.message
        text = f"{message}\n→ {finding.remedy}" if finding.remedy else message
        table.add_row(f"[{_COLOURS[state]}]{state}[/]", escape(finding.subject), escape(text))
    return table

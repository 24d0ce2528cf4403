"""A chief and workers as processes, with scripts that do not search."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.processes import ROOT, wait_for

LAUNCH = """
import sys
import time
from tuner_oracles.launch import Cluster

def broken(name, line):
    raise BrokenPipeError("nobody looks")

sys.exit(Cluster([sys.executable, sys.argv[1], sys.argv[2]], 2, restarts=1, {more}).run())
"""


def launch(folder: Path, script: str, more: str = "", **env: str) -> subprocess.Popen:
    path = folder / "script.py"
    path.write_text(script)
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCH.format(more=more), str(path), str(folder)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"} | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_ends_the_chief_when_the_workers_have_ended(tmp_path: Path) -> None:
    """So that even the slowest of them can still return its trial."""
    launched = launch(
        tmp_path,
        """if True:
        import os, sys, time
        name, folder = os.environ["KERASTUNER_TUNER_ID"], sys.argv[1]
        def log(line):
            with open(os.path.join(folder, "log.txt"), "a") as file:
                file.write(line)
        try:
            log("started\\n")
            time.sleep(600)
        except KeyboardInterrupt:
            time.sleep({"worker-0": 0.0, "worker-1": 1.0, "chief": 0.0}[name])
            log(f"{name}\\n")
        """,
    )
    log = tmp_path / "log.txt"
    wait_for(lambda: log.exists() and log.read_text().count("started") == 3)
    launched.send_signal(signal.SIGINT)
    launched.communicate(timeout=60)
    assert launched.returncode == 130
    assert log.read_text().split()[3:] == ["worker-0", "worker-1", "chief"]


def test_output_that_cant_be_shown_does_not_stop_its_process(tmp_path: Path) -> None:
    launched = launch(tmp_path, "for _ in range(20_000): print('x' * 80)", "on_line=broken")
    try:
        _, errors = launched.communicate(timeout=60)
    finally:
        launched.kill()
    assert launched.returncode == 0
    assert errors == (
        "the output of chief, worker-0, worker-1 can't be shown: BrokenPipeError('nobody looks')\n"
    )


def test_the_budget_of_restarts_is_reset_when_a_trial_has_ended(tmp_path: Path) -> None:
    """Each worker dies twice; the chief announces the trial in between a second late."""
    launched = launch(
        tmp_path,
        """if True:
        import os, sys, time
        from pathlib import Path
        from tuner_oracles.launch import announce_trial_end
        name, folder = os.environ["KERASTUNER_TUNER_ID"], Path(sys.argv[1])
        if name == "chief":
            while len(list(folder.glob("*.alive"))) < 2:
                for path in folder.glob("*.dead"):
                    path.unlink()
                    if len(path.with_suffix(".lives").read_text()) == 2:
                        time.sleep(1)
                        announce_trial_end()
                        print("announced", path.stem, flush=True)
                time.sleep(0.01)
            sys.exit(0)
        lives = folder / f"{name}.lives"
        lives.write_text(lives.read_text() + "x" if lives.exists() else "x")
        if len(lives.read_text()) > 2:
            (folder / f"{name}.alive").touch()
            sys.exit(0)
        (folder / f"{name}.dead").touch()
        while (folder / f"{name}.dead").exists():
            time.sleep(0.01)
        sys.exit(9)
        """,
    )
    output, errors = launched.communicate(timeout=120)
    assert launched.returncode == 0, errors
    assert output.count("announced") == 2
    assert "\x03" not in output


@pytest.mark.slow
def test_after_the_end_workers_have_time_to_end_and_those_that_hang_are_killed(
    tmp_path: Path,
) -> None:
    since = time.monotonic()
    launched = launch(
        tmp_path,
        """if True:
        import os, sys, time
        from pathlib import Path
        name, folder = os.environ["KERASTUNER_TUNER_ID"], Path(sys.argv[1])
        (folder / f"{name}.started").touch()
        while len(list(folder.glob("*.started"))) < 3:
            time.sleep(0.01)
        if name == "worker-0":
            time.sleep(1)
            (folder / "ended").touch()
        if name == "worker-1":
            time.sleep(600)
        """,
    )
    launched.communicate(timeout=120)
    assert launched.returncode == 0
    assert (tmp_path / "ended").exists()
    assert time.monotonic() - since < 25, "a worker that hangs has ten seconds"


SEEN = """if True:
    import os, sys, time
    from pathlib import Path
    name, folder = os.environ["KERASTUNER_TUNER_ID"], Path(sys.argv[1])
    variables = ("CUDA_VISIBLE_DEVICES", "TF_FORCE_GPU_ALLOW_GROWTH")
    seen = " ".join(os.environ.get(variable, "unset") for variable in variables)
    (folder / f"{name}.partial").write_text(seen)
    (folder / f"{name}.partial").rename(folder / f"{name}.seen")
    while len(list(folder.glob("*.seen"))) < 3:
        time.sleep(0.01)
"""
VISIBLE, GROWTH = "CUDA_VISIBLE_DEVICES", "TF_FORCE_GPU_ALLOW_GROWTH"
LISTED = "#!/bin/sh\necho GPU-a; echo GPU-b\n"
BROKEN = "#!/bin/sh\necho 'GPU-a'; exit 9\n"


@pytest.mark.parametrize(
    ("tool", "given", "seen"),
    [
        (LISTED, {}, ["-1 true", "GPU-a true", "GPU-b true"]),
        (LISTED, {VISIBLE: "2,0,-1,1"}, ["-1 true", "2 true", "0 true"]),
        (LISTED, {VISIBLE: "3"}, ["-1 true", "3 true", "3 true"]),
        (LISTED, {GROWTH: "false"}, ["-1 false", "GPU-a false", "GPU-b false"]),
        (LISTED, {VISIBLE: ""}, [" unset"] * 3),
        (LISTED, {VISIBLE: "-1"}, ["-1 unset"] * 3),
        (BROKEN, {}, ["unset unset"] * 3),
        (None, {}, ["unset unset"] * 3),
    ],
)
def test_each_worker_sees_a_gpu_and_the_chief_none(
    tmp_path: Path, tool: str | None, given: dict[str, str], seen: list[str]
) -> None:
    if tool is not None:
        (tmp_path / "nvidia-smi").write_text(tool)
        (tmp_path / "nvidia-smi").chmod(0o755)
    launched = launch(tmp_path, SEEN, PATH=f"{tmp_path}:/usr/bin:/bin", **given)
    _, errors = launched.communicate(timeout=60)
    assert launched.returncode == 0, errors
    names = ("chief", "worker-0", "worker-1")
    assert [(tmp_path / f"{name}.seen").read_text() for name in names] == seen

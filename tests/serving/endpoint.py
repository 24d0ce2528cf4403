"""An endpoint for tests: a real TF Serving where one is at hand, else a stand-in.

A ``tensorflow_model_server`` that is found is started. Or a running one is used, which serves a
folder that can be written here as ``street``: ``TF_SERVING_ENDPOINT`` has its addresses, such as
``grpc://localhost:8500,http://localhost:8501``, and the folder in ``TF_SERVING_MODELS``.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from nas_tf.errors import ServingError
from serving.client import Client, Patience

GIVEN, MODELS = "TF_SERVING_ENDPOINT", "TF_SERVING_MODELS"
MODEL = "street"


@dataclass
class Endpoint:
    """A running server."""

    grpc: str
    rest: str
    process: subprocess.Popen | None = None

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def served(folder: Path, *, ports: tuple[int, int] = (0, 0), typed: bool = False) -> Endpoint:
    """Serves all versions in a folder."""
    if GIVEN in os.environ:
        return _running(folder)
    if binary := shutil.which("tensorflow_model_server"):
        return _real(binary, folder, ports)
    command = [
        *(sys.executable, "-m", "tests.serving.stand_in", MODEL, str(folder)),
        *("--grpc", str(ports[0]), "--rest", str(ports[1]), *(["--typed"] if typed else [])),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)
    told = json.loads(process.stdout.readline())
    return Endpoint(
        f"grpc://127.0.0.1:{told['grpc']}", f"http://127.0.0.1:{told['rest']}", process
    )


def _running(folder: Path) -> Endpoint:
    """Puts the versions where a running server looks for them, and waits for the newest."""
    shutil.copytree(folder, os.environ[MODELS], dirs_exist_ok=True)
    newest = max(int(one.name) for one in folder.iterdir() if one.name.isdigit())
    found = Endpoint(*os.environ[GIVEN].split(","))
    with Client(found.grpc, MODEL, version=newest, patience=Patience(deadline=120.0)) as client:
        while True:
            try:
                assert client.signatures
                return found
            except ServingError:
                time.sleep(1.0)


def _real(binary: str, folder: Path, ports: tuple[int, int]) -> Endpoint:
    grpc, rest = (port or _free() for port in ports)
    process = subprocess.Popen(
        [
            *(binary, f"--model_name={MODEL}", f"--model_base_path={folder.resolve()}"),
            *(f"--port={grpc}", f"--rest_api_port={rest}"),
        ]
    )
    while process.poll() is None:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", rest)) == 0:
                break
        time.sleep(0.1)
    return Endpoint(f"grpc://127.0.0.1:{grpc}", f"http://127.0.0.1:{rest}", process)


def _free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]

"""An endpoint for tests: a real TF Serving where one is available, else a stand-in.

A ``tensorflow_model_server`` on the path is started; the stand-in takes the same flags. Or a
running server is used, which polls a folder ``DIR`` that can be written here and has the same
path there:

    tensorflow_model_server --port=8500 --rest_api_port=8501 \\
        --model_config_file=DIR/models.config --model_config_file_poll_wait_seconds=1 \\
        --allow_version_labels_for_unavailable_models=true

where ``DIR/models.config`` starts as ``model_config_list {}``. ``TF_SERVING_MODELS`` is ``DIR``,
and ``TF_SERVING_ENDPOINT`` the addresses ``grpc://localhost:8500,http://localhost:8501``.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from nas_tf import files
from nas_tf.errors import ServingError
from serving.client import Client, RetryPolicy

GIVEN, MODELS = "TF_SERVING_ENDPOINT", "TF_SERVING_MODELS"
MODEL = "street"
BINARY = "tensorflow_model_server"
LABELLED = "--allow_version_labels_for_unavailable_models=true"


@dataclass
class Endpoint:
    """A running server, and the name of the model on it."""

    grpc: str
    rest: str
    model: str = MODEL
    process: subprocess.Popen | None = None
    place: tempfile.TemporaryDirectory | None = None

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        if self.place is not None:
            self.place.cleanup()

    def wait(self, version: int) -> "Endpoint":
        """Waits until the server answers for a version by either wire."""
        retry = RetryPolicy(deadline=120.0, longest=0.5)
        for address in (self.grpc, self.rest):
            with Client(address, self.model, version=version, retry=retry) as client:
                while True:
                    assert self.process is None or self.process.poll() is None, "it ended"
                    try:
                        assert client.signatures
                        break
                    except ServingError:
                        time.sleep(0.1)
        return self


def served(
    folder: Path,
    *,
    ports: tuple[int, int] | None = None,
    labels: Mapping[str, int] | None = None,
    typed: bool = False,
) -> Endpoint:
    """Serves all versions in a folder."""
    newest = max(int(item.name) for item in folder.iterdir() if item.name.isdigit())
    if GIVEN in os.environ:
        return _running(folder, labels or {}).wait(newest)
    place = tempfile.TemporaryDirectory()
    config = Path(place.name) / "models.config"
    configure(config, MODEL, folder, labels or {})
    endpoint = started(config, ports=ports, typed=typed)
    endpoint.place = place
    return endpoint.wait(newest)


def started(
    config: Path, *, ports: tuple[int, int] | None = None, typed: bool = False, poll: int = 0
) -> Endpoint:
    """Starts a server of a configuration file, which is read again every ``poll`` seconds."""
    grpc, rest = ports or (_free(), _free())
    binary = shutil.which(BINARY)
    command = [binary] if binary else [sys.executable, "-m", "tests.serving.stand_in"]
    process = subprocess.Popen(
        [
            *(*command, f"--port={grpc}", f"--rest_api_port={rest}"),
            *(f"--model_config_file={config}", LABELLED),
            f"--model_config_file_poll_wait_seconds={poll}",
            *(["--typed"] if typed and not binary else []),
        ]
    )
    return Endpoint(f"grpc://127.0.0.1:{grpc}", f"http://127.0.0.1:{rest}", process=process)


def configure(file: Path, name: str, folder: Path, labels: Mapping[str, int]) -> None:
    """Adds a model, with all its versions, to a server's configuration."""
    server = model_server_config_pb2.ModelServerConfig()
    if file.exists():
        text_format.Parse(file.read_text(), server)
    model = server.model_config_list.config.add(
        name=name, base_path=str(folder.resolve()), model_platform="tensorflow"
    )
    model.model_version_policy.all.SetInParent()
    model.version_labels.update(labels)
    files.write(file, text_format.MessageToString(server))


def _running(folder: Path, labels: Mapping[str, int]) -> Endpoint:
    """Adds the folder as a new model, under a unique name, to a running server."""
    place, name = Path(os.environ[MODELS]), f"{MODEL}-{uuid.uuid4().hex[:8]}"
    shutil.copytree(folder, place / name)
    configure(place / "models.config", name, place / name, labels)
    grpc, rest = os.environ[GIVEN].split(",")
    return Endpoint(grpc, rest, name)


def _free() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]

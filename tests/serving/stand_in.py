"""A stand-in for TF Serving, for its protocol alone: the official stubs, TensorFlow's own loader.

It takes the flags of TF Serving that the tests use; it does not have TF Serving's loader, batching
or speed.

    python -m tests.serving.stand_in --port=8500 --rest_api_port=8501 --model_config_file=FILE
"""

import argparse
import base64
import json
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format, text_format
from tensorflow.core.framework import tensor_pb2
from tensorflow.python.saved_model.loader_impl import parse_saved_model
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config import model_server_config_pb2


class Refused(Exception):
    """A request that is wrong."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class Model:
    """The versions of one model that its configuration requests, and their labels."""

    def __init__(self, config: Any) -> None:
        self.config, self.name = config, config.name
        folder, policy = Path(config.base_path), config.model_version_policy
        there = {int(item.name): item for item in folder.iterdir() if item.name.isdigit()}
        kind = policy.WhichOneof("policy_choice")
        numbers = {"all": there, "specific": policy.specific.versions}.get(kind, [max(there)])
        self._loaded = {number: tf.saved_model.load(str(there[number])) for number in numbers}
        self._defs = {
            number: parse_saved_model(str(there[number])).meta_graphs[0].signature_def
            for number in numbers
        }

    def version(self, wanted: int | None, label: str) -> int:
        """Returns the requested version, or the newest that is loaded."""
        if label and label not in self.config.version_labels:
            raise Refused(
                grpc.StatusCode.INVALID_ARGUMENT, f"Unrecognized servable version label: {label}"
            )
        version = wanted or self.config.version_labels.get(label) or max(self._loaded)
        if version not in self._loaded:
            raise Refused(
                grpc.StatusCode.NOT_FOUND,
                f"Servable not found for request: Specific({self.name}, {version})",
            )
        return version

    def signatures(self, version: int) -> get_model_metadata_pb2.SignatureDefMap:
        found = get_model_metadata_pb2.SignatureDefMap()
        for name, item in self._defs[version].items():
            found.signature_def[name].CopyFrom(item)
        return found

    def run(self, version: int, signature: str, inputs: dict[str, Any]) -> dict[str, np.ndarray]:
        loaded = self._loaded[version]
        if signature not in loaded.signatures:
            raise Refused(
                grpc.StatusCode.FAILED_PRECONDITION, f'signature "{signature}" is not defined'
            )
        try:
            given = loaded.signatures[signature](
                **{name: tf.constant(values) for name, values in inputs.items()}
            )
        except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
        return {name: item.numpy() for name, item in given.items()}


class Models:
    """All models of a configuration file."""

    def __init__(self, file: Path) -> None:
        self._file, self._models = file, dict[str, Model]()
        self.read()

    def read(self) -> None:
        """Loads models that are new or whose configuration has changed."""
        server = model_server_config_pb2.ModelServerConfig()
        text_format.Parse(self._file.read_text(), server)
        for config in server.model_config_list.config:
            known = self._models.get(config.name)
            if known is None or known.config != config:
                self._models[config.name] = Model(config)

    def find(self, name: str, wanted: int | None, label: str) -> tuple[Model, int]:
        if name not in self._models:
            raise Refused(
                grpc.StatusCode.NOT_FOUND, f"Servable not found for request: Latest({name})"
            )
        model = self._models[name]
        return model, model.version(wanted, label)


class Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, models: Models, typed: bool) -> None:
        self._models, self._typed = models, typed

    def Predict(self, request: Any, context: Any) -> Any:
        try:
            model, version = self._find(request)
            inputs = {name: tf.make_ndarray(item) for name, item in request.inputs.items()}
            signature = request.model_spec.signature_name or "serving_default"
            given = model.run(version, signature, inputs)
        except Refused as error:
            context.abort(error.code, str(error))
        response = predict_pb2.PredictResponse()
        response.model_spec.name = model.name
        response.model_spec.version.value = version
        for name, values in given.items():
            response.outputs[name].CopyFrom(self._proto(values))
        return response

    def GetModelMetadata(self, request: Any, context: Any) -> Any:
        try:
            model, version = self._find(request)
        except Refused as error:
            context.abort(error.code, str(error))
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.metadata["signature_def"].Pack(model.signatures(version))
        return response

    def _find(self, request: Any) -> tuple[Model, int]:
        spec = request.model_spec
        wanted = spec.version.value if spec.HasField("version") else None
        return self._models.find(spec.name, wanted, spec.version_label)

    def _proto(self, values: np.ndarray) -> tensor_pb2.TensorProto:
        """Fills the typed fields, as TF Serving does; newer ones may send the bytes at once."""
        packed = tf.make_tensor_proto(values)
        if not self._typed or not packed.tensor_content:
            return packed
        typed = tensor_pb2.TensorProto(dtype=packed.dtype, tensor_shape=packed.tensor_shape)
        field = {np.float32: typed.float_val}.get(values.dtype.type, typed.int_val)
        field.extend(values.ravel().tolist())
        return typed


class Handler(BaseHTTPRequestHandler):
    models: Models
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._reply(self._metadata)

    def do_POST(self) -> None:
        self._reply(self._predict)

    def log_message(self, *_: Any) -> None:
        pass

    def _reply(self, answer: Any) -> None:
        statuses = {grpc.StatusCode.NOT_FOUND: 404}
        try:
            status, body = 200, answer()
        except Refused as error:
            status, body = statuses.get(error.code, 400), {"error": str(error)}
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _find(self) -> tuple[Model, int]:
        """Parses /v1/models/NAME with an optional /versions/NUMBER or /labels/LABEL."""
        parts = self.path.removesuffix("/metadata").removesuffix(":predict").split("/")
        _, _, _, name, kind, which, *_ = [*parts, "", ""]
        wanted = int(which) if kind == "versions" else None
        return self.models.find(name, wanted, which if kind == "labels" else "")

    def _metadata(self) -> dict[str, Any]:
        model, version = self._find()
        found = model.signatures(version)
        signatures = json_format.MessageToDict(found, preserving_proto_field_name=True)
        return {"metadata": {"signature_def": signatures}}

    def _predict(self) -> dict[str, Any]:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        model, version = self._find()
        signature = body.get("signature_name", "serving_default")
        wanted = model.signatures(version).signature_def[signature].inputs
        inputs = {
            name: _decoded(values, tf.dtypes.as_dtype(wanted[name].dtype))
            for name, values in body["inputs"].items()
        }
        given = model.run(version, signature, inputs)
        outputs = {name: _encoded(name, values) for name, values in given.items()}
        return {"outputs": next(iter(outputs.values())) if len(outputs) == 1 else outputs}


def _decoded(values: Any, dtype: tf.DType) -> Any:
    if dtype == tf.string:
        return [base64.b64decode(value["b64"]) for value in values]
    return np.array(values, dtype.as_numpy_dtype)


def _encoded(name: str, values: np.ndarray) -> Any:
    if name.endswith("_bytes"):
        return [{"b64": base64.b64encode(item).decode()} for item in values.tolist()]
    return values.tolist()


def main() -> None:
    """Serves until it is killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rest_api_port", type=int, required=True)
    parser.add_argument("--model_config_file", type=Path, required=True)
    parser.add_argument("--model_config_file_poll_wait_seconds", type=float, default=0)
    parser.add_argument("--allow_version_labels_for_unavailable_models")
    parser.add_argument("--typed", action="store_true", help="An option of the stand-in only.")
    given = parser.parse_args()
    models = Models(given.model_config_file)
    server = grpc.server(
        futures.ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", 256 << 20)]
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        Servicer(models, given.typed), server
    )
    server.add_insecure_port(f"127.0.0.1:{given.port}")
    server.start()
    rest = ThreadingHTTPServer(
        ("127.0.0.1", given.rest_api_port), type("Bound", (Handler,), {"models": models})
    )
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    pause = given.model_config_file_poll_wait_seconds
    while server.wait_for_termination(pause or None):
        models.read()


if __name__ == "__main__":
    main()

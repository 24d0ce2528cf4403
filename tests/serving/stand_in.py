"""A stand-in for TF Serving, for its protocol alone: the official stubs, TensorFlow's own loader.

It says nothing of TF Serving's loader, batching, version policies or speed.

    python -m tests.serving.stand_in MODEL FOLDER [--grpc PORT] [--rest PORT] [--typed]
"""

import argparse
import base64
import json
import sys
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.framework import tensor_pb2
from tensorflow.python.saved_model.loader_impl import parse_saved_model
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)


class Refused(Exception):
    """A request that is wrong."""

    def __init__(self, code: grpc.StatusCode, told: str) -> None:
        super().__init__(told)
        self.code = code


class Model:
    """All versions of one model, the newest the one that is asked without a version."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        versions = {int(one.name): one for one in folder.iterdir() if one.name.isdigit()}
        self.newest = max(versions)
        self._loaded = {number: tf.saved_model.load(str(one)) for number, one in versions.items()}
        self._defs = {
            number: parse_saved_model(str(one)).meta_graphs[0].signature_def
            for number, one in versions.items()
        }

    def version(self, name: str, wanted: int | None) -> int:
        if name != self.name:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {name}")
        version = wanted or self.newest
        if version not in self._loaded:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"Servable not found: {name} {version}")
        return version

    def signatures(self, version: int) -> get_model_metadata_pb2.SignatureDefMap:
        found = get_model_metadata_pb2.SignatureDefMap()
        for name, one in self._defs[version].items():
            found.signature_def[name].CopyFrom(one)
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
        return {name: one.numpy() for name, one in given.items()}


class Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model: Model, typed: bool) -> None:
        self._model, self._typed = model, typed

    def Predict(self, request: Any, context: Any) -> Any:
        try:
            version = self._version(request)
            inputs = {name: tf.make_ndarray(one) for name, one in request.inputs.items()}
            signature = request.model_spec.signature_name or "serving_default"
            given = self._model.run(version, signature, inputs)
        except Refused as error:
            context.abort(error.code, str(error))
        response = predict_pb2.PredictResponse()
        response.model_spec.name = self._model.name
        response.model_spec.version.value = version
        for name, values in given.items():
            response.outputs[name].CopyFrom(self._proto(values))
        return response

    def GetModelMetadata(self, request: Any, context: Any) -> Any:
        try:
            version = self._version(request)
        except Refused as error:
            context.abort(error.code, str(error))
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.metadata["signature_def"].Pack(self._model.signatures(version))
        return response

    def _version(self, request: Any) -> int:
        spec = request.model_spec
        wanted = spec.version.value if spec.HasField("version") else None
        return self._model.version(spec.name, wanted)

    def _proto(self, values: np.ndarray) -> tensor_pb2.TensorProto:
        """TF Serving fills the typed fields; newer ones may send the bytes in one piece."""
        whole = tf.make_tensor_proto(values)
        if not self._typed or not whole.tensor_content:
            return whole
        typed = tensor_pb2.TensorProto(dtype=whole.dtype, tensor_shape=whole.tensor_shape)
        field = {np.float32: typed.float_val}.get(values.dtype.type, typed.int_val)
        field.extend(values.ravel().tolist())
        return typed


class Handler(BaseHTTPRequestHandler):
    model: Model
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
            status, told = 200, answer()
        except Refused as error:
            status, told = statuses.get(error.code, 400), {"error": str(error)}
        content = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _place(self) -> int:
        parts = self.path.removesuffix("/metadata").removesuffix(":predict").split("/")
        wanted = int(parts[5]) if len(parts) > 5 else None
        return self.model.version(parts[3], wanted)

    def _metadata(self) -> dict[str, Any]:
        found = self.model.signatures(self._place())
        told = json_format.MessageToDict(found, preserving_proto_field_name=True)
        return {"metadata": {"signature_def": told}}

    def _predict(self) -> dict[str, Any]:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        version, signature = self._place(), body.get("signature_name", "serving_default")
        wanted = self.model.signatures(version).signature_def[signature].inputs
        inputs = {
            name: _decoded(values, tf.dtypes.as_dtype(wanted[name].dtype))
            for name, values in body["inputs"].items()
        }
        given = self.model.run(version, signature, inputs)
        told = {name: _encoded(name, values) for name, values in given.items()}
        return {"outputs": next(iter(told.values())) if len(told) == 1 else told}


def _decoded(values: Any, dtype: tf.DType) -> Any:
    if dtype == tf.string:
        return [base64.b64decode(one["b64"]) for one in values]
    return np.array(values, dtype.as_numpy_dtype)


def _encoded(name: str, values: np.ndarray) -> Any:
    if name.endswith("_bytes"):
        return [{"b64": base64.b64encode(one).decode()} for one in values.tolist()]
    return values.tolist()


def main() -> None:
    """Serves until it is killed; prints its ports once it answers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--grpc", type=int, default=0)
    parser.add_argument("--rest", type=int, default=0)
    parser.add_argument("--typed", action="store_true")
    given = parser.parse_args()
    model = Model(given.model, given.folder)
    server = grpc.server(
        futures.ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", 256 << 20)]
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        Servicer(model, given.typed), server
    )
    port = server.add_insecure_port(f"127.0.0.1:{given.grpc}")
    server.start()
    rest = ThreadingHTTPServer(
        ("127.0.0.1", given.rest), type("Bound", (Handler,), {"model": model})
    )
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    sys.stdout.write(json.dumps({"grpc": port, "rest": rest.server_address[1]}) + "\n")
    sys.stdout.flush()
    server.wait_for_termination()


if __name__ == "__main__":
    main()

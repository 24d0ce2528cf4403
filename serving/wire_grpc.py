"""The gRPC wire, which sends arrays in their memory layout."""

import json
import threading
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from nas_tf.errors import ServingError
from serving.wire import Arrays, Busy, Signature, TensorShape, shape_of

_MAX_BYTES = 256 << 20
_TOO_LARGE = "message larger than max"
_RETRIED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
_LIMITS = [
    ("grpc.max_send_message_length", _MAX_BYTES),
    ("grpc.max_receive_message_length", _MAX_BYTES),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.use_local_subchannel_pool", 1),  # another channel has another connection
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
]


class GrpcWire:
    """A channel to ``host:port`` whose messages may be as large as logits of large images.

    If the name of the host has several addresses, as that of a headless service has, requests go
    to all of them in turns.

    After a timeout, later requests take a new channel, since the connection may be half-open:
    gRPC would keep using it until TCP gives up. Requests that are still waiting keep theirs.
    """

    def __init__(
        self, address: str, model: str, *, version: int | None = None, label: str | None = None
    ) -> None:
        self._address, self._model, self._version, self._label = address, model, version, label
        self._lock = threading.Lock()
        self._connect()

    def signatures(self, timeout: float) -> dict[str, Signature]:
        """Reads the signatures from the model's metadata."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._set_model(request)
        response = self._call("GetModelMetadata", request, timeout)
        found = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(found)
        return {
            name: Signature(_shapes(signature.inputs), _shapes(signature.outputs))
            for name, signature in found.signature_def.items()
            if not name.startswith("__")
        }

    def predict(self, signature: str, inputs: Arrays, timeout: float) -> dict[str, np.ndarray]:
        """Sends one PredictRequest and returns its outputs."""
        request = predict_pb2.PredictRequest()
        self._set_model(request)
        request.model_spec.signature_name = signature
        for name, values in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
        response = self._call("Predict", request, timeout)
        return {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    def _connect(self) -> None:
        self._channel = grpc.insecure_channel(self._address, options=_LIMITS)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def _set_model(self, request: Any) -> None:
        request.model_spec.name = self._model
        if self._version is not None:
            request.model_spec.version.value = self._version
        elif self._label is not None:
            request.model_spec.version_label = self._label

    def _call(self, method: str, request: Any, timeout: float) -> Any:
        stub = self._stub
        try:
            return getattr(stub, method)(request, timeout=timeout)
        except grpc.RpcError as error:
            status, details = error.code(), " ".join((error.details() or "").split())
            if _TOO_LARGE in details:  # an overloaded server has the same status
                raise ServingError(
                    f"grpc://{self._address}: the images or answers are too large for one "
                    f"message, expected fewer at a time: {details}"
                ) from error
            if status in _RETRIED:
                raise Busy(f"grpc://{self._address} cannot be reached: {details}") from error
            if status is grpc.StatusCode.DEADLINE_EXCEEDED:
                with self._lock:
                    if self._stub is stub:
                        self._connect()
                raise Busy(
                    f"grpc://{self._address} did not answer within {timeout:.3g} s"
                ) from error
            raise ServingError(
                f"grpc://{self._address} refuses ({status.name.lower()}): {details}"
            ) from error


def _shapes(tensors: Any) -> dict[str, TensorShape]:
    return {
        name: TensorShape(
            tf.dtypes.as_dtype(tensor.dtype).name,
            shape_of(side.size for side in tensor.tensor_shape.dim),
        )
        for name, tensor in tensors.items()
    }

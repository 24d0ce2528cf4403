"""An endpoint by gRPC, which sends arrays as they lie in memory."""

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

_MOST_BYTES = 256 << 20
_TOO_LARGE = "message larger than max"
_AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
_LIMITS = [
    ("grpc.max_send_message_length", _MOST_BYTES),
    ("grpc.max_receive_message_length", _MOST_BYTES),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class GrpcWire:
    """A channel to ``host:port``; messages may be as large as logits of large images."""

    def __init__(
        self, place: str, model: str, *, version: int | None = None, label: str | None = None
    ) -> None:
        self._place, self._model, self._version, self._label = place, model, version, label
        self._channel = grpc.insecure_channel(place, options=_LIMITS)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def signatures(self, timeout: float) -> dict[str, Signature]:
        """From the model's metadata."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._address(request)
        told = self._call(self._stub.GetModelMetadata, request, timeout)
        found = get_model_metadata_pb2.SignatureDefMap()
        told.metadata["signature_def"].Unpack(found)
        return {
            name: Signature(_shapes(one.inputs), _shapes(one.outputs))
            for name, one in found.signature_def.items()
            if not name.startswith("__")
        }

    def predict(self, signature: str, inputs: Arrays, timeout: float) -> dict[str, np.ndarray]:
        """One PredictRequest."""
        request = predict_pb2.PredictRequest()
        self._address(request)
        request.model_spec.signature_name = signature
        for name, values in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
        told = self._call(self._stub.Predict, request, timeout)
        return {name: tf.make_ndarray(one) for name, one in told.outputs.items()}

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    def _address(self, request: Any) -> None:
        request.model_spec.name = self._model
        if self._version is not None:
            request.model_spec.version.value = self._version
        elif self._label is not None:
            request.model_spec.version_label = self._label

    def _call(self, method: Any, request: Any, timeout: float) -> Any:
        try:
            return method(request, timeout=timeout)
        except grpc.RpcError as error:
            status, told = error.code(), " ".join((error.details() or "").split())
            if _TOO_LARGE in told:  # of the same status as a server that is overloaded
                raise ServingError(
                    f"grpc://{self._place}: the images or answers are too large for one message, "
                    f"expected fewer at a time: {told}"
                ) from error
            if status in _AGAIN:
                raise Busy(f"grpc://{self._place} is not to be reached: {told}") from error
            if status is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise Busy(
                    f"grpc://{self._place} did not answer within {timeout:.3g} s"
                ) from error
            raise ServingError(
                f"grpc://{self._place} refuses ({status.name.lower()}): {told}"
            ) from error


def _shapes(tensors: Any) -> dict[str, TensorShape]:
    return {
        name: TensorShape(
            tf.dtypes.as_dtype(one.dtype).name,
            shape_of(side.size for side in one.tensor_shape.dim),
        )
        for name, one in tensors.items()
    }

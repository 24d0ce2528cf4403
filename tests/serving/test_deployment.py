"""Files to run an export by: complete, and read by the official messages where there are any."""

from pathlib import Path

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from tensorflow_serving.config import model_server_config_pb2

from nas_tf.errors import ConfigError
from serving import deployment

WRAPPED = {"max_batch_size": 3, "batch_timeout_micros": 3, "max_enqueued_batches": 3}
"""Fields of BatchingParameters, which the package of stubs leaves out, as 64-bit wrappers."""


@pytest.fixture
def export(tmp_path: Path) -> Path:
    for version in (1, 2, 10):
        (tmp_path / "savedmodel" / str(version)).mkdir(parents=True)
    (tmp_path / "savedmodel" / ".11.99.partial").mkdir()
    return tmp_path


def batching() -> type:
    """The message as TF Serving's session_bundle_config.proto has it, in the fields used here."""
    file = descriptor_pb2.FileDescriptorProto(
        name="batching.proto", package="own", syntax="proto3"
    )
    value = file.message_type.add(name="Value")
    value.field.add(name="value", number=1, type=3, label=1)
    message = file.message_type.add(name="BatchingParameters")
    names = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
    for number, name in enumerate(names, 1):
        message.field.add(name=name, number=number, type=11, type_name=".own.Value", label=1)
    message.field.add(name="allowed_batch_sizes", number=6, type=3, label=3)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("own.BatchingParameters"))


def test_the_two_newest_versions_are_stable_and_canary(export: Path) -> None:
    deployment.write(export, "street")
    text = (export / "deploy" / "models.config").read_text()
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path) == ("street", "/models/street")
    assert list(model.model_version_policy.specific.versions) == [2, 10]
    assert dict(model.version_labels) == {"stable": 2, "canary": 10}


def test_batches_are_of_allowed_sizes(export: Path) -> None:
    deployment.write(export, "street", threads=3)
    text = (export / "deploy" / "batching.config").read_text()
    found = text_format.Parse(text, batching()())
    sizes = list(found.allowed_batch_sizes)
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == found.max_batch_size.value
    assert found.num_batch_threads.value == 3


def test_compose_and_kubernetes_name_what_is_there(export: Path) -> None:
    written = deployment.write(export, "street")
    assert {path.name for path in written} == set(deployment.FILES)
    assert not [path for path in written if "$" in path.read_text()]
    compose = yaml.safe_load((export / "deploy" / "compose.yaml").read_text())
    service = compose["services"]["street"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    for flag in service["command"]:
        name = flag.partition("=/config/")[2]
        assert not name or (export / "deploy" / name).exists()
    (source, *_), *_ = (volume.split(":") for volume in service["volumes"])
    assert (export / "deploy" / source).resolve() == export / "savedmodel"
    kubernetes = (export / "deploy" / "kubernetes.yaml").read_text()
    deployed, balanced, scaled = yaml.safe_load_all(kubernetes)
    kinds = [one["kind"] for one in (deployed, balanced, scaled)]
    assert kinds == ["Deployment", "Service", "HorizontalPodAutoscaler"]
    (container,) = deployed["spec"]["template"]["spec"]["containers"]
    assert {"startupProbe", "readinessProbe", "livenessProbe", "resources"} <= container.keys()
    assert balanced["spec"]["selector"] == deployed["spec"]["selector"]["matchLabels"]
    assert scaled["spec"]["scaleTargetRef"]["name"] == deployed["metadata"]["name"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("street", "street"),
        ("CamVid_auxcell-arch0", "camvid-auxcell-arch0"),
        ("../x", "x"),
        ("7 seas", "model-7-seas"),
        ("…", "model"),
    ],
)
def test_any_text_becomes_a_name(text: str, name: str) -> None:
    assert deployment.name_of(text) == name


def test_mistakes_are_told_before_anything_is_written(export: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^name is '\.\./x', expected .* such as x$"):
        deployment.write(export, "../x")
    assert not (export / "deploy").exists()
    with pytest.raises(ConfigError, match="holds no version in savedmodel, expected a folder"):
        deployment.write(tmp_path / "none", "street")

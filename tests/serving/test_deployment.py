"""Files to run an export by: complete, and read by the official messages where there are any."""

import re
from pathlib import Path

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from tensorflow_serving.config import model_server_config_pb2

from nas_tf.errors import ConfigError
from serving import deployment
from serving.deployment import Release

RELEASE = Release(2, 10)
PARTS = (
    *("saved_model.pb", "assets/metadata.json"),
    *("variables/variables.index", "variables/variables.data-00000-of-00001"),
)
WRAPPED = {
    "max_batch_size": 1,
    "batch_timeout_micros": 2,
    "max_enqueued_batches": 3,
    "num_batch_threads": 4,
    "max_execution_batch_size": 9,
}
"""Fields of BatchingParameters, which the package of stubs leaves out, as 64-bit wrappers."""


@pytest.fixture
def export(tmp_path: Path) -> Path:
    for version in (1, 2, 10):
        for name in PARTS:
            path = tmp_path / "savedmodel" / str(version) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
    (tmp_path / "savedmodel" / ".11.99.partial").mkdir()
    return tmp_path


def batching() -> type:
    """The message as TF Serving's session_bundle_config.proto has it, in the fields used here."""
    file = descriptor_pb2.FileDescriptorProto(
        name="batching.proto", package="own", syntax="proto3"
    )
    for name, kind in (("Value", 3), ("Flag", 8)):
        file.message_type.add(name=name).field.add(name="value", number=1, type=kind, label=1)
    message = file.message_type.add(name="BatchingParameters")
    for name, number in WRAPPED.items():
        message.field.add(name=name, number=number, type=11, type_name=".own.Value", label=1)
    name = "enable_large_batch_splitting"
    message.field.add(name=name, number=8, type=11, type_name=".own.Flag", label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("own.BatchingParameters"))


def models(export: Path) -> model_server_config_pb2.ModelConfig:
    text = (export / "deploy" / "models.config").read_text()
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (model,) = config.model_config_list.config
    return model


def test_a_canary_becomes_stable_and_goes_back(export: Path) -> None:
    """Only what has a label is loaded: whoever asks without one gets no version by surprise."""
    for release, labels in (
        (Release(2), {"stable": 2}),
        (Release(2, 10), {"stable": 2, "canary": 10}),
        (Release(10, 2), {"stable": 10, "canary": 2}),
        (Release(10), {"stable": 10}),
    ):
        deployment.write(export, "street", release)
        model = models(export)
        assert (model.name, model.base_path) == ("street", "/models/street")
        assert dict(model.version_labels) == labels
        assert list(model.model_version_policy.specific.versions) == sorted(labels.values())


def test_large_requests_are_split_where_batching_is_switched_on(export: Path) -> None:
    deployment.write(export, "street", RELEASE, threads=3)
    text = (export / "deploy" / "batching.config").read_text()
    found = text_format.Parse(text, batching()())
    assert found.enable_large_batch_splitting.value
    assert found.max_execution_batch_size.value < found.max_batch_size.value
    most = found.max_enqueued_batches.value * found.max_execution_batch_size.value
    assert found.max_batch_size.value <= most
    assert found.num_batch_threads.value == 3


@pytest.mark.parametrize("file", ["Dockerfile", "compose.yaml", "kubernetes.yaml"])
def test_nobody_shares_a_batch_with_strangers_unasked(export: Path, file: str) -> None:
    deployment.write(export, "street", RELEASE)
    assert "enable_batching" not in (export / "deploy" / file).read_text()


def test_the_image_is_built_as_its_first_lines_say(export: Path) -> None:
    """From the export's folder: what is copied is there, and no other version."""
    deployment.write(export, "street", RELEASE, image="registry.example.com:5000/maps/street")
    text = (export / "deploy" / "Dockerfile").read_text()
    (image,) = re.findall(r"docker build -t (\S+) -f deploy/Dockerfile \.", text)
    assert re.fullmatch(
        r"registry\.example\.com:5000/maps/street:stable2-canary10-[0-9a-f]{12}", image
    )
    copied = [line.split()[1:-1] for line in text.splitlines() if line.startswith("COPY ")]
    assert all((export / source).exists() for sources in copied for source in sources)
    assert [item for item, *_ in copied[:-1]] == ["savedmodel/2", "savedmodel/10"]
    compose = (export / "deploy" / "compose.yaml").read_text()
    assert "docker compose -f deploy/compose.yaml up" in compose
    deployed, *_ = yaml.safe_load_all((export / "deploy" / "kubernetes.yaml").read_text())
    (container,) = deployed["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["imagePullPolicy"]) == (image, "IfNotPresent")


def test_kubernetes_rolls_a_release_out_and_leaves_the_number_of_servers_alone(
    export: Path,
) -> None:
    images = set()
    for release in (Release(2), Release(2, 10), Release(10, 2), Release(10)):
        deployment.write(export, "street", release)
        deployed, *_ = yaml.safe_load_all((export / "deploy" / "kubernetes.yaml").read_text())
        assert "replicas" not in deployed["spec"]
        images.add(deployed["spec"]["template"]["spec"]["containers"][0]["image"])
    assert len(images) == 4


def test_other_files_under_the_same_numbers_get_another_tag(export: Path) -> None:
    tags = [deployment.tag(export, RELEASE)]
    assert deployment.tag(export, RELEASE) == tags[0]
    (export / "savedmodel" / "1" / PARTS[0]).write_text("of no version that is served")
    assert deployment.tag(export, RELEASE) == tags[0]
    for change in (
        lambda place: (place / PARTS[2]).write_text("other"),
        lambda place: (place / "variables" / "more").write_text(""),
        lambda place: (place / "variables" / "more").rename(place / "variables" / "less"),
    ):
        change(export / "savedmodel" / "10")
        tags.append(deployment.tag(export, RELEASE))
    assert len(set(tags)) == 4


@pytest.mark.parametrize("name", ["true", "null", "no"])
def test_names_that_yaml_would_read_as_something_else(export: Path, name: str) -> None:
    deployment.write(export, name, RELEASE)
    compose = yaml.safe_load((export / "deploy" / "compose.yaml").read_text())
    assert list(compose["services"]) == [name]
    kubernetes = (export / "deploy" / "kubernetes.yaml").read_text()
    names = [item["metadata"]["name"] for item in yaml.safe_load_all(kubernetes)]
    assert names == [name, name, name, f"{name}-grpc", name]
    deployed, balanced, scaled, *_ = yaml.safe_load_all(kubernetes)
    labels = deployed["spec"]["template"]["metadata"]["labels"]
    assert labels == balanced["spec"]["selector"] == {"app": name}
    assert scaled["spec"]["scaleTargetRef"]["name"] == name


def test_compose_and_kubernetes_name_what_is_there(export: Path) -> None:
    written = deployment.write(export, "street", RELEASE)
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
    deployed, balanced, scaled, headless, kept = yaml.safe_load_all(kubernetes)
    kinds = [item["kind"] for item in (deployed, balanced, scaled, headless, kept)]
    assert kinds == [
        *("Deployment", "Service", "HorizontalPodAutoscaler", "Service", "PodDisruptionBudget")
    ]
    assert headless["spec"]["clusterIP"] == "None"
    assert headless["spec"]["selector"] == balanced["spec"]["selector"]
    assert kept["spec"]["selector"] == deployed["spec"]["selector"]
    assert kept["spec"]["minAvailable"] < scaled["spec"]["minReplicas"], "or no node could drain"
    (container,) = deployed["spec"]["template"]["spec"]["containers"]
    assert {"startupProbe", "readinessProbe", "livenessProbe", "resources"} <= container.keys()
    ports = {port["name"] for port in container["ports"]}
    for service in (balanced, headless):
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
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
        (
            "2026-11-20-camvid-auxcell-arch0-experiment-one",
            "model-2026-11-20-camvid-auxcell-arch0-expe",
        ),
        ("a" * 41 + "-b", "a" * 41),
    ],
)
def test_any_text_becomes_a_name(text: str, name: str) -> None:
    assert deployment.named(deployment.name_of(text)) == name


@pytest.mark.parametrize(
    ("name", "release", "image", "message"),
    [
        ("../x", RELEASE, None, r"^name is '\.\./x', expected .* such as x$"),
        ("street", Release(3), None, r"^stable is 3, expected a version in .*: 1, 2, 10$"),
        ("street", Release(2, 9), None, r"^canary is 9, expected a version in "),
        ("street", Release(2, 2), None, r"^canary is 2, the same as stable, expected another"),
        ("street", RELEASE, "street:latest", r"^image is 'street:latest', expected .* without a"),
        ("street", RELEASE, "maps/Street", r"^image is 'maps/Street', expected a repository"),
    ],
)
def test_mistakes_are_reported_before_anything_is_written(
    export: Path, name: str, release: Release, image: str | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        deployment.write(export, name, release, image=image)
    assert not (export / "deploy").exists()


def test_a_folder_without_versions(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no version in savedmodel, expected a folder"):
        deployment.write(tmp_path / "none", "street", RELEASE)


@pytest.mark.parametrize("part", PARTS)
def test_a_version_that_misses_a_part_is_refused_before_anything_is_written(
    export: Path, part: str
) -> None:
    path = export / "savedmodel" / "10" / part
    path.write_text("")
    for call in (
        lambda: deployment.check_complete(export, 10),
        lambda: deployment.write(export, "street", Release(1, 10)),
    ):
        with pytest.raises(ConfigError) as caught:
            call()
        message = str(caught.value)
        assert f"savedmodel/10 is not a complete version: {part[:9]}" in message
        assert " is missing; delete this folder" in message
        path.unlink(missing_ok=True)
    assert not (export / "deploy").exists()
    assert deployment.write(export, "street", Release(2))


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_version_whose_metadata_can_t_be_read_is_refused(export: Path, content: str) -> None:
    (export / "savedmodel" / "10" / "assets" / "metadata.json").write_text(content)
    with pytest.raises(ConfigError, match=r"10 is not a complete version: assets/meta.* damaged"):
        deployment.write(export, "street", Release(10))

import itertools
import json
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from nas_tf import files, networks
from nas_tf.errors import ConfigError, DataError, EnvironmentFault
from nas_tf.networks.encoders import ENCODERS
from nas_tf.training import FeatureCache, fingerprint, prepare
from nas_tf.training.shards import Shard
from tests.sampling import times
from tests.training.cached import (
    BATCH,
    CLASSES,
    SHARD_ROWS,
    SIZE,
    build,
    encoder,
    example,
    key,
    source,
    teacher,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    return build(tmp_path_factory.mktemp("cache"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def fresh(rows: range) -> list[np.ndarray]:
    """A pass of the encoder as Keras runs it; eager mode sums in another order."""
    images = np.stack([example(row)[0] for row in rows])
    return list(encoder().predict(images, batch_size=BATCH, verbose=0).values())


def test_single_precision_is_bit_exact(tmp_path: Path) -> None:
    exact = build(tmp_path, dtype="float32")
    for start in (0, 4, 20):
        stored = exact.rows(range(start, start + BATCH))
        for n, tap in enumerate(fresh(range(start, start + BATCH))):
            assert stored[f"tap{n}"].dtype == np.float32
            np.testing.assert_array_equal(stored[f"tap{n}"], tap)


def test_half_precision_is_within_its_rounding(cache: FeatureCache) -> None:
    stored = cache.rows(range(8, 12))
    for n, tap in enumerate(fresh(range(8, 12))):
        assert stored[f"tap{n}"].dtype == np.float16
        np.testing.assert_allclose(stored[f"tap{n}"], tap, rtol=1e-3, atol=1e-6)


def test_labels_take_the_nearest_pixel_of_the_finest_tap(cache: FeatureCache) -> None:
    stored = cache.rows([0, 41])["target"]
    assert stored.shape == (2, 16, 24)
    for found, row in zip(stored, (0, 41), strict=True):
        np.testing.assert_array_equal(found, example(row)[1][2::4, 2::4])


def test_teacher_logits_are_stored_at_the_finest_tap(tmp_path: Path) -> None:
    cache_key = key(images=4, views=1, dtype="float32")
    taught = prepare(
        tmp_path, cache_key, source(4), encoder(), teacher=teacher(), batch=BATCH, shard_rows=BATCH
    )
    images = np.stack([example(row)[0] for row in range(4)])
    expected = tf.image.resize(teacher()(images), (16, 24))
    assert taught.fields[-1] == "teacher"
    np.testing.assert_array_equal(taught.rows(range(4))["teacher"], expected)
    assert expected.shape[-1] == CLASSES


@given(st.integers(0, 1000), st.integers(0, 50))
def test_an_epoch_visits_every_image_once_and_its_views_in_turn(seed: int, epoch: int) -> None:
    cache = object.__new__(FeatureCache)
    cache.images, cache.views = 21, 2
    order = cache.order(seed=seed, epoch=epoch)
    assert sorted(order % 21) == list(range(21))
    following = cache.order(seed=seed, epoch=epoch + 1)
    views = {row % 21: row // 21 for row in order}
    assert all(views[row % 21] != row // 21 for row in following)
    np.testing.assert_array_equal(order, cache.order(seed=seed, epoch=epoch))


def test_a_stream_starts_at_a_given_step(cache: FeatureCache) -> None:
    complete = list(cache.epoch(batch=4, seed=3, epoch=2))
    assert len(complete) == 5
    rest = list(cache.epoch(batch=4, seed=3, epoch=2, start=3))
    for expected, batch in zip(complete[3:], rest, strict=True):
        for field in cache.fields:
            np.testing.assert_array_equal(expected[field], batch[field])
    assert not cache.epoch(batch=4, seed=3, epoch=2).options().autotune.enabled
    in_order = list(cache.in_order(batch=8))
    assert [len(batch["target"]) for batch in in_order] == [8, 8, 5]
    np.testing.assert_array_equal(in_order[0]["tap3"], cache.rows(range(8))["tap3"])


def test_a_finished_cache_is_not_built_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    before = contents(build(tmp_path / "c", log).folder)
    times = len(log.read_text().splitlines())
    assert contents(build(tmp_path / "c", log).folder) == before
    assert len(log.read_text().splitlines()) == times


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "shard-00001.tap2.npy").unlink(),
        lambda folder: (folder / "shard-00001.json").write_text("{"),
        lambda folder: (folder / "shard-00001.json").unlink(),
        lambda folder: os.truncate(folder / "shard-00001.tap0.npy", 1000),
        lambda folder: flip_a_byte(folder / "shard-00001.target.npy"),
        lambda folder: (folder / "manifest.json").unlink(),
    ],
    ids=["missing field", "broken seal", "missing seal", "short", "flipped", "no manifest"],
)
def test_a_broken_shard_is_found_and_only_it_is_rebuilt(damage, tmp_path: Path) -> None:
    log = tmp_path / "log"
    folder = build(tmp_path / "c", log).folder
    before = contents(folder)
    damage(folder)
    log.write_text("")
    assert contents(build(tmp_path / "c", log).folder) == before
    rows = {int(line) for line in log.read_text().splitlines()}
    assert rows <= {8, 12}


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_an_interrupted_build_resumes(tmp_path: Path) -> None:
    undisturbed = contents(build(tmp_path / "undisturbed").folder)

    def interrupted(first: int):
        for start, batch in zip(range(first, 42, BATCH), source(42)(first), strict=True):
            if start == 20 and not (tmp_path / "again").exists():
                raise KeyboardInterrupt
            yield batch

    cache_key = key()
    with pytest.raises(KeyboardInterrupt):
        prepare(
            tmp_path / "c", cache_key, interrupted, encoder(), batch=BATCH, shard_rows=SHARD_ROWS
        )
    assert not list(tmp_path.glob("c/*/manifest.json"))
    (tmp_path / "again").touch()
    steps = []
    done = prepare(
        tmp_path / "c",
        cache_key,
        interrupted,
        encoder(),
        batch=BATCH,
        shard_rows=SHARD_ROWS,
        progress=lambda rows, total: steps.append((rows, total)),
    )
    assert contents(done.folder) == undisturbed
    assert steps[0][0] > SHARD_ROWS
    assert steps[-1] == (42, 42)


def test_digests_of_keys_differ() -> None:
    digests = {
        key(**change).digest
        for change in (
            {},
            {"data": "other"},
            {"seed": 2},
            {"views": 1},
            {"dtype": "float32"},
            {"teacher": "t"},
            {"encoder": "f"},
        )
    }
    assert len(digests) == 7


@pytest.mark.slow
def test_a_fingerprint_depends_on_graph_and_weights_alone() -> None:
    def plain(**changes: object) -> tf.keras.Model:
        tf.keras.utils.set_random_seed(5)
        options = dict(input_shape=(32, 32, 3), alpha=0.35, weights=None, include_top=False)
        return tf.keras.applications.MobileNetV2(**{**options, **changes})

    assert fingerprint(plain()) == fingerprint(plain())  # whatever Keras calls the input
    model = plain()
    before = fingerprint(model)
    kernel = model.get_layer("Conv1").kernel
    kernel.assign(kernel + 1e-6)
    assert fingerprint(model) != before
    found = set()
    for options in ({}, {"output_stride": 16}, {"output_stride": 8}, {"strides": (4, 8, 16)}):
        tf.keras.utils.set_random_seed(5)
        found.add(fingerprint(networks.encoder(alpha=0.35, input_size=SIZE, **options)))
    full = networks.encoder(alpha=0.35, input_size=SIZE)
    other_taps = tf.keras.Model(full.input, list(full.output.values())[:3])
    assert len({*found, fingerprint(other_taps)}) == 5


def test_every_encoder_has_features_of_its_own() -> None:
    found = set()
    for name in ("mobilenet_v2", "resnet50", "xception"):
        tf.keras.utils.set_random_seed(5)
        found.add(fingerprint(networks.encoder(ENCODERS[name], input_size=SIZE, strides=(4,))))
    assert len(found) == 3


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^views is 0, expected 1 or more$"):
        key(views=0)
    with pytest.raises(ConfigError, match=r"^dtype is 'int8', expected 'float16' or 'float32'$"):
        key(dtype="int8")
    with pytest.raises(ConfigError, match=r"^shard_rows is 6, expected a multiple of batch 4$"):
        prepare(tmp_path, key(), source(42), encoder(), batch=4, shard_rows=6)
    with pytest.raises(DataError, match=r"^feature cache: the source has nothing from row 0 on$"):
        prepare(tmp_path, key(), source(0), encoder(), batch=4, shard_rows=8)
    with pytest.raises(DataError, match=r"the source ended after 20 rows, expected at least 24$"):
        prepare(tmp_path, key(), source(20), encoder(), batch=4, shard_rows=8)


def test_features_too_large_for_half_precision_are_refused(tmp_path: Path) -> None:
    image = tf.keras.Input((*SIZE, 3))
    loud = tf.keras.Model(image, tf.keras.layers.AveragePooling2D(4)(image * 1e7))
    cache_key = key(images=4, views=1)
    with pytest.raises(DataError, match=r"^feature cache: tap0 is not finite in float16; store"):
        prepare(tmp_path, cache_key, source(4), loud, batch=4, shard_rows=4)


def test_extras_are_stored_as_they_come(tmp_path: Path) -> None:
    def with_extras(first: int):
        for start, (images, labels) in zip(range(first, 6, BATCH), source(6)(first), strict=True):
            yield images, labels, {"row": np.arange(start, start + len(images), dtype=np.int32)}

    cache = prepare(
        tmp_path,
        key(images=6, views=1),
        with_extras,
        encoder(),
        extras=("row",),
        batch=BATCH,
        shard_rows=BATCH,
    )
    np.testing.assert_array_equal(cache.rows([5, 0, 3])["row"], [5, 0, 3])


def test_a_batch_larger_than_the_cache_is_refused(cache: FeatureCache) -> None:
    with pytest.raises(ConfigError, match=r"^batch is 22 and the cache holds 21 images, expec"):
        cache.epoch(batch=22, seed=0, epoch=0)


def test_a_cache_may_have_more_files_than_a_process_may_open(tmp_path: Path) -> None:
    cache_key = key(images=300, views=1)
    shard = {"tap0": np.zeros((1, 2), np.float16), "target": np.zeros((1, 2), np.uint8)}
    for number in range(300):
        Shard(tmp_path, number).write([{**shard, "target": shard["target"] + number % 256}])
    manifest(tmp_path, images=cache_key.images, shard_rows=1, fields=tuple(shard))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 550, hard))
    try:
        rows = FeatureCache(tmp_path).rows(range(300))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    np.testing.assert_array_equal(rows["target"][:, 0], np.arange(300) % 256)


def manifest(folder: Path, *, images: int, shard_rows: int, fields: tuple[str, ...]) -> None:
    record = {
        "key": {"images": images, "views": 1},
        "shard_rows": shard_rows,
        "fields": fields,
    }
    files.write(folder / "manifest.json", json.dumps(record))


def test_a_cache_that_does_not_fit_is_refused_before_it_is_built(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"^feature cache in .* needs .* GiB .* are free"):
        prepare(tmp_path, key(images=10**8), source(10**8), encoder(), batch=4, shard_rows=10**6)
    assert not list(tmp_path.rglob("*.npy"))


def child(root: Path, log: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.cached", str(root), str(log)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
    )


def batches_read(log: Path) -> int:
    return len(log.read_text().split()) if log.exists() else 0


@pytest.mark.slow
def test_killed_builds_end_with_the_same_bytes(tmp_path: Path) -> None:
    """Killed after a random number of batches and a moment more."""
    undisturbed = contents(build(tmp_path / "whole", images=60).folder)
    rng = random.Random(0)
    for attempt in range(times(6, 3)):
        log = tmp_path / f"log{attempt}"
        process = child(tmp_path / "killed", log)
        batches = rng.randrange(2, 9)
        while (
            process.poll() is None
            and len(log.read_text().split() if log.exists() else ()) < batches
        ):
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.03))
        process.kill()
        process.wait()
    assert child(tmp_path / "killed", tmp_path / "last").wait() == 0
    (folder,) = (path for path in (tmp_path / "killed").iterdir() if path.is_dir())
    assert contents(folder) == undisturbed


@pytest.mark.slow
def test_two_processes_build_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    processes = [child(tmp_path / "c", log) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    starts = [int(line) for line in log.read_text().splitlines()]
    assert starts == list(range(0, 120, BATCH))


@pytest.mark.slow
def test_memory_is_bounded_by_the_batch_and_not_by_the_data(tmp_path: Path) -> None:
    """4,000 images at crop 321 take 2.3 GB; the files are sparse, their pages are not."""
    shapes = {"tap0": (81, 81, 24), "tap1": (41, 41, 32), "tap2": (21, 21, 96)}
    shapes |= {"tap3": (11, 11, 320), "target": (81, 81)}
    for number, (field, shape) in itertools.product(range(50), shapes.items()):
        np.lib.format.open_memmap(
            Shard(tmp_path, number).file(field), "w+", np.float16, (80, *shape)
        )
    manifest(tmp_path, images=4000, shard_rows=80, fields=tuple(shapes))
    cache = FeatureCache(tmp_path)
    process = psutil.Process()
    for _ in cache.epoch(batch=16, seed=0, epoch=0).take(2):
        pass
    before = process.memory_info().rss
    highest = 0
    for batch in cache.epoch(batch=16, seed=0, epoch=1):
        assert batch["tap0"].shape == (16, 81, 81, 24)
        highest = max(highest, process.memory_info().rss - before)
    assert highest < 2**30

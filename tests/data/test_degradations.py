"""Each degradation by its own measure, and what it depends on."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from nas_tf.data.augment import augment
from nas_tf.data.degradations import Degradation, Downscale, Jpeg, Missing, Noise, Rain
from nas_tf.data.info import DatasetInfo
from nas_tf.data.views import View
from nas_tf.errors import ConfigError

INFO = DatasetInfo("pictures", "Pictures", ("clean",), {"train": None}, "")
SEED = tf.constant([3, 4], tf.int64)
ALL = Degradation(
    rain=Rain(), downscale=Downscale(2), noise=Noise((25.0,)), jpeg=Jpeg(40), missing=Missing(0.1)
)
STEPS = [
    Degradation(**{name: getattr(ALL, name)})
    for name in ("rain", "downscale", "noise", "jpeg", "missing")
]
FILLS = {"clean": -2, "level": 0}


def image(height: int = 48, width: int = 64, channels: int = 3) -> tf.Tensor:
    rng = np.random.default_rng(7)
    rough = rng.uniform(20, 230, (height // 8, width // 8, channels))
    return tf.constant(rough.repeat(8, 0).repeat(8, 1), tf.float32)


@pytest.mark.parametrize("step", [*STEPS, ALL], ids=lambda step: "+".join(step._steps()))
def test_a_seed_gives_the_same_picture_and_another_seed_another_one(step: Degradation) -> None:
    first, again = step.apply(image(), SEED), tf.function(step.apply)(image(), SEED)
    np.testing.assert_allclose(first, again, atol=1e-3)
    assert first.shape == image().shape
    assert not np.allclose(first, image())
    is_random = bool(step.rain or step.noise or step.missing)
    assert is_random != np.allclose(first, step.apply(image(), SEED + 1))


def test_the_noise_is_the_same_whatever_else_is_done() -> None:
    noise = Noise((10.0,))
    alone = Degradation(noise=noise).apply(image(), SEED) - image()
    dark = Degradation(noise=noise, missing=Missing(0.2)).apply(image(), SEED) - image()
    kept = np.asarray(dark + image()) != 0
    np.testing.assert_allclose(np.asarray(dark)[kept], np.asarray(alone)[kept], atol=1e-3)


def test_noise_of_a_seed_is_known() -> None:
    """The values are those of every machine: the generator and its use are part of a score."""
    noise = Noise((10.0,)).apply(tf.zeros((2, 2, 1)), SEED).numpy().ravel()
    np.testing.assert_allclose(noise, [12.0966, -4.6021, 8.8418, 17.9963], atol=1e-3)


def test_a_list_has_each_deviation_about_as_often_and_a_range_all_between() -> None:
    several = Degradation(noise=Noise.of([50, 30, 70]))
    between = Degradation(noise=Noise.of("0–55"))
    seeds = [tf.constant([n, 0], tf.int64) for n in range(150)]
    drawn = [float(several.level(seed)) for seed in seeds]
    assert {*drawn} == {30, 50, 70}
    assert min(drawn.count(level) for level in {*drawn}) > 30
    levels = np.array([float(between.level(seed)) for seed in seeds])
    assert levels.min() >= 0
    assert levels.max() <= 55
    assert 20 < levels.mean() < 35
    assert (several.levels, between.levels) == ((30, 50, 70), (0, 27.5, 55))
    assert Degradation(noise=Noise.of(25)).levels == ()


def test_the_level_is_that_of_the_noise() -> None:
    several = Degradation(noise=Noise.of([10, 60]), rain=Rain())
    flat = tf.fill((64, 64, 1), 128.0)
    for number in range(6):
        seed = tf.constant([number, 1], tf.int64)
        noise = several.apply(flat, seed) - replace(several, noise=None).apply(flat, seed)
        assert np.std(noise) == pytest.approx(float(several.level(seed)), rel=0.05)


def test_missing_pixels_are_black_in_all_channels() -> None:
    black = np.all(Missing(0.3).apply(image(160, 160), SEED) == 0, axis=-1)
    some = np.any(Missing(0.3).apply(image(160, 160), SEED) == 0, axis=-1)
    np.testing.assert_array_equal(black, some)
    assert black.mean() == pytest.approx(0.3, abs=0.02)


def test_a_smaller_picture_has_no_details_and_the_same_brightness() -> None:
    checks = np.indices((32, 32)).sum(0) % 2 * 200.0
    found = Downscale(4).apply(tf.constant(checks[..., None], tf.float32), SEED).numpy()
    assert found.std() < 10
    assert found.mean() == pytest.approx(100, abs=2)


def test_streaks_of_rain_are_bright_and_steep() -> None:
    rain = np.asarray(Rain(0.002, 21).apply(tf.fill((200, 200, 3), 60.0), SEED))
    assert rain.min() == pytest.approx(60)
    assert 0.01 < (rain > 70).mean() < 0.3
    assert np.ptp(rain, axis=-1).max() < 1e-3
    down, across = (np.abs(np.diff(rain[..., 0], axis=axis)).mean() for axis in (0, 1))
    assert down < across


@pytest.mark.parametrize("quality", [10, 95])
def test_jpeg_is_that_of_a_file(quality: int) -> None:
    found = Jpeg(quality).apply(image(channels=1), SEED).numpy()
    file = tf.io.encode_jpeg(tf.cast(tf.round(image(channels=1)), tf.uint8), quality=quality)
    expected = tf.io.decode_jpeg(file, dct_method="INTEGER_ACCURATE").numpy()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Noise.of(-5), r"^noise\.sigma is -5\.0, expected a number of 0 to 255$"),
        (lambda: Noise.of("strong"), r"^noise\.sigma is 'strong', expected a number, a list, or"),
        (lambda: Noise.of("55-0"), r"^noise\.sigma is \[55\.0, 0\.0\], expected one or more"),
        (lambda: Noise.of([]), r"^noise\.sigma is \[\], expected one or more"),
        (lambda: Jpeg(0), r"^jpeg\.quality is 0, expected a number of 1 to 100$"),
        (lambda: Missing(1.5), r"^missing\.share is 1\.5, expected a number of 0 to 1$"),
        (lambda: Downscale(0.5), r"^downscale\.factor is 0\.5, expected a number of 1 to 16$"),
        (lambda: Rain(0.1, 0), r"^rain\.length is 0, expected a number of 1 to 255$"),
    ],
)
def test_settings_out_of_range_are_refused(make: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_grey_is_pillows_luma_with_one_field_of_noise() -> None:
    pixels = tf.constant(np.random.default_rng(2).integers(0, 256, (20, 30, 3)), tf.uint8)
    view = View((20, 30), centred=True, grey=True, degradation=STEPS[2])
    found = augment({"image": pixels}, view, INFO, FILLS, SEED)
    luma = np.asarray(Image.fromarray(pixels.numpy()).convert("L"))[..., None]
    np.testing.assert_allclose((found["clean"] + 1) * 127.5, luma.repeat(3, 2), atol=1e-4)
    noise = (found["image"] - found["clean"]).numpy()
    assert np.ptp(noise, axis=-1).max() < 1e-6
    assert found["level"] == 25


def test_turned_mirrored_and_cropped_pictures_have_their_own_pixels() -> None:
    """No pixel is interpolated, and all eight ways occur."""
    pixels = np.random.default_rng(2).integers(0, 256, (41, 30, 3)).astype(np.uint8)
    view = View((16, 16), shorter_at_least=16, mirror=True, turns=True)
    run = tf.function(lambda seed: augment({"image": pixels}, view, INFO, {"clean": -2}, seed))
    ways = set()
    for number in range(60):
        clean = run(tf.constant([number, 5], tf.int64))["clean"].numpy()
        crop = np.round((clean + 1) * 127.5)
        np.testing.assert_allclose((clean + 1) * 127.5, crop, atol=1e-4)
        for turn in range(4):
            for mirrored in (False, True):
                turned = np.rot90(pixels, turn)
                turned = turned[:, ::-1] if mirrored else turned
                starts = np.argwhere((turned == crop[0, 0]).all(-1))
                found = [turned[y : y + 16, x : x + 16] for y, x in starts]
                if any(np.array_equal(part, crop) for part in found):
                    ways.add((turn, mirrored))
    assert len(ways) == 8


def test_padding_is_marked_in_the_clean_picture() -> None:
    pixels = tf.fill((20, 30, 3), tf.constant(40, tf.uint8))
    for view in (View((32, 40), centred=True), View((32, 40), scale=(0.5, 0.5))):
        found = augment({"image": pixels}, view, INFO, FILLS, SEED)
        size = 20 * 30 if view.centred else 10 * 15
        assert np.sum(found["clean"] == -2) == 3 * (32 * 40 - size)


def test_boxes_are_not_turned() -> None:
    example = {"image": tf.zeros((8, 8, 3), tf.uint8), "boxes": tf.zeros((1, 5))}
    with pytest.raises(ConfigError, match=r"^turns is true, and boxes cannot be turned"):
        augment(example, View((8, 8), turns=True), INFO, {"boxes": 0}, SEED)

import json

import pytest

from nas_tf import spaces
from nas_tf.errors import GenotypeError
from nas_tf.genotype import Genotype


@pytest.mark.parametrize("name", [name for name in spaces.PUBLISHED if name != "fpn-fcos"])
def test_brackets_of_a_published_genotype_find_their_space(name: str) -> None:
    genotype = spaces.PUBLISHED[name].genotype
    assert spaces.resolve(name) == genotype
    assert spaces.resolve(genotype) == genotype
    assert spaces.resolve(genotype.parts) == genotype
    space = spaces.space_of(genotype)
    assert spaces.resolve(json.loads(str(genotype)), space) == genotype
    assert spaces.resolve(str(genotype)) == genotype
    assert spaces.resolve(str(genotype).replace("[", "(").replace("]", ")")) == genotype


def test_the_pyramid_that_is_made_by_hand_has_a_name_alone() -> None:
    genotype = spaces.resolve("fpn-fcos")
    assert (genotype.space, genotype.parts) == ("fcos", ())
    assert spaces.describe(genotype).startswith("pyramid: that of FPN, by hand\n")


@pytest.mark.parametrize(
    ("text", "space", "message"),
    [
        ("arch0", "dpc", "arch0 belongs to space auxcell, not to dpc"),
        (
            spaces.resolve("arch0"),
            "dpc",
            f"{spaces.resolve('arch0')} belongs to space auxcell, not to dpc",
        ),
        (11, None, "genotype is 11, expected a published name, brackets or a Genotype"),
        (None, None, "genotype is None, expected a published name, brackets or a Genotype"),
        (
            "[1]",
            "darts",
            "space 'darts' is unknown, expected one of auxcell, template, dpc, fcos, restoration, "
            "baseline",
        ),
        (
            "arch9",
            None,
            "genotype 'arch9' is neither a bracketed list nor a published name, expected one of "
            "arch0, arch1, arch2, wacv-arch0, wacv-arch1, dpc-top1, aspp, deeplabv3, nas-fcos, "
            "nas-fcos-fpn, fpn-fcos, lw-refinenet, unet-mnv2, hinas-skip, hinas-conv3x3, "
            "hinas-sep3x3, hinas-dil5x5, did you mean arch2?",
        ),
        ("[1,2", None, "genotype '[1,2' is not a bracketed list such as [[[3,3],…],[8,…]]"),
        (
            "[" + "1," * 20_000 + "1]",
            None,
            "genotype text has 40003 characters, expected at most 20000",
        ),
    ],
)
def test_bad_names_and_texts(text: object, space: str | None, message: str) -> None:
    with pytest.raises(GenotypeError) as caught:
        spaces.resolve(text, space)
    assert str(caught.value) == message


def test_a_genotype_is_hashable_ordered_and_named() -> None:
    first, other = spaces.resolve("arch0"), spaces.resolve("arch1")
    assert len({first, other, spaces.resolve(str(first))}) == 2
    assert sorted([first, other]) == [other, first]
    assert len(first.digest) == 12
    assert first.digest != other.digest


@pytest.mark.parametrize(
    "record", ["", "[]", '{"space":"auxcell"}', '{"genotype":[1.5],"space":"x"}']
)
def test_a_broken_record_is_refused(record: str) -> None:
    with pytest.raises(GenotypeError):
        Genotype.from_json(record)

"""Parts besides encoder and decoder, such as architecture weights, in the state of a candidate."""

from types import SimpleNamespace

import numpy as np

from nas_tf.networks.arrays import layouts
from nas_tf.networks.draft import Draft
from nas_tf.networks.state import from_arrays, initial_arrays, to_arrays
from nas_tf.training.shared_data import SharedData


def test_the_encoder_joins_a_decoder_and_its_other_parts() -> None:
    draft = Draft((8, 8))
    features = draft.conv(draft.image(), "features", 4)
    draft.start_part("decoder", epsilon=1e-3, momentum=0.9)
    table = draft.table(features, "alpha", "architecture", (1, 2))
    maps = [features, draft.conv(features, "conv", 4)]
    draft.output(draft.mix(table, maps, "mix", entries=[(0, 0), (0, 1)]), "logits")
    blueprint = draft.finish()
    parts = layouts(blueprint)
    trained, encoder = initial_arrays(blueprint, seed=1), initial_arrays(blueprint, seed=2)
    state = from_arrays({key: parts[key] for key in ("decoder", "architecture")}, trained)
    joined = SharedData.with_encoder(SimpleNamespace(encoder_arrays=encoder), blueprint, state)
    arrays = to_arrays(parts, joined)
    assert arrays.keys() == trained.keys()
    for key, value in arrays.items():
        wanted = encoder if key[0] == "features" else trained
        np.testing.assert_array_equal(value, wanted[key])

"""``nas-tf loadtest``: how much an endpoint answers, and how soon."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import click

from nas_tf.cli import options as endpoints
from nas_tf.errors import ConfigError, ServingError

if TYPE_CHECKING:
    from serving.client import Client
    from serving.wire import TensorShape


@click.command("loadtest")
@click.argument("endpoint", metavar="URL/NAME")
@click.option("--requests", type=click.IntRange(1), default=200, show_default=True)
@click.option("--concurrency", type=click.IntRange(1, 256), default=8, show_default=True)
@click.option("--batch", type=click.IntRange(1, 64), default=1, show_default=True)
@endpoints.VERSION
@endpoints.LABEL
@click.option("--signature", default="serving_default", show_default=True)
def command(
    endpoint: str,
    requests: int,
    concurrency: int,
    batch: int,
    version: int | None,
    label: str | None,
    signature: str,
) -> None:
    """Measure the latency and throughput of a served model, with images of noise.

    Failed requests are counted and not repeated.

    \b
    nas-tf loadtest grpc://localhost:8500/street --label stable
    nas-tf loadtest http://localhost:8501/street --signature image_bytes --requests 50
    """
    address, name = endpoints.endpoint_and_model(endpoint, "endpoint")
    from nas_tf import quiet

    quiet.load("tensorflow")
    from serving import load_test
    from serving.client import Client, Patience

    once = Patience(attempts=1)
    with Client(address, name, version=version, label=label, patience=once) as client:
        ask = _question(client, signature, batch)
        came = load_test.run(ask, requests=requests, concurrency=concurrency)
    if came.taken:
        click.echo(
            f"{len(came.taken)} of {requests} answered in {came.seconds:.1f} s: "
            f"{came.throughput:.1f}/s of {batch} images each, {concurrency} at a time; "
            + ", ".join(f"p{share} {came.percentile(share):.0f} ms" for share in (50, 95, 99))
        )
    if came.refused:
        reason, count = Counter(came.refused).most_common(1)[0]
        raise ServingError(f"{len(came.refused)} requests failed, {count} with: {reason}")


def _question(client: "Client", signature: str, batch: int) -> Callable[[], object]:
    """What asks a signature for a batch of noise, as arrays or as JPEG files."""
    import numpy as np
    import tensorflow as tf

    from serving.signatures import DEFAULT, FILES, IMAGES

    found = client.signatures
    if signature not in found:
        raise ConfigError(f"--signature is {signature!r}, expected one of {', '.join(found)}")
    by_files = FILES in found[signature].inputs
    sized = found.get(DEFAULT if by_files else signature)
    shape = sized.inputs[IMAGES].shape if sized and IMAGES in sized.inputs else ()
    if len(shape) != 4 or None in shape[1:]:
        raise ConfigError(
            f"signature {signature} takes {_told(found[signature].inputs)}, expected images of "
            "one size, as of a model that nas-tf export wrote"
        )
    noise = np.random.default_rng(1).integers(0, 256, (batch, *shape[1:]), dtype=np.uint8)
    if not by_files:
        return lambda: client.predict(noise, signature=signature)
    files = [tf.io.encode_jpeg(image).numpy() for image in noise]
    return lambda: client.predict_files(files)


def _told(inputs: "Mapping[str, TensorShape]") -> str:
    return ", ".join(f"{name} {one}" for name, one in inputs.items())

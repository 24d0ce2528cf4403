"""``nas-tf demo``: a page that runs networks in a browser, on this machine or on a phone."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape

from nas_tf.cli import options
from nas_tf.errors import ConfigError

if TYPE_CHECKING:
    from serving.demo_server import DemoServer

_HOST, _PORT = "127.0.0.1", 8420


@click.command("demo")
@click.argument("sources", nargs=-1, required=True, metavar="RUN|EXPORT|MODEL...")
@click.option(
    "--host",
    help="Address to listen on; 0.0.0.0 for phones in the same network, by HTTPS. "
    f"[default: {_HOST}]",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help=f"Port to listen on; 0 for a free one. [default: {_PORT}]",
)
@click.option(
    "--out",
    type=options.OUT_FOLDER,
    help="Folder to write the page to, for any web server, instead of serving it.",
)
@click.option(
    "--runtime",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder with LiteRT for the web, such as node_modules (default: npm fetches it once).",
)
def command(
    sources: tuple[str, ...],
    host: str | None,
    port: int | None,
    out: Path | None,
    runtime: Path | None,
) -> None:
    """Run networks on a page in a browser: on pictures, and on what the camera sees.

    A RUN is the folder of a training or a search, an EXPORT that of an export, and a MODEL a
    TFLite file that `nas-tf export` wrote. Several networks are shown side by side. No picture
    leaves the browser.

    \b
    nas-tf demo runs/street --host 0.0.0.0       # prints the address and its QR code for a phone
    nas-tf demo exports/street exports/baseline
    nas-tf demo exports/street --out site        # the same page, for any web server
    """
    if out is not None and (host, port) != (None, None):
        raise ConfigError("--host or --port is given, expected no --out with it")
    console = Console(stderr=True)
    with console.status("preparing ...") as status:
        from nas_tf.jobs import demos

        site = demos.site(
            sources, runtime=runtime, on_step=lambda text: status.update(escape(text))
        )
    if out is not None:
        from serving import demo_site

        demo_site.write(site, out)
        click.echo(f"wrote {out}")
        return
    from serving.demo_server import DemoServer

    with DemoServer(site, host or _HOST, _PORT if port is None else port) as server:
        try:
            _print_address(server)
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("stopped")


def _print_address(server: "DemoServer") -> None:
    """Prints the address, and for other devices its QR code and the certificate's fingerprint."""
    from serving import demo_server

    address = server.address
    if address.fingerprint is not None:
        if drawing := demo_server.qr_code(address.url):
            click.echo(drawing)
        click.echo(
            "the browser warns, since the certificate was made just now; its SHA-256 is\n"
            f"{address.fingerprint}"
        )
    click.echo(f"open {address.url} (Ctrl-C ends it)")

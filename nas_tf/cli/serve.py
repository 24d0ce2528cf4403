"""``nas-tf serve``: an exported SavedModel behind TF Serving."""

import shlex
import shutil
import subprocess
from pathlib import Path

import click

from nas_tf.errors import EnvironmentFault


@click.command("serve")
@click.argument("export", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", help="Of the model; that of the folder if not given.")
@click.option("--files", is_flag=True, help="Also write files for Docker and Kubernetes.")
@click.option("--start", is_flag=True, help="Start it by Docker.")
def command(export: Path, name: str | None, files: bool, start: bool) -> None:
    """Print how TF Serving serves EXPORT, a folder that `nas-tf export` wrote, or start it.

    \b
    nas-tf serve exports/street
    nas-tf serve exports/street --files        # deploy/: Dockerfile, Compose, Kubernetes, canary
    nas-tf serve exports/street --start
    """
    from serving import deployment

    newest = deployment.versions(export)[-1]
    name = name or deployment.name_of(export.resolve().name)
    docker = deployment.docker_command(export, name)
    if files:
        for path in deployment.write(export, name):
            click.echo(f"wrote {path}")
    base = shlex.quote(str((export / "savedmodel").resolve()))
    click.echo(
        f"version {newest} as {name}, by Docker:\n  {shlex.join(docker)}\n"
        "or by a tensorflow_model_server of 2.15 or newer:\n"
        f"  tensorflow_model_server --port=8500 --rest_api_port=8501 --model_name={name} "
        f"--model_base_path={base}\n"
        f"then: nas-tf predict --endpoint grpc://localhost:8500/{name} photo.jpg"
    )
    if start:
        if shutil.which("docker") is None:
            raise EnvironmentFault("--start needs Docker and there is none on this machine")
        raise click.exceptions.Exit(subprocess.run(docker).returncode)

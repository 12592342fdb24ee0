"""replaykit init."""

from pathlib import Path

import click


@click.command(short_help="Write a first model, from an OpenAPI file.")
@click.option("--openapi", metavar="FILE", type=click.Path(path_type=Path), help="OpenAPI 3.0 or 3.1, JSON or YAML.")
@click.option("--output", metavar="FOLDER", type=click.Path(path_type=Path), help="Default: the name, here.")
@click.option("--name", metavar="NAME", help="Of the package. Default: from the title of the file.")
@click.option("--url", metavar="URL", help="Where the service is. Default: the first server that the file names.")
@click.option("--force", is_flag=True, help="Overwrite a generated file that was changed by hand.")
def init(openapi: Path | None, output: Path | None, name: str | None, url: str | None, force: bool) -> int:
    """Write a model and an adapter that run at once."""
    raise NotImplementedError

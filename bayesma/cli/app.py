"""The command line itself: one application, one way to refuse."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bayesma.cli.console import ERR
from bayesma.errors import BayesmaError

__all__ = ["app", "main"]


class _Commands(TyperGroup):
    """Commands that refuse in one message: no traceback, exit status 2."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except BayesmaError as error:
            ERR.print(str(error), soft_wrap=True)
            raise typer.Exit(2) from error


app = typer.Typer(
    cls=_Commands,
    help="Bayesian meta-analysis of drug effects that fade.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line."""
    app()


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"bayesma {version('bayesma')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass

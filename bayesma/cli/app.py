"""The command line itself: one application, one way to refuse."""

from __future__ import annotations

import re
import shlex
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bayesma.cli.console import ERR
from bayesma.errors import BayesmaError

__all__ = ["app", "as_options", "main"]


# Arguments of read_table in a remedy: columns={'n_treated': 'N'}, ranges='midpoint'.
_MAPPING = re.compile(r"\b(columns|units)=\{'(.+?)': (?:'(.+?)'|\.\.\.)\}")
_CHOICE = re.compile(r"\b(ranges|ci|method|prediction|tau2|tau2_ci)='([\w-]+)'")


def as_options(text: str) -> str:
    """Return a message whose remedies name options of the command line, not arguments."""

    def mapping(match: re.Match[str]) -> str:
        pair = f"{match[2]}={match[3]}"
        return f"--{match[1]} {shlex.quote(pair) if match[3] else f'{match[2]}=...'}"

    def choice(match: re.Match[str]) -> str:
        return f"--{match[1].replace('_', '-')} {match[2]}"

    return _CHOICE.sub(choice, _MAPPING.sub(mapping, text)).replace("members=", "--members")


class _Commands(TyperGroup):
    """Commands that refuse in one message: no traceback, exit status 2."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except BayesmaError as error:
            as_typed = ctx.invoked_subcommand in ("check", "pool")
            told = as_options(str(error)) if as_typed else str(error)
            ERR.print(told, soft_wrap=True)
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

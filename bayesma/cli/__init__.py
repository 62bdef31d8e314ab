"""The command line: parse, call, print."""

from bayesma.cli.commands import app, main

__all__ = ["app", "main"]

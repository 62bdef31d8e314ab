"""The command line: parse, call, print."""

from bayesma.cli import commands, fitting, questions  # each adds its commands to the application
from bayesma.cli.app import app, main

__all__ = ["app", "commands", "fitting", "main", "questions"]

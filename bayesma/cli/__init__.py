"""The command line: parse, call, print."""

from bayesma.cli import (  # each adds its commands to the application
    commands,
    fitting,
    pooling,
    questions,
    syrf,
)
from bayesma.cli.app import app, main

__all__ = ["app", "commands", "fitting", "main", "pooling", "questions", "syrf"]

"""The command line: parse, call, print."""

from bayesma.cli import (  # each adds its commands to the application
    calibrating,
    checking,
    commands,
    fitting,
    pooling,
    questions,
    syrf,
)
from bayesma.cli.app import app, main

__all__ = [
    "app",
    "calibrating",
    "checking",
    "commands",
    "fitting",
    "main",
    "pooling",
    "questions",
    "syrf",
]

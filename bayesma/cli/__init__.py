"""The command line: parse, call, print."""

from bayesma.cli import (  # each adds its commands to the application
    calibrating,
    checking,
    commands,
    comparing,
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
    "comparing",
    "fitting",
    "main",
    "pooling",
    "questions",
    "syrf",
]

"""The command line: parse, call, print."""

from bayesma.cli import (  # each adds its commands to the application
    calibrating,
    checking,
    commands,
    comparing,
    fitting,
    planning,
    pooling,
    questions,
    reporting,
    syrf,
    translating,
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
    "planning",
    "pooling",
    "questions",
    "reporting",
    "syrf",
    "translating",
]

"""The sections on risk of bias and on how to make the fit again."""

from __future__ import annotations

import contextlib
import io
import json
import tomllib
from importlib.metadata import version

import pytest
import yaml
from fits import EIGHT_ROWS, prior_fit

import bayesma as bm

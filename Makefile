# Two commands set everything up from a bare clone: "make demo" and "make test".

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PYTEST_ARGS ?=

# Numerical libraries keep to one thread each: the tests already run one process per core.
THREADS := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

# The build backend, which pip installs by itself, keeps to the tested versions too. Older and
# newer versions of pip read this from different names.
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test lint types pytest docs browser datasets wheel clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(INSTALLED) ## fit a bundled data set and write what comes out to demo/
	$(BIN)/bayesma demo --out demo

test: lint types pytest ## everything CI runs on the source: style, types, architecture, all tests

lint: $(INSTALLED) ## style, spelling, who imports whom, ARCHITECTURE.md against the tree
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/typos
	$(BIN)/lint-imports --no-logo
	$(BIN)/python scripts/check_architecture.py

types: $(INSTALLED) ## mypy, strict
	$(BIN)/mypy

pytest: $(INSTALLED) ## all tests, slow ones too; narrow with PYTEST_ARGS="-m 'not slow'"
	$(THREADS) $(BIN)/pytest -n 2 --dist loadgroup -m "not browser" $(PYTEST_ARGS)

docs: $(INSTALLED) ## build the documentation site into docs/_build/html; a warning is an error
	$(BIN)/sphinx-build -W --keep-going -j 2 -q -b html docs docs/_build/html
	$(BIN)/python scripts/check_docs.py docs/_build/html

browser: $(INSTALLED) ## open reports of all shipped models in headless Chromium, which must be installed
	$(THREADS) $(BIN)/pytest -n 2 --dist loadgroup -m browser $(PYTEST_ARGS)

datasets: $(INSTALLED) ## check that each bundled table is what its prepare script makes
	@for card in $$(grep -lE '^bundled *= *true' data/*/dataset.toml); do \
		script=$$(dirname "$$card")/prepare.py; \
		echo "$$script --check"; \
		$(BIN)/python "$$script" --check || exit 1; \
	done

wheel: $(INSTALLED) ## build the source archive, and the wheel from it, into dist/
	rm -rf dist
	$(BIN)/python -m build --outdir dist

clean: ## remove the environment, builds and caches
	rm -rf $(VENV) build dist demo docs/_build .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find bayesma scripts tests data -name __pycache__ -type d -prune -exec rm -rf {} +

# A name on PATH may be a launcher that cannot run, so each candidate is tried.
$(INSTALLED): pyproject.toml constraints.txt
	@for python in $(PYTHON) python3.12 python3.13 python3 python; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then \
			echo "Setting up $(VENV) with $$("$$python" --version)"; \
			exec "$$python" -m venv $(VENV); \
		fi; \
	done; \
	echo "bayesma needs Python 3.12 or newer and found none; try: make PYTHON=/path/to/python3.12" >&2; \
	exit 1
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,docs,cluster,excel,parquet]"
	@touch $@

# Everything happens inside this folder: .venv holds the environment, .cache the embeddings.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Of `make federation`; CI runs a smaller one.
DEVICES ?= 24
DELAY_MS ?= 2000
export PRIVET_CACHE_DIR ?= $(CURDIR)/.cache

.PHONY: demo federation test slow lint bench docs clean help
.DEFAULT_GOAL := help

help:
	@echo "make demo    a private federation of the built-in village, both blocks of the trunk, about a minute"
	@echo "make federation  a server and 24 devices on this machine, some of them killed on the way"
	@echo "make test    lint, types, layers and tests"
	@echo "make slow    the tests that take minutes"
	@echo "make bench   side-by-side benchmarks"
	@echo "make clean   remove the environment, caches and runs"

# The stamp depends on the recipe of the environment, so that a second call costs nothing.
$(VENV)/.stamp: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Privet needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(VENV)/.stamp
	$(BIN)/privet simulate --blocks items,network

test: lint
	$(BIN)/python -m pytest -q

federation: $(VENV)/.stamp
	$(BIN)/python -m simulation.deployed --devices $(DEVICES) --delay-ms $(DELAY_MS)

slow: $(VENV)/.stamp
	$(BIN)/python -m pytest -q -m slow

lint: $(VENV)/.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

bench: $(VENV)/.stamp
	$(BIN)/python -m pytest -q -s -o addopts="--import-mode=importlib" tests/bench

clean:
	rm -rf $(VENV) .cache runs .mypy_cache .pytest_cache .ruff_cache .hypothesis

# What people and CI type. `make demo` and `make test` work on a fresh clone.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(firstword $(foreach each,python3.11 python3.12 python3.13 python3,$(shell command -v $(each) 2>/dev/null)) python3)
WORKERS ?= 2
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help setup demo test test-all check fmt bench simulate breaks fuzz crash clean
.DEFAULT_GOAL := help

help:
	@echo "make demo        an invented district flows to four systems (STUDENTS=300, then DAY=2, RESET=1)"
	@echo "make test        lint, types and tests, as CI runs them; test-all: also the slow ones"
	@echo "make check       lint and types only; fmt: format"
	@echo "make bench       figures and their floors; simulate: seeded runs of the simulator; fuzz: of merging"
	@echo "make breaks      break the router on purpose, and see which seed of the simulator finds it"
	@echo "make crash       a large district, while all systems are killed and cut off (KILLS=200, SEED=...)"
	@echo "make setup       the virtual environment ($(VENV)); clean: remove it, the demo and caches"

# -- the virtual environment; a stamp says what is in it

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "yellowbus needs Python 3.11 or later; '$(PYTHON)' is $$($(PYTHON) -V 2>&1 || true)." >&2; \
	    echo "Install one, or say which: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	    echo "No virtual environment could be made. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	@echo "Installing yellowbus into $(VENV) ..."
	@$(PIP) install --editable '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "Installing yellowbus and its tools into $(VENV) ..."
	@$(PIP) install --editable '.[dev,demo]'
	@touch $(VENV)/.demo $@

setup: $(VENV)/.dev
	@:

# -- run

demo: $(VENV)/.demo
	@$(BIN)/yellowbus demo --folder demo \
	    $(if $(STUDENTS),--students $(STUDENTS)) $(if $(DAY),--day $(DAY)) $(if $(filter-out 0,$(RESET)),--reset)

bench: setup
	@$(BIN)/python -m benchmarks $(ARGS)

simulate: setup
	@$(BIN)/python tests/simulation/run.py --seeds $(or $(SEEDS),2000) $(ARGS)

breaks: setup
	@$(BIN)/python tests/simulation/breaks.py $(ARGS)

fuzz: setup
	@FUZZ_EXAMPLES=$(or $(EXAMPLES),3500) FUZZ_STEPS=60 \
	    $(BIN)/python -m pytest -q tests/router/core/test_merging_state.py $(ARGS)
	@$(BIN)/python tests/simulation/run_of_three.py --seeds $(or $(SEEDS),300)

crash: setup
	@$(BIN)/python tests/crash/run.py --kills $(or $(KILLS),200) $(if $(SEED),--seed $(SEED)) $(ARGS)

# -- test

check: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

test: check
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "not slow" $(ARGS)

test-all: check
	@HYPOTHESIS_PROFILE=deep $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal $(ARGS)
	@$(MAKE) --no-print-directory crash simulate fuzz ARGS=

fmt: setup
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf $(VENV) demo dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

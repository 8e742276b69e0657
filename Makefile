# Everything a newcomer or CI needs; each target does its own set-up.  `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Tests run side by side; two workers are what a small machine has cores for.
PYTEST_WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo run test crashtest lint types yang layers bench bench-peers fuzz soak check clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The stamps make a second run cost nothing; pyproject.toml is what they depend on.
$(VENV)/pip.stamp:
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] <= (3, 13); \
	    sys.exit(None if ok else f"mlag-agent needs Python 3.11 to 3.13, {sys.executable} is {sys.version.split()[0]}; set PYTHON=")'
	@echo "setting up $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --quiet --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/run.stamp: $(VENV)/pip.stamp pyproject.toml
	@echo "installing mlag-agent ..."
	@$(PIP) install --quiet --editable '.[testing]'
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp
	@echo "installing what the tests, linters and Ansible examples need (a minute or two) ..."
	@$(PIP) install --quiet --editable '.[testing,ansible]' --group test --group lint
	@touch $@

# A scanner whose requirements go with nobody else's.
$(VENV)/scan.stamp: $(VENV)/pip.stamp
	@echo "installing sslyze, the TLS scanner, in $(VENV)/scan ..."
	@$(PYTHON) -m venv $(VENV)/scan
	@$(VENV)/scan/bin/python -m pip --disable-pip-version-check install --quiet 'sslyze>=6.3'
	@touch $@

demo: $(VENV)/run.stamp ## Show the whole thing: a pair is configured, refuses, connects, synchronises
	@$(BIN)/python examples/demo.py

run: $(VENV)/run.stamp ## Start a pair on ports 8301 and 8302 and leave it running
	@$(BIN)/mlag-agent -v pair --port 8301

test: $(VENV)/dev.stamp $(VENV)/scan.stamp ## Run the tests
	@$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadgroup $(PYTEST_ARGS)

# ROUNDS=, SEED=: how many, and of which operations.
crashtest: $(VENV)/dev.stamp ## kill -9 at random moments, 500 rounds: nothing acknowledged is lost
	@$(BIN)/python -m tests.crash --rounds $(or $(ROUNDS),500) $(if $(SEED),--seed $(SEED))

lint: $(VENV)/dev.stamp ## ruff: style, likely bugs, formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp ## mypy, strict
	@$(BIN)/mypy

layers: $(VENV)/dev.stamp ## Dependencies between layers point one way
	@$(BIN)/lint-imports

yang: $(VENV)/dev.stamp ## Our YANG modules: pyang's lint, and libyang loads each
	@$(BIN)/python -m mlag_agent.schema.lint

fuzz: $(VENV)/dev.stamp ## Random input for hours: 50 times the examples of the tests (FUZZ_FACTOR=500 for a night)
	@MLAG_FUZZ_FACTOR=$(or $(FUZZ_FACTOR),50) $(BIN)/python -m pytest -n $(PYTEST_WORKERS) -o timeout=0 --hypothesis-show-statistics $(PYTEST_ARGS)

soak: $(VENV)/dev.stamp ## Good and bad clients for an hour; afterwards all is as before
	@MLAG_SOAK_ROUNDS=40 MLAG_SOAK_CONNECTS=1000 $(BIN)/python -m pytest -n 0 -o timeout=7200 tests/soak

bench: $(VENV)/dev.stamp ## Speed, side by side with an SSH echo server and the peers that are installed (four minutes)
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-peers: ## Install what `make bench` compares with: the PyPI package netconf; as root on Debian, Yuma123's netconfd
	@PYTHON=$(PYTHON) benchmarks/peers/install.sh

check: lint types layers yang test bench ## All of it

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

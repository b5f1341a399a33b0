# The front door: `make demo` to see it work, `make test` to prove it. Both set up all they need.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SEEDS  ?= 200
SCENARIOS ?= all

# Processes that share the unit tests; 0 for none but pytest's own.
WORKERS ?= auto

# Compiled modules are kept, whatever the shell says: compiling all of them anew costs each command a second and a half.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup setup-local demo test test-all test-unit test-model test-controlplane test-realnode test-bundle \
        dist lint fmt types layers bench chaos cluster clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

setup: $(VENV)/.ready  ## a virtual environment with everything locked in requirements-dev.lock

$(VENV)/.ready: requirements-dev.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.5'
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

setup-local: $(VENV)/.local  ## the same with llama.cpp, compiled once and cached (some minutes)

$(VENV)/.local: $(VENV)/.ready plugin/llama/wheel.py
	@wheel=$$($(BIN)/python plugin/llama/wheel.py) && \
	  $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --no-deps "$$wheel"
	@touch $@

demo: setup  ## diagnose a recorded incident, with no cluster at hand
	@$(BIN)/kubectl-intellect demo crash

test: lint types layers test-unit test-model test-bundle test-controlplane test-realnode  ## all the set-up, then all tests

test-all: export INTELLECT_SCENARIOS = all
test-all: test  ## the same with every scenario staged (CI stages a share of them, another with each commit)

test-unit: setup  ## what needs neither cluster nor model file (under two minutes)
	$(BIN)/python -m pytest -q -m "not controlplane and not realnode and not model and not bundle" \
	  -n $(WORKERS) --dist worksteal --cov --cov-report=term:skip-covered tests

test-model: setup-local  ## llama.cpp with real model files
	$(BIN)/python -m pytest -q -m "model and not controlplane and not realnode and not bundle" tests

test-controlplane: setup  ## a real API server, scheduler and controllers (built from Go modules, cached)
	$(BIN)/python -m pytest -q -m "controlplane and not realnode and not bundle" tests

test-realnode: setup  ## a real node: kubelet, containers, real faults (root on Linux)
	$(BIN)/python -m pytest -q -m "realnode and not bundle" tests

test-bundle: dist  ## the packaged plugin, installed as krew would and run
	$(BIN)/python -m pytest -q -m "bundle" tests

dist: setup-local  ## wheel, self-contained archive, SBOM and krew manifest for this platform, in dist/
	@$(BIN)/python -m plugin.bundle $(DIST_FLAGS)

lint: setup  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

fmt: setup  ## format and mend what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: setup-local  ## pyright, strict
	$(BIN)/pyright

layers: setup  ## lower rooms never import higher ones
	$(BIN)/lint-imports

chaos: setup-local  ## 200 models of random weights over all scenarios: every answer whole, none unsafe (an hour or more)
	$(BIN)/python -m tests.models.chaos --seeds $(SEEDS) --scenarios $(SCENARIOS)

bench: setup  ## accuracy, speed and size, in ratios
	$(BIN)/python -m benchmarks

cluster: setup  ## leave a real test cluster running and print its kubeconfig
	$(BIN)/python -m tests.cluster up --node

clean:  ## what was built here (not the caches)
	rm -rf build dist .pytest_cache .ruff_cache .coverage htmlcov $(VENV)

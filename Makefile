# Every command of the repository. The two for a fresh machine: make demo, make test.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export UV_NATIVE_TLS := true
export PYTHONDONTWRITEBYTECODE := 1
export PYTHONPATH := operator:images/agent:images/build:tests/cluster:tests/demo:tests/fakes:tests/runner:tests/bench

# The environment is made on first use and kept in the user's cache folder.
VENV = $(eval VENV := $(shell tests/setup-python.sh))$(VENV)
PY = $(or $(wildcard $(VENV)/bin/python),$(error the Python environment could not be made, see above))
BIN = PATH="$(VENV)/bin:$$PATH"

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: ## One TrainingRun on a real cluster, from nothing to a detector (CLUSTER=current: on yours)
	@$(BIN) $(PY) -m trdemo run

demo-down: ## Remove the demo's cluster
	@$(BIN) $(PY) -m trdemo down

test: ## Every test, on a real cluster
	@$(BIN) $(PY) -m trrunner all

fuzz: ## Broken bytes for every reader (SECONDS=60 for each, ONLY=coco)
	@$(BIN) $(PY) -m trfuzz --seconds $(or $(SECONDS),60) $(ONLY)

check: ## Lint, types, layers, unit tests, generated files: under two minutes
	@$(BIN) $(PY) -m trrunner check

images: ## Build the four container images (BASE=local|registry)
	@$(BIN) $(PY) -m trimages build $(if $(BASE),--base $(BASE))

cluster-up: ## Start the test cluster (TIER=api|fleet|node)
	@$(BIN) $(PY) -m trcluster up --tier $(or $(TIER),node)

cluster-down: ## Stop the test cluster and remove all it made
	@$(BIN) $(PY) -m trcluster down

chart: ## Write what is generated: parts of the chart, its README, the reference, the status types, the findings
	@$(BIN) $(PY) charts/sync.py
	@$(BIN) $(PY) charts/readme.py
	@$(BIN) $(PY) manifests/reference.py
	@$(BIN) $(PY) manifests/status_types.py
	@$(BIN) $(PY) images/agent/findings_page.py

requirements: ## Write the hashed requirement files anew
	@$(BIN) $(PY) -m trimages compile-requirements

format: ## Format the Python code
	@$(BIN) ruff format -q . && $(BIN) ruff check -q --fix .

bench: ## Measure what it costs (ONLY=images|prep|dirt|transfer|mirror|driver|orchestration)
	@$(BIN) $(PY) -m trbench $(ONLY)

.PHONY: help demo demo-down test check images cluster-up cluster-down chart requirements format fuzz bench

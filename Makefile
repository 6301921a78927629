# Every command of this repository. On a fresh machine, start with make demo or make test.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export UV_NATIVE_TLS := true
export PYTHONDONTWRITEBYTECODE := 1

# The Python environment is made on first use and kept in the user's cache folder; PYTHONPATH is this checkout's own.
# Each is asked for once, when a recipe needs it.
VENV = $(eval VENV := $(shell tests/setup-python.sh))$(VENV)
PY = $(or $(wildcard $(VENV)/bin/python),$(error the Python environment could not be made, see above))
PACKAGES = $(eval PACKAGES := $(shell $(PY) tests/pythonpath.py))$(PACKAGES)
BIN = PATH="$(VENV)/bin:$$PATH" PYTHONPATH="$(PACKAGES)"

help: ## List the commands
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: ## Train a detector with one TrainingRun, on a new cluster (CLUSTER=current: on the cluster of your kubeconfig; NETWORK=ssd_inception_v2)
	@$(BIN) $(PY) -m trdemo run $(if $(NETWORK),--network "$(NETWORK)")

demo-down: ## Remove the demo's cluster
	@$(BIN) $(PY) -m trdemo down

test: ## Run every check and test, up to a real cluster (TIER=contract: only this tier; PYTEST="-k retry")
	@$(BIN) $(PY) -m trrunner $(or $(TIER),all) $(if $(PYTEST),--pytest="$(PYTEST)")

fuzz: ## Fuzz every reader of users' files (SECONDS=60 for each, ONLY=coco)
	@$(BIN) $(PY) -m trfuzz --seconds $(or $(SECONDS),60) $(if $(INPUT),--input $(INPUT)) $(ONLY)

chaos: ## Search for violations with seeded faults in virtual time (SECONDS=60; SEED=123 or SCHEDULE=file replays one; STATE=file)
	@$(BIN) $(PY) -m trchaos --seconds $(or $(SECONDS),60) $(if $(STATE),--state "$(STATE)") $(if $(SEED),--seed $(SEED)) $(if $(SCHEDULE),--schedule "$(SCHEDULE)") $(if $(SHRINK),--shrink)

mutants: ## Bring faults of the past back, one by one: the tests must catch each (ONLY="retry namespace")
	@$(BIN) $(PY) -m trrunner.mutants $(ONLY)

chaos-mutants: ## Put defects into the operator of make chaos, one by one: seeds must show each (ONLY="queue lost", SEEDS=200)
	@$(BIN) $(PY) -m trchaos.mutants $(if $(SEEDS),--seeds $(SEEDS)) $(ONLY)

chaos-wire: ## Execute schedules of make chaos with kopf and over HTTP too, and compare (SEEDS=50, FIRST=0)
	@$(BIN) $(PY) -m trchaos.wire $(if $(SEEDS),--seeds $(SEEDS)) $(if $(FIRST),--first $(FIRST))

chaos-fleet: ## Run seeded faults between the operator and a real API server, Job controller and garbage collector (SEEDS=30, SEED=7; MUTANT=name)
	@$(BIN) $(PY) -m trchaosfleet $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),30)) $(if $(MUTANT),--mutant "$(MUTANT)")

corpus: ## Read public data sets as published (TRAININGRUN_CORPUS=folder that holds them; fetched where missing; PYTEST="-k raccoon")
	@$(BIN) $(PY) -m pytest tests/corpus -q -n 2 --tb short $(PYTEST)

servers: ## Run the storage tests, and a whole run, against S3 servers of other projects (ONLY="minio rclone")
	@$(BIN) $(PY) -m trrunner $(or $(addprefix server-,$(ONLY)),servers) $(if $(PYTEST),--pytest="$(PYTEST)")

networks: ## Build, train, evaluate and export every network in TensorFlow 1.14 (PYTEST="-k rfcn")
	@$(BIN) $(PY) -m trrunner networks $(if $(PYTEST),--pytest="$(PYTEST)")

tf2: ## Run the code of an export's README.md with a current TensorFlow (installs 1.6 GB once)
	@$(BIN) $(PY) -m trrunner tf2 --pytest "-k as_written"

e2e-long: ## Run the second runs on a real cluster: continue, stop, change (PYTEST="-k resume")
	@$(BIN) $(PY) -m trrunner e2e-long $(if $(PYTEST),--pytest="$(PYTEST)")

chaos-storage: ## Live through whole runs at an S3 server that fails by seeds (SECONDS=600, SEED=7, FIRST=1000, SERVER=versitygw)
	@$(BIN) $(PY) -m trchaosstorage --seconds $(or $(SECONDS),600) $(if $(SEED),--seed $(SEED)) $(if $(FIRST),--first $(FIRST)) $(if $(SERVER),--server $(SERVER))

chaos-resume: ## Interrupt a training in TensorFlow 1.14 five times and compare it with one that is not interrupted
	@$(BIN) $(PY) -m trrunner chaos-resume $(if $(PYTEST),--pytest="$(PYTEST)")

chaos-node: ## Kill and cut off what real pods need while they train: 56 seeded faults (SEED=7, FAULTS=12, ONLY="agent killed in train,node lost")
	@$(BIN) CHAOS_SEED="$(SEED)" CHAOS_FAULTS="$(FAULTS)" CHAOS_ONLY="$(ONLY)" $(PY) -m trrunner chaos-node $(if $(PYTEST),--pytest="$(PYTEST)")

check: ## Run lint, types, layers, generated files and unit tests: under two minutes
	@$(BIN) $(PY) -m trrunner check

images: ## Build the four container images (BASE=local|registry)
	@$(BIN) $(PY) -m trimages build $(if $(BASE),--base $(BASE))

cluster-up: ## Start the test cluster (TIER=api|fleet|node)
	@$(BIN) $(PY) -m trcluster up --tier $(or $(TIER),node)

cluster-down: ## Stop the test cluster and remove everything it created
	@$(BIN) $(PY) -m trcluster down

chart: ## Generate the chart's CRD and rights, its README, the reference, the status types, findings, reasons
	@$(BIN) $(PY) charts/sync.py
	@$(BIN) $(PY) charts/readme.py
	@$(BIN) $(PY) manifests/reference.py
	@$(BIN) $(PY) manifests/status_types.py
	@$(BIN) $(PY) manifests/findings.py
	@$(BIN) $(PY) manifests/reasons.py

requirements: ## Update the requirement files with their hashes
	@$(BIN) $(PY) -m trimages compile-requirements

format: ## Format the Python code
	@$(BIN) ruff format -q . && $(BIN) ruff check -q --fix .

bench: ## Measure speed and memory (ONLY=images|prep|sizes|dirt|transfer|mirror|driver|fleet|orchestration)
	@$(BIN) $(PY) -m trbench $(ONLY)

.PHONY: help demo demo-down test fuzz chaos mutants chaos-mutants chaos-wire chaos-fleet chaos-storage chaos-resume chaos-node corpus servers networks tf2 e2e-long check images cluster-up cluster-down chart requirements format bench

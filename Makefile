# Every target sets up what it needs; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help check test demo bench schemas dashboards lint clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "lago-xero needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

lint: $(READY) ## format check, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

check: lint ## lint and unit tests; needs no services
	$(BIN)/pytest tests/unit -q

test: $(READY) ## every test; starts Kafka and Postgres itself
	$(BIN)/pytest -q

demo: $(READY) ## the whole service against a simulated Xero; KEEP=1 leaves it up
	$(BIN)/python -m consumer.sandbox.demo $(if $(KEEP),--keep)

bench: $(READY) ## measure on this machine, in five minutes: events a second, latency, the quota's share
	$(BIN)/python -m tests.bench.ingest
	$(BIN)/python -m tests.bench.latency
	$(BIN)/pytest -q -s -m bench

schemas: $(READY) ## write schemas/json from the models
	$(BIN)/python -m schemas.export

dashboards: $(READY) ## write what deploy/ has from the code: metrics.md, errors.md, Grafana's dashboards, the operator's rules
	$(BIN)/python -m deploy.generate

lock: ## renew the lock files (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate -q pyproject.toml -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate -q --all-extras -c requirements.lock pyproject.toml -o requirements-dev.lock

clean: ## remove what the targets made
	rm -rf $(VENV) .sandbox build dist *.egg-info

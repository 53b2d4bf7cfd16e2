# Idlewire. `make run` and `make test` are all a newcomer needs: Debian with python3, python3-venv, make, a network.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help run test test-install lint format bench dashboards fuzz lock deb release clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(VENV)/.installed ## set up and run the sensor (page on http://127.0.0.1:8470); ARGS="--interface br0"
	@if [ "$$(id -u)" = 0 ]; then exec $(BIN)/idlewire run $(ARGS); \
	elif command -v sudo >/dev/null; then echo "capture needs CAP_NET_RAW: asking sudo" >&2; exec sudo $(BIN)/idlewire run $(ARGS); \
	else exec $(BIN)/idlewire run $(ARGS); fi

test: $(VENV)/.installed-dev ## set up and pass all tests (as root also those on real interfaces)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile $(ARGS)

test-install: $(VENV)/.installed-dev ## install into a fresh Debian, upgrade, purge (root; some minutes; makes a Debian in build/)
	$(BIN)/python -m pytest -m install tests/deploy $(ARGS)

lint: $(VENV)/.installed-dev ## ruff, mypy --strict, import floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-dev ## CPU per packet, drops, memory and latency against peers, as ratios
	$(BIN)/python -m tests.bench $(ARGS)

dashboards: $(VENV)/.installed ## write deploy/grafana/dashboards anew
	$(BIN)/python -m deploy.grafana

fuzz: $(VENV)/.installed-dev ## more mutated frames than `make test` has time for; ARGS="--frames 20000000 --seed 7"
	$(BIN)/python -m tests.hostile.mutate $(ARGS)

deb: $(VENV)/.installed ## dist/idlewire_VERSION_ARCH.deb for this release of Debian; ARGS=arm64 for that architecture
	deploy/build_deb.sh $(ARGS)

release: ## dist/idlewire-VERSION.tar.gz of the last commit, with SHA256SUMS for install.sh
	deploy/build_release.sh

lock: ## renew both lock files from pyproject.toml (needs uv)
	uv export --no-dev --group build --no-emit-project --no-header --no-annotate -q -o requirements.lock
	uv export --group dev --no-emit-project --no-header --no-annotate -q -o requirements-dev.lock
	rm -f uv.lock

clean: ## forget the environment and what was built
	rm -rf $(VENV) build dist

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Idlewire needs Python 3.11 or later" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "install python3-venv first: sudo apt install python3-venv" >&2; exit 1; }

$(VENV)/.installed: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

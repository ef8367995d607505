# The one door for chores. `make` alone lists them.
#
#   PYTHON  the interpreter .venv is made with (default: the first of python3, python3.13 … that is 3.11+)

SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
PY := .venv/bin/python
# The stamp is named after the place, so that a tree which was copied together with its .venv installs again.
STAMP := .venv/installed-$(shell pwd | cksum | cut -d' ' -f1)
DIR ?= demo
export NUMBA_CACHE_DIR := $(CURDIR)/.venv/numba
export PYTHONUNBUFFERED := 1

.PHONY: help demo test unit check bench serve torture install clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

demo: $(STAMP) ## fetch MovieLens 100K, train, evaluate, serve, show a feed and say why
	.venv/bin/feedmill demo

test: check ## lint, types, layers, then every test
	$(PY) -m pytest -q -n 2 --dist worksteal

unit: $(STAMP) ## the unit tests alone: nothing that starts processes or trains
	$(PY) -m pytest -q -n 2 --dist worksteal -m "not slow"

check: $(STAMP) ## lint, formatting, types and layers: everything that runs no code
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) .venv/bin/lint-imports --no-logo

bench: $(STAMP) ## p50 and p99 through HTTP on the demo, the fold, the log; `feedmill bench --help` lists the others
	.venv/bin/feedmill bench

serve: $(STAMP) ## serve the workspace in DIR (default: demo)
	.venv/bin/feedmill serve --dir $(DIR)

torture: $(STAMP) ## kill -9 at 100 moments of chance across ingest, join, learn and publish (KILLS=, SEED=): is anything lost?
	OMP_NUM_THREADS=1 PYTHONPATH=src:tests $(PY) -m torture --kills $(or $(KILLS),100) --seed $(or $(SEED),0) $(if $(EVERY),--every $(EVERY))

install: $(STAMP) ## make .venv and install feedmill into it with what training and tests need

$(STAMP): pyproject.toml constraints.txt | $(PY)
	$(PY) -m pip install -q -c constraints.txt -e '.[train,dev]'
	@rm -f .venv/installed-* && touch $@

$(PY):
	@[ -n "$(PYTHON)" ] || { echo "feedmill needs Python 3.11 or newer and found none ($$(python3 -V 2>&1))."; \
		echo "  do: install one (Debian and Ubuntu: apt-get install python3.11 python3.11-venv; macOS: brew install python)"; \
		echo "      and run: make PYTHON=/path/to/python3.11"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is $$("$(PYTHON)" -V); feedmill needs 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& apt-get install -y "python$$("$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"; } || { \
		echo "$(PYTHON) cannot make virtual environments; do: apt-get install python3-venv"; exit 1; }
	"$(PYTHON)" -m venv .venv

clean: ## remove .venv, caches and builds; workspaces stay
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

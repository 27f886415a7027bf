# Everything a person or CI does here. Bare `make` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TEST_ARGS ?= -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help install run test check format bench clean

help: ## List the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

$(STAMP): requirements.txt requirements-test.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
	  echo "error: python3's venv module is missing; install it with 'apt-get install python3-venv'" >&2; exit 1; }
	@$(BIN)/python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' || { \
	  echo "error: Python 3.11 to 3.14 is needed; choose one with 'make PYTHON=python3.12 run'" >&2; exit 1; }
	@echo "installing into $(VENV) (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.installed-test: $(STAMP)
	@echo "installing what the tests need (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-test.txt
	@touch $@

install: $(STAMP) ## Create .venv and install the product
run: $(STAMP) ## Start the console and a worker; Ctrl-C stops both
	@exec $(BIN)/python -m geotransfer serve

check: $(VENV)/.installed-test ## Format, lint, types, imports
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports --no-cache

test: $(VENV)/.installed-test ## Run every check and test, offline
	@$(BIN)/python -m pytest $(TEST_ARGS)

format: $(VENV)/.installed-test ## Format and mend what can be mended
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: $(VENV)/.installed-test ## Run every benchmark, quickly
	@for name in first_light calibrate transfer applicability imagery only_if_changed console; do \
	  $(BIN)/python -m benchmarks.$$name --quick --json || exit 1; done

clean: ## Remove the virtual environment and caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache

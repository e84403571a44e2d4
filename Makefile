# Two commands for a newcomer, `make demo` and `make test`; `make help` lists
# the rest. Everything is installed into $(VENV) at the pinned versions of
# constraints.txt.

PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
DEMO_DIR ?= runs/demo
PYTEST_ARGS ?=
OLDEST_PYTHON ?= python3.11
INSTALL_PYTHONS ?= python3.11 python3.13

VENV_PYTHON := $(VENV)/bin/python
OLDEST_VENV := .venv-oldest
PYTEST := -m pytest --numprocesses=2 --dist=loadfile
# Installing again is needed only when one of these changes.
INSTALL_INPUTS := setup.cfg pyproject.toml $(CONSTRAINTS)
INSTALLED := $(VENV)/.installed
INSTALLED_TEST := $(VENV)/.installed-test
INSTALLED_DOCS := $(VENV)/.installed-docs
PIP_INSTALL := $(VENV_PYTHON) -m pip install --disable-pip-version-check \
	--constraint $(CONSTRAINTS)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo docs test test-fast test-slow test-long test-oldest test-install lint format \
	install install-test torch-env clean

help: ## Show this list.
	@echo "Needs Python 3.11, 3.12 or 3.13 (make PYTHON=python3.12 ... picks one)."
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile \
		| awk -F'|' '{ printf "%-20s%s\n", $$1, $$2 }'

demo: $(INSTALLED) ## Run the whole job on handwritten digits, a few minutes.
	$(VENV_PYTHON) tools/demo.py --work_dir=$(DEMO_DIR)

docs: $(INSTALLED_DOCS) ## Build the site into build/site; a warning is an error.
	NO_MKDOCS_2_WARNING=1 $(VENV_PYTHON) -m mkdocs build

test: lint ## Lint, then run the tests (PYTEST_ARGS="-k name" picks some).
	$(VENV_PYTHON) $(PYTEST) -m "not slow" $(PYTEST_ARGS)

test-fast: $(INSTALLED_TEST) ## Run the tests that need no process of their own.
	$(VENV_PYTHON) $(PYTEST) -m fast $(PYTEST_ARGS)

test-slow: test-install docs test-long ## Wheel, kills, hosts, Ray, the site.

test-long: $(INSTALLED_TEST) ## The slow tests that need no other environment.
	$(VENV_PYTHON) $(PYTEST) -m slow --timeout=900 $(PYTEST_ARGS)

# What an old release calls deprecated, or calls although it is deprecated in
# a release made after it, says nothing about us.
test-oldest: ## Run every test on the oldest versions that setup.cfg allows.
	$(MAKE) VENV=$(OLDEST_VENV) PYTHON=$(OLDEST_PYTHON) \
		CONSTRAINTS=constraints-oldest.txt install-test
	$(OLDEST_VENV)/bin/python $(PYTEST) -W ignore::DeprecationWarning \
		-W ignore::PendingDeprecationWarning $(PYTEST_ARGS)

test-install: ## Build the wheel and try it as installed, on Python 3.11 and 3.13.
	$(PYTHON) tests/install_wheel.py $(INSTALL_PYTHONS)

lint: $(INSTALLED_TEST) ## Check style, format and types.
	$(VENV_PYTHON) -m ruff check
	$(VENV_PYTHON) -m ruff format --check
	$(VENV_PYTHON) -m mypy

format: $(INSTALLED_TEST) ## Rewrite the code in the project's format.
	$(VENV_PYTHON) -m ruff check --fix
	$(VENV_PYTHON) -m ruff format

install: $(INSTALLED) ## Only install, for use.

install-test: $(INSTALLED_TEST) ## Only install, for development.

torch-env: ## Only for `benchmarks/run.py peer`: PyTorch in .venv-torch.
	$(PYTHON) -m venv .venv-torch
	.venv-torch/bin/python -m pip install --disable-pip-version-check \
		torch==2.13.0

clean: ## Remove environments and caches; runs/ stays.
	rm -rf $(VENV) $(OLDEST_VENV) build *.egg-info .mypy_cache \
		.pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A half-made environment (Debian without python3-venv) must not look done.
$(VENV_PYTHON):
	@command -v $(PYTHON) > /dev/null || { \
		echo "No '$(PYTHON)' here. Install Python 3.11, 3.12 or 3.13, or say" \
			"where one is: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; \
		sys.exit(0 if (3, 11) <= v < (3, 14) else \
		f"Python 3.11, 3.12 or 3.13 is needed; $(PYTHON) is {v[0]}.{v[1]}. " \
		"Say which one to use: make PYTHON=python3.12 ...")'
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(INSTALLED): $(INSTALL_INPUTS) | $(VENV_PYTHON)
	$(PIP_INSTALL) --editable '.[digits,nsga2]'
	@touch $@

$(INSTALLED_TEST): $(INSTALL_INPUTS) | $(VENV_PYTHON)
	$(PIP_INSTALL) --editable '.[test]'
	@touch $@ $(INSTALLED)

$(INSTALLED_DOCS): $(INSTALL_INPUTS) | $(VENV_PYTHON)
	$(PIP_INSTALL) --editable '.[docs]'
	@touch $@

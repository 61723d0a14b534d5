# Each target installs what it needs. Start with `make run`. Needs Python 3.11 or newer and make.

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.installed
CLIENTS := .wallgent/clients/installed
DRIVER := $(VENV)/.driver

# Not the scripts in .venv/bin: their first line fails in a path with spaces.
IN_VENV := $(VENV)/bin/python

.PHONY: run test soak bench lint format css

run: $(READY)
	@exec $(IN_VENV) manage.py run

test: $(READY) $(CLIENTS) $(DRIVER)
	@exec $(IN_VENV) -m pytest -n 3

soak: $(READY)
	@HYPOTHESIS_PROFILE=soak exec $(IN_VENV) -m pytest -n 2 -m hypothesis --timeout 3600

bench: $(READY)
	@exec $(IN_VENV) -m bench

# Checking for missing migrations needs settings, but no database.
LINT_SETTINGS := DEBUG=1 SECRET_KEY=lint ENCRYPTION_KEYS= \
  DATABASE_URL=postgres://localhost:1/lint REDIS_URL=redis://localhost:1

lint: $(READY)
	@$(IN_VENV) -m ruff format --check .
	@$(IN_VENV) -m ruff check .
	@env $(LINT_SETTINGS) $(IN_VENV) -W ignore manage.py makemigrations --check --dry-run

format: $(READY)
	$(IN_VENV) -m ruff format .
	$(IN_VENV) -m ruff check --fix .

$(READY): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Wallgent needs Python 3.11 or newer. Name one: make $(or $(MAKECMDGOALS),run) PYTHON=python3.12" >&2; exit 1; }
	@echo "Setting up $(VENV); this takes a minute, once."
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "Python's venv module is missing. On Debian: apt-get install python3-venv" >&2; exit 1; }
	$(IN_VENV) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

# The published Python clients. The tests run each of their calls against our server.
$(CLIENTS): $(READY) tests/client/install.py tests/client/requirements.txt
	@$(IN_VENV) -m tests.client.install
	@touch $@

# Playwright, which controls Chromium in browser tests. Running Wallgent does not need it.
$(DRIVER): $(READY) tests/browser/requirements.txt
	$(IN_VENV) -m pip install --quiet --disable-pip-version-check -r tests/browser/requirements.txt
	@touch $@

# The style sheet, htmx and the icons are committed. Only changing them needs Node and npm.
STYLES := wallgent/styles

css: $(STYLES)/node_modules/.package-lock.json
	@node $(STYLES)/build.mjs

$(STYLES)/node_modules/.package-lock.json: $(STYLES)/package-lock.json
	@cd $(STYLES) && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

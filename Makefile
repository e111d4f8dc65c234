# The two commands of a newcomer: `make demo` and `make test`. Each makes what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo test check lint types contracts lock clean notebooks pictures

help:
	@echo "make demo   divide the sample city and show the map (about 10 minutes)"
	@echo "make test   run the tests"
	@echo "make check  format, lint, import contracts, types, spelling"
	@echo "make notebooks  strip the notebooks of output"
	@echo "make pictures   draw the pictures of the documents (about 12 minutes)"

demo: $(VENV)/.runtime
	$(BIN)/geogrid demo $(DEMO)

test: $(VENV)/.dev chromium gdal
	$(BIN)/python -m pytest -m "not city" --numprocesses 2 --dist loadfile $(TESTS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/codespell geogrid tests docs README.md CHANGELOG.md

notebooks: $(VENV)/.dev
	$(BIN)/python tools/notebooks.py

pictures: $(VENV)/.dev chromium
	mkdir -p build/pictures
	$(BIN)/geogrid demo --no-serve --counties 川汇区 --out build/pictures/county
	$(BIN)/geogrid demo --no-serve --out build/pictures/city
	$(BIN)/python tools/pictures.py build/pictures/county build/pictures/city

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "geogrid needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || $(MAKE) --no-print-directory system PACKAGES=python3-venv
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: $(BIN)/python setup.cfg requirements.lock
	@echo "Installing geogrid and what it needs into $(VENV) (about a minute) ..."
	$(PIP) install -c requirements.lock -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	@echo "Installing what the tests need ..."
	$(PIP) install -c requirements.lock -e '.[dev]'
	@touch $@

# The page tests drive a real browser.
.PHONY: chromium gdal system
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	  command -v google-chrome >/dev/null || $(MAKE) --no-print-directory system PACKAGES=chromium

# The interface is tested with an independent client.
gdal:
	@command -v ogr2ogr >/dev/null || $(MAKE) --no-print-directory system PACKAGES=gdal-bin

system:
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  echo "Installing $(PACKAGES) with apt-get ..."; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(PACKAGES) >/dev/null; \
	elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then \
	  echo "Installing $(PACKAGES) with sudo apt-get ..."; \
	  sudo apt-get update -qq && sudo DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(PACKAGES) >/dev/null; \
	else \
	  echo "Please install $(PACKAGES) (Debian, Ubuntu: sudo apt-get install $(PACKAGES)) and try again."; exit 1; \
	fi

# Pin what a fresh resolve of setup.cfg gives; review the difference before committing it.
lock:
	rm -rf .lockenv
	$(PYTHON) -m venv .lockenv
	.lockenv/bin/python -m pip --disable-pip-version-check --quiet install -e '.[dev]'
	.lockenv/bin/python -m pip freeze --exclude-editable > requirements.lock
	rm -rf .lockenv

clean:
	rm -rf $(VENV) geogrid-demo build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache

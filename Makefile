# make serve | test | bench | lint | clean. Needs Python 3.11 or newer, and nothing else.

PORT ?= 8000
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# Processes that run tests; 0 is this one alone.
JOBS ?= 4
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: serve test bench lint clean lock docs

serve: .venv/serve
	@TENANTRY_ENV=$${TENANTRY_ENV:-development} $(BIN)/tenantry provision --all --quiet 2>/dev/null || true
	@TENANTRY_ENV=$${TENANTRY_ENV:-development} TENANTRY_PORT=$(PORT) PYTHONUNBUFFERED=1 PATH="$(CURDIR)/$(BIN):$$PATH" \
		exec $(BIN)/honcho --no-prefix start --port $(PORT)

# In parallel, as many tests wait for a process or a clock, and each file in one process, as its tests share servers. Their
# files are in memory where that has room, as they make thousands of databases, each of which would wait for the disk; and
# compiled code is kept, as they start hundreds of processes.
SHM = $(shell test -w /dev/shm && df -Pk /dev/shm | awk 'NR == 2 && $$4 > 4000000 {print "/dev/shm"}')
test: .venv/dev
	@PYTHONDONTWRITEBYTECODE= $(if $(SHM),TMPDIR=$${TMPDIR:-$(SHM)}) \
		$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

bench: .venv/dev
	@$(BIN)/python -m bench $(ARGS)

lint: .venv/dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Each set of packages is installed once for each change of its lock file, with every file's hash checked.
.venv/serve: requirements/serve.txt pyproject.toml | .venv/bin/python
	@echo "Installing what Tenantry needs into .venv (once) …"
	@$(PIP) install --require-hashes -r requirements/serve.txt
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

.venv/dev: requirements/dev.txt .venv/serve
	@echo "Installing what the tests need into .venv (once) …"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Tenantry needs Python 3.11 or newer, and found none. Install it, or name it: make serve PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "The virtual environment could not be made. On Debian and Ubuntu, install python3-venv and try again."; exit 1; }

lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header requirements/serve.in -o requirements/serve.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header requirements/dev.in -o requirements/dev.txt

docs: .venv/serve
	$(BIN)/python -m tenantry.schema > docs/tenants.schema.json
	$(BIN)/python -m tenantry.schema_docs > docs/configuration.md

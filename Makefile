# Thin commands for people and CI. Needs Python 3.11 or newer, make and the package registries.
# Variables: PYTHON (python3), PORT (8000), PYTEST_ARGS (for example PYTEST_ARGS="--cov -k steroid").
PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV_COMPILE := .venv-lock/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11

.DEFAULT_GOAL := help
.PHONY: help demo serve hapi test check fix bench slow-senders crash fuzz sbom audit lock

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

demo: $(READY) ## run the service with its synthetic patients
	$(BIN)/atrophy-cds demo --port $(PORT)

serve: $(READY) ## run the service, open to every caller, on this machine
	$(BIN)/atrophy-cds serve --open --port $(PORT)

hapi: $(READY) ## start a real HAPI FHIR with the synthetic patients (JDK 17 or newer, Maven)
	PORT=$(PORT) $(BIN)/python docker/hapi/run.py

# Two halves (tests/conftest.py): most tests on every core, a file at a time in the order of the folders (the long files
# are not those with the most tests); then those that need the machine to themselves. pytest ends with 5 when nothing was
# chosen: an error only where both halves are empty.
test: $(READY) ## run the tests; names what was skipped and why
	@outcome=5; \
	run() { $(BIN)/python -m pytest -ra "$$@" $(PYTEST_ARGS); \
	  case $$? in 0) [ $$outcome = 1 ] || outcome=0;; 5) ;; *) outcome=1;; esac; }; \
	run --half shared --numprocesses auto --dist loadfile --no-loadscope-reorder; \
	run --half alone --cov-append; \
	exit $$outcome

check: $(READY) ## lint, format, types, imports, rules, generated documents
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports
	$(BIN)/atrophy-cds check-rules && $(BIN)/atrophy-cds docs --check
	$(BIN)/python -m pytest -q tests/rules/test_value_sets.py tests/rules/test_value_set_members.py tests/rules/test_coverage.py

fix: $(READY) ## repair what can be repaired: lint, format, generated documents
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .
	$(BIN)/atrophy-cds docs

bench: $(READY) ## measure the service
	$(BIN)/python -m benchmarks

slow-senders: $(READY) ## measure what 200 slow senders cost healthy calls (nginx)
	$(BIN)/python -m benchmarks.slow_senders

crash: $(READY) ## end all processes suddenly, 100 times, and look for lost feedback
	ATROPHY_CDS_KILLS=100 $(BIN)/python -m pytest -q tests/exposed/test_crash.py

fuzz: $(READY) ## send 100,000 altered requests (REQUESTS=, SEED=)
	ATROPHY_CDS_FUZZ=$(or $(REQUESTS),100000) ATROPHY_CDS_FUZZ_SEED=$(or $(SEED),1) $(BIN)/python -m pytest -q -s tests/fuzz

sbom: ## write sbom.json, the bill of materials of what is installed (CycloneDX)
	$(PYTHON) -m venv .venv-supply && .venv-supply/bin/pip install --quiet cyclonedx-bom==7.5.0
	.venv-supply/bin/cyclonedx-py requirements --output-reproducible requirements.lock -o sbom.json

audit: ## look every locked version up among known vulnerabilities; fails when its registry does not tell
	$(PYTHON) -m venv .venv-supply && .venv-supply/bin/pip install --quiet pip-audit==2.10.1
	.venv-supply/bin/pip-audit --strict --disable-pip -r requirements.lock

lock: ## write both lock files anew (UPGRADE=--upgrade for newer versions)
	$(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install --quiet uv
	$(UV_COMPILE) $(UPGRADE) pyproject.toml -o requirements.lock
	$(UV_COMPILE) $(UPGRADE) -c requirements.lock pyproject.toml --group dev -o requirements-dev.lock

# Set up again only when a lock or pyproject.toml changes.
$(READY): pyproject.toml requirements.lock requirements-dev.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("Python 3.11 or newer is needed; $(PYTHON) is %d.%d. Try: make PYTHON=python3.12 ..." % v[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e . && touch $@

# Every command of the project; `make help` lists them. Needs Python 3.11 or newer, pip and make, nothing else.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PY := .venv/bin/python
CODE := $(wildcard kernel chassis contexts application interfaces tests benchmarks)
WORKERS ?= 2
BUF_VERSION := 1.75.0
BUF := build/node/node_modules/.bin/buf

export UV_PYTHON_DOWNLOADS := never
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo demo-distributed serve test servers bench bench-mesh check format format-check lint types imports unit \
        protos protos-fresh protos-lint protos-baseline operations lock lock-check clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 18

# ---- set-up -----------------------------------------------------------------------------------------------------------

# $(call install,LOCK): .venv holds exactly what LOCK pins. With uv where it is there; else with venv and pip; else
# (Debian without python3-venv) with a uv that pip puts into .uv.
define install
	@set -euo pipefail; \
	for python in $${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; python=; done; \
	[ -n "$$python" ] || { echo "Python 3.11 or newer is needed: install it, or name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }; \
	uv=$$(command -v uv || true); [ -n "$$uv" ] || [ ! -x .uv/bin/uv ] || uv=.uv/bin/uv; \
	if [ -z "$$uv" ] && ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	  "$$python" -m pip --version >/dev/null 2>&1 || { echo "pip is needed: run \`sudo apt-get install -y python3-pip\`, then this again"; exit 1; }; \
	  echo "set-up: this Python has no venv, fetching uv into .uv"; \
	  "$$python" -m pip install --quiet --target .uv uv; uv=.uv/bin/uv; \
	fi; \
	echo "set-up: .venv with $$("$$python" -V), $(1), by $${uv:+uv}$${uv:-pip (a minute or two)}" | sed 's,uv[^ ]*/uv$$,uv,;s,uvuv$$,uv,'; \
	if [ -n "$$uv" ]; then \
	  [ -x $(PY) ] || "$$uv" venv --quiet --python "$$python" .venv; \
	  "$$uv" pip sync --quiet --compile-bytecode --python $(PY) --require-hashes $(1); \
	  "$$uv" pip install --quiet --python $(PY) --no-deps --no-build-isolation --editable .; \
	else \
	  [ -x .venv/bin/pip ] || "$$python" -m venv --clear .venv; \
	  $(PY) -m pip install --quiet --require-hashes --requirement $(1); \
	  $(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .; \
	fi; \
	$(PY) -m compileall -q -j 2 $(wildcard kernel chassis contexts application interfaces) protos/gen
endef

.venv/.ready: requirements.lock
	$(call install,requirements.lock)
	@rm -f .venv/.ready-dev; touch $@

.venv/.ready-dev: requirements-dev.lock
	$(call install,requirements-dev.lock)
	@touch .venv/.ready $@

setup: .venv/.ready  ## prepare .venv (all that `make demo` and `make serve` need)

# ---- run --------------------------------------------------------------------------------------------------------------

demo: .venv/.ready  ## the main job on a sample company: hire, punch, close the month, pay
	@.venv/bin/muster demo $(ARGS)

demo-distributed: .venv/.ready-dev servers  ## the same on every part as its own process: MariaDB, Redis, etcd, Envoy
	@.venv/bin/muster demo --distributed $(ARGS)

serve: .venv/.ready  ## keep the embedded backend up (API docs at /docs)
	@.venv/bin/muster serve $(ARGS)

bench: .venv/.ready-dev servers  ## measure against the floors; writes benchmarks/results.json
	@$(PY) -m benchmarks $(ARGS)

bench-mesh: .venv/.ready-dev servers  ## failed and slowest calls while replicas, control planes and etcd die
	@$(PY) -m benchmarks mesh up $(ARGS)

# ---- tests ------------------------------------------------------------------------------------------------------------

# The tests start private servers from these programs; nothing of a server that already runs here is touched.
servers:
	@set -euo pipefail; PATH="$$PATH:/usr/sbin:/usr/local/sbin:/opt/homebrew/bin"; missing=; \
	for pair in mariadbd:mariadb-server redis-server:redis-server etcd:etcd-server; do \
	  command -v "$${pair%%:*}" >/dev/null || missing="$$missing $${pair##*:}"; done; \
	[ -n "$$missing" ] || exit 0; \
	if ! command -v apt-get >/dev/null; then \
	  echo "The tests start private servers from programs that are missing here:$$missing"; \
	  echo "  macOS:  brew install mariadb redis etcd"; \
	  echo "  Fedora: sudo dnf install mariadb-server redis etcd"; \
	  echo "then run this again."; exit 1; \
	fi; \
	if [ "$$(id -u)" = 0 ]; then root=; \
	elif sudo -n true 2>/dev/null; then root="sudo -n"; \
	else echo "The tests start private servers from Debian packages that are missing here. Run"; \
	  echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends$$missing"; \
	  echo "then this again."; exit 1; \
	fi; \
	echo "installing Debian packages for the tests:$$missing"; \
	log=$$(mktemp); \
	if ! { $$root apt-get update && $$root env DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y --no-install-recommends $$missing; } >"$$log" 2>&1 </dev/null; then \
	  tail -n 30 "$$log"; rm -f "$$log"; echo "apt-get failed (above): install$$missing by hand, then run this again"; exit 1; fi; \
	rm -f "$$log"

test: .venv/.ready-dev servers  ## all tests, with private servers of their own
	@$(PY) -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

unit: .venv/.ready-dev
	@$(PY) -m pytest -q -rfE --fast -n $(WORKERS) --dist loadfile $(ARGS)

# ---- checks -----------------------------------------------------------------------------------------------------------

UNIT ?= unit
check: format-check lint types imports protos-fresh protos-lint lock-check $(UNIT)  ## the fast loop: format, lint, types, layers, protos, locks, unit tests
	@echo "all checks passed"

format: .venv/.ready-dev  ## format the code
	@.venv/bin/ruff format --quiet $(CODE) && .venv/bin/ruff check --fix --quiet $(CODE)

format-check: .venv/.ready-dev
	@.venv/bin/ruff format --check --quiet --diff $(CODE) || { echo "run \`make format\`"; exit 1; }

lint: .venv/.ready-dev
	@.venv/bin/ruff check --quiet $(CODE)

types: .venv/.ready-dev
	@.venv/bin/mypy --no-error-summary $(CODE)

imports: .venv/.ready-dev
	@out=$$(.venv/bin/lint-imports --no-logo 2>&1) || { echo "$$out"; exit 1; }

# ---- protos -----------------------------------------------------------------------------------------------------------

# google/* comes with grpcio-tools and googleapis-common-protos.
define protoc
	PATH="$(CURDIR)/.venv/bin:$$PATH" $(PY) -m grpc_tools.protoc -Iprotos \
	  "-I$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" $(1) \
	  $$(cd protos && find muster buf -name '*.proto' | LC_ALL=C sort)
endef

# $(call generate,FOLDER)
define generate
	$(call protoc,--python_out=$(1) --grpc_python_out=$(1) --mypy_out=quiet:$(1) --mypy_grpc_out=quiet:$(1))
endef

protos: .venv/.ready-dev  ## generate protos/gen from the .proto files (commit the result)
	@set -euo pipefail; out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; \
	$(call generate,"$$out"); mkdir -p protos/gen; \
	(cd "$$out" && find . -type f) | while read -r f; do cmp -s "$$out/$$f" "protos/gen/$$f" || \
	  { mkdir -p "$$(dirname "protos/gen/$$f")"; cp "$$out/$$f" "protos/gen/$$f"; }; done; \
	(cd protos/gen && find . -type f -not -path '*/__pycache__/*') | while read -r f; do \
	  [ -f "$$out/$$f" ] || rm -f "protos/gen/$$f"; done; \
	echo "protos/gen is up to date"

protos-fresh: .venv/.ready-dev
	@set -euo pipefail; out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; $(call generate,"$$out"); \
	diff -rq -x __pycache__ "$$out" protos/gen || { echo "protos/gen is stale: run \`make protos\` and commit it"; exit 1; }

$(BUF):
	@command -v npm >/dev/null || { echo "buf checks the protos and comes from npm: run \`sudo apt-get install -y npm\`, then this again"; exit 1; }
	@echo "fetching buf $(BUF_VERSION) into build/node"; mkdir -p build/node
	@npm install --prefix build/node --no-save --no-package-lock --no-audit --no-fund --ignore-scripts --loglevel error \
	  @bufbuild/buf@$(BUF_VERSION) >/dev/null && touch $@

protos-lint: .venv/.ready-dev $(BUF)
	@set -euo pipefail; mkdir -p build; image=$$(mktemp build/protos-XXXXXX.binpb); trap 'rm -f "$$image"' EXIT; \
	$(call protoc,--include_imports --include_source_info --descriptor_set_out="$$image"); \
	$(BUF) lint "$$image" --config protos/buf.yaml; \
	$(BUF) breaking "$$image" --against protos/baseline.binpb --config protos/buf.yaml || \
	  { echo "clients of the last release would break: add instead of changing"; exit 1; }

protos-baseline: .venv/.ready-dev  ## at a release: what later protos must stay compatible with
	@$(call protoc,--include_imports --descriptor_set_out=protos/baseline.binpb)

operations: .venv/.ready  ## write down the operations for the gateway (commit the result)
	@$(PY) -m interfaces.gateway.policy

# ---- locks ------------------------------------------------------------------------------------------------------------

# $(call compile,FOLDER,OPTIONS): versions already in FOLDER's locks are kept while pyproject.toml allows them.
define compile
	compile="$(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate $(2) pyproject.toml"; \
	$$compile --extra build --output-file $(1)/requirements.lock && \
	$$compile --extra build --extra dev --constraint $(1)/requirements.lock --output-file $(1)/requirements-dev.lock
endef

lock: .venv/.ready-dev  ## compile the lock files from pyproject.toml (UPGRADE=1: newest versions)
	@$(call compile,.,$(if $(UPGRADE),--upgrade)) >/dev/null

lock-check: .venv/.ready-dev
	@set -euo pipefail; out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; \
	cp requirements.lock requirements-dev.lock "$$out"; \
	if grep -nE '://|^(--|-e|file:)' requirements.lock requirements-dev.lock; then \
	  echo "a lock file names an address (above): run \`make lock\`"; exit 1; fi; \
	if ! { $(call compile,"$$out"); } >/dev/null 2>"$$out/log"; then cat "$$out/log"; \
	  [ -z "$${CI:-}" ] || exit 1; echo "the lock files could not be compared with pyproject.toml (above); going on"; exit 0; fi; \
	for lock in requirements.lock requirements-dev.lock; do diff -q $$lock "$$out/$$lock" >/dev/null || \
	  { diff $$lock "$$out/$$lock" | head -20; echo "$$lock does not follow from pyproject.toml: run \`make lock\` and commit it"; exit 1; }; done

clean:  ## remove what can be made again (.venv, build, caches)
	@rm -rf .venv .uv build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Every command of the project. `make help` lists them.
SHELL := /bin/bash
PY := .venv/bin/python
PROTO_ROOTS := protos/muster protos/buf
BUILD := build

.PHONY: help protos protos-fresh
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 18

# One protoc call for everything; google/* comes with grpcio-tools and googleapis-common-protos.
define generate_protos
	site=$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))') && \
	PATH="$(CURDIR)/.venv/bin:$$PATH" $(PY) -m grpc_tools.protoc -Iprotos "-I$$site" \
	  --python_out=$(1) --grpc_python_out=$(1) --mypy_out=quiet:$(1) --mypy_grpc_out=quiet:$(1) \
	  $$(cd protos && find $(notdir $(PROTO_ROOTS)) -name '*.proto' | LC_ALL=C sort)
endef

protos:  ## generate protos/gen from the .proto files (commit the result)
	@set -e; out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; \
	$(call generate_protos,"$$out"); mkdir -p protos/gen; \
	(cd "$$out" && find . -type f) | while read -r f; do \
	  cmp -s "$$out/$$f" "protos/gen/$$f" || { mkdir -p "protos/gen/$$(dirname "$$f")"; mv "$$out/$$f" "protos/gen/$$f"; }; done; \
	find protos/gen -name '*_pb2*.py*' -not -path '*/__pycache__/*' | while read -r f; do \
	  stem=$${f#protos/gen/}; stem=$${stem%_pb2*}; [ -f "protos/$$stem.proto" ] || rm -f "$$f"; done; \
	echo "protos/gen is up to date"

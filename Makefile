# Everything a developer does, each from a fresh clone: `make help`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
INSTALLED := $(VENV)/.installed
PIP = $(BIN)/python -m pip install -q --disable-pip-version-check
STUBS := rightcall/v1/__init__.py
# What hatch_build.py makes the core of.
COMPILED := core/Cargo.toml core/Cargo.lock $(shell find core/src -name '*.rs')
# Where rustup puts cargo, if it is not found anyway.
export PATH := $(PATH):$(HOME)/.cargo/bin
ARGS ?=
JOBS ?= 4

.DEFAULT_GOAL := help
.PHONY: help run test check format bench bench-check soak load mutate image release-dry-run helm-server chaos fuzz sanitize demo-wazo docs docs-serve client stubs lock sbom programs tools clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: $(RUNTIME) ## serve examples/company.yaml, show sample decisions, go on until Ctrl-C (ONCE=1: exit after them)
	@$(BIN)/rightcall demo $(ARGS)

# A file's tests share servers, so they stay together. Tests wait as often as they work, so processes are more than cores;
# tests/conftest.py says which files come first.
test: $(INSTALLED) programs tools ## the whole suite (ARGS="-k follower" for a part, JOBS=0 without processes of its own)
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

mutate: $(INSTALLED) programs ## break the code in small places and show what no test notices; hours (ARGS="--part dialling --sample 20")
	@$(BIN)/uv pip install -q --python $(BIN)/python --group mutation
	@$(BIN)/python tests/support/mutation.py $(ARGS)

# The site's build is not --quiet: warnings that are silenced do not count as warnings to --strict.
check: $(INSTALLED) programs tools ## buf, ruff, mypy, import-linter, the Helm chart, links of the documentation
	$(BIN)/buf lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1; then \
	    cargo fmt --manifest-path core/Cargo.toml --check && cargo clippy -q --manifest-path core/Cargo.toml --locked -- -D warnings \
	    && cargo test -q --manifest-path core/Cargo.toml --locked --no-default-features; \
	else echo "core/ was not looked at: that needs cargo with rustfmt and clippy" >&2; fi
	$(BIN)/python tests/support/audit.py
	$(BIN)/python -m pytest -q -p no:cacheprovider tests/helm/test_helm.py tests/helm/test_helm_options.py tests/helm/test_helm_schemas.py
	$(BIN)/properdocs build --strict

format: $(INSTALLED) ## let ruff format the code and fix what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

BENCH = GLIBC_TUNABLES=glibc.malloc.hugetlb=1 $(BIN)/python tests/bench/run.py

bench: $(INSTALLED) ## measure; tables, JSON and pictures go to .bench/ (ARGS="--only engines,server", ARGS=--quick)
	@$(BENCH) $(ARGS)

bench-check: $(INSTALLED) ## measure ratios, and fail where one is worse than the committed baseline
	@$(BENCH) --check $(ARGS)

soak: $(INSTALLED) ## ten minutes at 70 % load with edits: memory, errors, percentiles by minute
	@$(BENCH) --only soak $(ARGS)

load: $(INSTALLED) tools ## load tests with ghz and an open loop (ARGS=--quick)
	@$(BIN)/python tests/load/run.py $(ARGS)

image: $(INSTALLED) ## build the image without a Docker engine, twice, and look inside (root; Debian's buildah, mmdebstrap)
	@$(BIN)/python tests/support/image_build.py $(ARGS)

release-dry-run: $(INSTALLED) tools ## all that a release is made of, into dist/: sdist, wheel, chart, checksums; sends nothing (ARGS=--install)
	@$(BIN)/python tests/support/release.py $(ARGS)

helm-server: PROGRAMS += etcd=etcd-server
helm-server: $(INSTALLED) programs ## the chart against a real kube-apiserver; building it takes ten minutes, once
	@$(BIN)/python tests/support/kube_tools.py
	@RIGHTCALL_KUBE=1 $(BIN)/python -m pytest tests/helm/test_helm_server.py $(ARGS)

chaos: $(INSTALLED) programs ## two minutes of edits while loaders, servers and Redis are killed at random
	@RIGHTCALL_CHAOS_SECONDS=120 $(BIN)/python -m pytest tests/programs/test_chaos.py $(ARGS)

fuzz: $(INSTALLED) ## a minute of mutated input for each thing that reads it (ARGS="--seconds 5")
	@$(BIN)/python tests/fuzz/run.py $(ARGS)

sanitize: $(INSTALLED) ## the same for the core, built with the address sanitizer in some minutes (ARGS="--seconds 600"); needs gcc
	@$(BIN)/python tests/fuzz/sanitized.py $(ARGS)

demo-wazo: $(INSTALLED) ## a simulated Wazo Platform to load from
	@$(BIN)/python tests/support/wazo_simulator.py $(ARGS)

docs: $(INSTALLED) programs ## write the pages that come from the code, and build the site of docs/ in site/
	@$(BIN)/python tests/manual/run.py
	@$(BIN)/python tests/manual/console_pictures.py
	@$(BIN)/properdocs build --strict
	@echo "site/index.html"

docs-serve: $(INSTALLED) ## the site on http://127.0.0.1:8000, built again with every edit
	@$(BIN)/properdocs serve $(ARGS)

client: $(INSTALLED) ## make the blocking client from the asynchronous one, after a change to rightcall/aio.py
	@$(BIN)/python tests/manual/blocking_client.py

stubs: $(INSTALLED) ## make rightcall/v1 again after a change to protos/, and build the core
	@$(BIN)/python hatch_build.py

lock: $(INSTALLED) ## resolve the dependencies of pyproject.toml again
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
	    --custom-compile-command "make lock" --all-extras pyproject.toml -o requirements.lock $(ARGS)
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
	    --custom-compile-command "make lock" --group pyproject.toml:build -c requirements.lock -o requirements-build.lock $(ARGS)
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
	    --custom-compile-command "make lock" pyproject.toml --group dev -c requirements.lock -c requirements-build.lock -o requirements-dev.lock $(ARGS)

sbom: $(INSTALLED) ## what is built in, in CycloneDX, and the licences: dist/sbom/
	@$(BIN)/python tests/support/sbom.py

# The tests start servers of their own; they need the programs, not services. As root on Debian they are installed.
PROGRAMS := redis-server=redis-server rabbitmq-server=rabbitmq-server erl=erlang-base pg_ctlcluster=postgresql openssl=openssl \
    promtool=prometheus go=golang-go chromium=chromium kamailio=kamailio sipp=sip-tester lua5.3=lua5.3 /usr/share/doc/lua-cjson=lua-cjson curl=curl \
    /usr/lib/*/kamailio/modules/http_client.so=kamailio-utils-modules /usr/lib/*/kamailio/modules/jansson.so=kamailio-extra-modules \
    /usr/lib/*/kamailio/modules/app_python3.so=kamailio-python3-modules
programs:
	@missing=""; for pair in $(PROGRAMS); do \
	    command -v $${pair%=*} >/dev/null || [ -x /usr/sbin/$${pair%=*} ] || [ -e $${pair%=*} ] || missing="$$missing $${pair#*=}"; done; \
	[ -z "$$missing" ] || if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends $$missing; \
	else echo "the tests need:$$missing; install them (Debian: sudo apt-get install$$missing) and try again" >&2; exit 1; fi

# Built before the tests start, so that none of them waits for a compiler.
tools: $(INSTALLED) programs
	@$(BIN)/python tests/support/tools.py
	@$(BIN)/python tests/support/example_clients.py

clean: ## remove what the other targets made
	rm -rf $(VENV) rightcall/v1 build dist site .bench .fuzz .mutate .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	rm -rf core/target
	rm -f pdp/*.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What runs, and what builds it: a few dozen packages. The developers' lock comes on top where it is asked for.
$(RUNTIME): requirements.lock requirements-build.lock pyproject.toml hatch_build.py $(COMPILED) $(wildcard protos/rightcall/v1/*.proto)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "Rightcall needs Python 3.11 or later; say which with: make PYTHON=python3.12 …" >&2; exit 1; }
	@# The core needs Rust; without it, Python does the same, slower.
	@command -v cargo >/dev/null || [ "$$RIGHTCALL_NATIVE" = skip ] || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	    && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends rustc-web cargo-web; } \
	    || echo "There is no Rust compiler here, so the core is not built (rustup has one)." >&2
	@[ -x $(BIN)/python ] || { echo "[1/3] making a virtual environment in $(VENV) …"; $(PYTHON) -m venv $(VENV); } \
	    || { echo "$(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "[2/3] installing what runs and what builds it ($$(cat requirements.lock requirements-build.lock | grep -c '^[a-z].*==') packages, about 150 MB, once; half a minute on a fast network) …"
	@$(PIP) --require-hashes -r requirements.lock -r requirements-build.lock
	@echo "[3/3] building Rightcall (two minutes where there is Rust) …"
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(INSTALLED): $(RUNTIME) requirements-dev.lock
	@echo "installing the developers' tools ($$(grep -c '^[a-z].*==' requirements-dev.lock) packages, about 700 MB, once; some minutes) …"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

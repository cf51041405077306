# `make` lists the targets. Each builds what it needs first.
#
# ARGS reaches the program behind a target:   make test ARGS="-k save"
# The inner loop, two seconds a change:       MATURIN_PEP517_ARGS="--profile fast" make test
# On a PostgreSQL 18 of its own:              make test POSTGRES=private

.PHONY: help demo test check examples bench fire fire-quick mutants docs site wheel lint build
.NOTPARALLEL:

ARGS  =
# How many processes run the tests; with ARGS it is this one, which begins at once.
WORKERS = $(if $(ARGS),0,auto)
UV    = tools/uv
RUN   = $(UV) run --no-sync
CARGO = cargo
CORE  = -p eventuali-core -p eventuali-locks --all-features
TESTS = eventuali-python/tests
POSTGRES =
# Runs a command with the address of a PostgreSQL, which it finds or starts.
SERVER = $(RUN) python $(TESTS)/postgres_server.py $(if $(filter private,$(POSTGRES)),--private)
EXTENSION = eventuali-python/python/eventuali/_eventuali.abi3.so

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: build ## save, load and print a few events
	@$(RUN) python examples/01_basic_event_store_simple.py $(ARGS)

test: build ## the tests of the core and of the Python package, which run the code of the docs, too
	$(SERVER) $(CARGO) test --locked $(CORE)
	$(if $(filter private,$(POSTGRES)),$(SERVER) $(CARGO) test --locked $(CORE) --test postgres -- --ignored)
	$(SERVER) pytest -n $(WORKERS) --maxprocesses 4 --dist worksteal $(ARGS)

check: ## everything that must be green before a commit: lint, test (searching longer), examples, site, fire-quick
	@$(MAKE) --no-print-directory lint
	@HYPOTHESIS_PROFILE=check $(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory examples
	@$(MAKE) --no-print-directory site
	@$(MAKE) --no-print-directory fire-quick

examples: build ## run every example, stop at the first that fails
	@$(RUN) python tools/run_examples.py $(ARGS)

bench: ## how fast it is on this machine, beside its peers; or against another commit
	@tools/setup
	@echo "Building a release wheel; the first time takes about two minutes."
	@env -u MATURIN_PEP517_ARGS UV_PROJECT_ENVIRONMENT=target/bench/env $(UV) sync --quiet \
		--locked --no-dev --group bench --no-editable --reinstall-package eventuali
	@target/bench/env/bin/python -m benchmarks $(ARGS)

fire: build ## break things on purpose: kills, full disks, failing files, forks; the better part of two hours
	$(RUN) python -m reliability $(ARGS)

fire-quick: build ## the same in six minutes
	$(RUN) python -m reliability --quick $(ARGS)

mutants: build ## change the code in small ways, and see whether a test notices; an hour or two
	@test -x target/mutants/root/bin/cargo-mutants || \
		$(CARGO) install --locked --root target/mutants/root cargo-mutants@27.1.0
	@# On a server of its own: tests that are cut short leave their schemas behind.
	$(RUN) python $(TESTS)/postgres_server.py --private \
		$(UV) run --no-sync --with cosmic-ray==8.7.0 python tools/mutants.py $(ARGS)

docs: build ## run the code of the docs, follow their links
	@$(RUN) python tools/check_links.py
	$(RUN) pytest $(TESTS)/test_docs.py $(ARGS)

site: ## build the docs and the reference of the API as a site into target/site
	@tools/setup
	@UV_PROJECT_ENVIRONMENT=target/site-env $(UV) sync --quiet --locked --only-group site
	@# Not --quiet: that silences the warnings on which a strict build fails.
	@NO_MKDOCS_2_WARNING=1 target/site-env/bin/mkdocs build --config-file docs/site/mkdocs.yml

wheel: ## build the wheel into dist/
	@tools/setup
	env -u MATURIN_PEP517_ARGS $(UV) build --wheel --out-dir dist
	@ls -t dist/*.whl | head -n 1

lint: ## format, lints, types, also of the docs and examples, layers
	@tools/setup lint
	@$(MAKE) --no-print-directory build
	$(CARGO) fmt --all --check
	$(RUN) $(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	$(RUN) mypy --strict -p reliability
	$(RUN) mypy --strict tools/*.py examples/tests/*.py docs/site/*.py $(TESTS)/typing_app.py
	$(RUN) python -m mypy.stubtest eventuali._eventuali
	$(RUN) lint-imports --no-logo
	@$(RUN) python tools/check_extension.py
	@$(RUN) python tools/check_types.py

# uv shows no compiler at work, so the first build compiles the core in sight. And uv would install
# its cached build, which does not hold the extension, into a tree that was cleaned.
build:
	@tools/setup
	@test -d target/release || echo "The first build takes about two minutes."
	@test -d target/release -o -n "$$MATURIN_PEP517_ARGS" || $(CARGO) build --locked --release -p eventuali-core
	@$(UV) sync --locked $$(test -f $(EXTENSION) || echo --reinstall-package eventuali)

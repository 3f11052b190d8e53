# The two commands: `make run` and `make test`. Everything lives in .venv.
PYTHON ?= python3
BIN := .venv/bin
# Test files at a time: many wait for a clock or a process.
JOBS ?= 2
.DEFAULT_GOAL := run

.venv/run: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --compile -r requirements.txt
	touch $@

.venv/dev: .venv/run requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --compile -r requirements-dev.txt
	touch $@

.PHONY: run dapr dapr-runtime test lint bench bench-dapr lock clean
run: .venv/run  ## serve on http://localhost:8000 (PORT, STATE_FILE, … are obeyed)
	exec $(BIN)/python main.py

dapr: .venv/run  ## serve on http://localhost:8000 with the actors on a real Dapr runtime; needs redis-server
	exec $(BIN)/python -m tools.dapr.serve

dapr-runtime:  ## make the pinned Dapr runtime available (where there is none: built with Go, once)
	tools/dapr/runtime

test: .venv/dev lint  ## every test that this machine can run
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

lint: .venv/dev
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy

bench: .venv/dev  ## ratios within one run
	$(BIN)/python benchmarks/embedded.py
	$(BIN)/python -m benchmarks.messaging

bench-dapr: .venv/dev  ## the same against the SDK's straightforward way, on a real Dapr runtime
	$(BIN)/python benchmarks/dapr.py

lock:  ## pin again after a change of pyproject.toml (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  pyproject.toml -o requirements.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt

clean:
	rm -rf .venv .data .mypy_cache .pytest_cache .ruff_cache .hypothesis

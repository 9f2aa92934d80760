# Thaw: `make help` lists what can be done.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CHROMIUM := $(shell command -v chromium 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help run test check format kill-test bench bench-app bench-sessions pictures data chromium clean

help: ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

run: $(VENV)/.app ## install what the app needs, then start it on http://127.0.0.1:8501
	$(BIN)/streamlit run app.py

test: $(VENV)/.dev chromium ## install what the tests need, then run the whole suite
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(VENV)/.dev ## ruff, ruff format, mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev ## let ruff tidy the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

kill-test: $(VENV)/.dev ## hours: the long forms of the reliability tests, and 500 kills of real training
	THAW_ATTACKS=20 $(BIN)/python -m pytest -n 2 --dist loadfile tests/test_kills.py \
		tests/test_power_cut.py tests/test_disk_full.py tests/test_corruption.py \
		tests/test_store_machine.py tests/test_writers.py tests/test_uploads.py tests/test_cache.py \
		tests/test_features.py
	$(BIN)/python -m tl_engine kill-test --kills 500

bench: bench-app bench-sessions ## every measurement, some hours
	$(BIN)/python -m bench.speed
	$(BIN)/python -m bench.overhead
	$(BIN)/python -m bench.memory
	$(BIN)/python -m bench.growth
	$(BIN)/python -m bench.allocator
	$(BIN)/python -m bench.checkpoint
	$(BIN)/python -m bench.many_curves
	$(BIN)/python -m bench.many_runs
	$(BIN)/python -m bench.verdicts
	$(BIN)/python -m bench.null

bench-app: $(VENV)/.dev chromium ## memory, page times, time to chart, Try it, classification
	$(BIN)/python -m bench.app

bench-sessions: $(VENV)/.dev ## fifty visitors at once while a run trains
	$(BIN)/python -m bench.sessions

pictures: $(VENV)/.dev chromium ## take README's screenshots anew, from the real app
	THAW_PICTURES=docs/pictures THAW_IMAGES=1000 $(BIN)/python -m pytest tests/test_browser.py -k choice

data: $(VENV)/.dev ## rebuild the shipped images from Debian's dataset-fashion-mnist
	$(BIN)/python -m tools.build_fashion_mini

clean: ## remove the virtual environment and caches; never runs/
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

chromium:
ifeq ($(CHROMIUM),)
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	else \
		echo "Chromium is missing: the browser tests will be skipped. Install it (Debian: apt install chromium) to run them."; \
	fi
endif

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV) || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null && \
		$(PYTHON) -m venv --clear $(VENV); }

$(VENV)/.app: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements.txt requirements-dev.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ $(VENV)/.app

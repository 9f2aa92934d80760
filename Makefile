# Thaw: `make help` lists what can be done.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CHROMIUM := $(shell command -v chromium 2>/dev/null || command -v chromium-browser 2>/dev/null)
# A machine of continuous integration may be changed without a question, anybody's own may not.
APT := $(if $(CI),$(shell command -v apt-get 2>/dev/null))

.DEFAULT_GOAL := help
.PHONY: help run test check format lock kill-test bench bench-app bench-sessions pictures data settings chromium clean

help: ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

run: $(INSTALLED) ## install what the app needs, then start it on http://127.0.0.1:8501
	$(BIN)/python -m tl_engine app

test: $(INSTALLED) chromium ## install what the tests need, then run the whole suite
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(INSTALLED) ## ruff, ruff format, mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED) ## let ruff tidy the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(INSTALLED) ## write requirements.lock from pyproject.toml; ARGS=--upgrade for new versions
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --quiet --output-file requirements.lock $(ARGS)

kill-test: $(INSTALLED) ## hours: the long forms of the reliability tests, and 500 kills of real training
	THAW_ATTACKS=20 $(BIN)/python -m pytest -n 2 --dist loadfile tests/test_kills.py \
		tests/test_power_cut.py tests/test_disk_full.py tests/test_corruption.py \
		tests/test_store_machine.py tests/test_writers.py tests/test_uploads.py tests/test_cache.py \
		tests/test_features.py
	$(BIN)/python -m tl_engine kill-test --kills 500

bench: bench-app bench-sessions ## every measurement, some hours
	$(BIN)/python -m bench.speed
	$(BIN)/python -m bench.run_costs
	$(BIN)/python -m bench.large_stores
	$(BIN)/python -m bench.error_rates

bench-app: $(INSTALLED) chromium ## memory, page times, time to chart, Try it, classification
	$(BIN)/python -m bench.pages_speed

bench-sessions: $(INSTALLED) ## fifty visitors at once while a run trains
	$(BIN)/python -m bench.sessions

pictures: $(INSTALLED) chromium ## take README's screenshots anew, from the real app
	THAW_PICTURES=docs/pictures THAW_IMAGES=1000 $(BIN)/python -m pytest tests/test_browser.py -k choice

data: $(INSTALLED) ## rebuild the shipped images from Debian's dataset-fashion-mnist
	$(BIN)/python -m tests.build_fashion_mini

settings: $(INSTALLED) ## write the table of docs/settings.md from the code
	sed -i '/^|/d' docs/settings.md
	$(BIN)/python -c 'from tl_engine.cli.study_options import settings_table as t; print(t())' >> docs/settings.md

clean: ## remove the virtual environment and caches; never runs/
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

chromium:
ifeq ($(CHROMIUM),)
ifneq ($(APT),)
	@echo "Chromium is missing and CI is set: apt-get install chromium"
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null
else
	@echo "Chromium is missing: what drives a browser will be skipped. To have it (Debian): apt-get install chromium"
endif
endif

$(BIN)/python:
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(if $(APT),{ \
		echo "Python's venv is missing and CI is set: apt-get install python3-venv"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null; \
		},{ echo "Python's venv is missing. Install it (Debian: apt-get install python3-venv), then try again."; exit 1; })
	$(PYTHON) -m venv --clear $(VENV)

$(INSTALLED): requirements.lock | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

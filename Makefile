# make demo   a photo's Inception v3 becomes a TensorRT engine, checked without a GPU
# make test   the tests; ARGS="--slow" adds the long ones
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-newest lint clean

$(READY): requirements/ci.txt setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/ci.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

demo: $(READY)
	$(BIN)/python samples/inception/convert.py
	$(BIN)/python samples/inception/debug_mode.py

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

# A few tests on the newest TensorRT for RTX, which sits beside the pinned one.
NEWEST := $(VENV)/newest
$(NEWEST)/.ready: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target $(NEWEST) --upgrade tensorrt-rtx-cu13
	touch $@

test-newest: $(NEWEST)/.ready
	PYTHONPATH=$(NEWEST) $(BIN)/python -m pytest tests/test_core.py tests/test_convert.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build *.egg-info

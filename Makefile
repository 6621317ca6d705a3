# make run    from nothing: install, execute every notebook, two at a time, write build/report/ and build/claims.json
# make test   from nothing: install, lint, types, every test, every notebook compared with its stored outputs
# make check  the inner loop, under two minutes: lint, types, and the tests that need no large model, browser or notebook,
#             for four families and a tenth of the property cases; ROOM=measures runs those of tests/measures
# make test-all  as make test, and all of what a commit tries a part of: notebooks with a wrong library, families of models, the
#             ten thousand random cases of patching
# make site   the pages, notebooks as stored and the API as a site: build/site/index.html
# make lab    JupyterLab on the notebooks
# make clean  remove what these made, but not the cache of converted models

PYTHON ?= python3
PIP_ARGS ?=
LAB_ARGS ?=
BIN := .venv/bin
INSTALLED := .venv/installed

# Kernels draw no progress bars, notebooks are compared at the size they are stored at, and no test may need a hub. Two
# processes of one thread each are faster than one of two: the models are small. Each loads SmolLM2 for itself (1.7 GB).
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder
TEST_ENVIRONMENT := SRT_PROFILE=quick TQDM_DISABLE=1 HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error PYTHONHASHSEED=0 \
	OMP_NUM_THREADS=1

.PHONY: run site test test-all check lint types quick-tests lab clean save-notebooks

run: $(INSTALLED)
	$(BIN)/python -m srtoolkit.report run --workers $(WORKERS)

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(INSTALLED)
	$(BIN)/mypy

quick-tests: $(INSTALLED)
	SRT_CASES=0.1 $(TEST_ENVIRONMENT) $(PYTEST) tests$(if $(ROOM),/$(ROOM)) -p no:nbval --families=llama,gpt2,opt,mamba \
		-m "not (slow or smollm2 or gemma or notebook or browser or faults)"

# The types are checked while the tests run: mypy remembers what has not changed, and is soon done.
check: lint
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target types quick-tests

test-all: EVERY := --all-notebooks --all-cases --all-families
test-all: test

test: lint types
	$(TEST_ENVIRONMENT) $(PYTEST) tests $(EVERY)
	$(TEST_ENVIRONMENT) $(PYTEST) notebooks --nbval-lax --nbval-current-env --nbval-cell-timeout=900 \
		--nbval-sanitize-with=tests/notebooks/sanitize.cfg

site: $(INSTALLED)
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -c docs -d build/site-cache . build/site
	@echo "build/site/index.html"

lab: $(INSTALLED)
	$(BIN)/jupyter lab --notebook-dir=notebooks $(LAB_ARGS)

save-notebooks: $(INSTALLED)
	$(BIN)/python -m srtoolkit.report save
	$(BIN)/python -m docs.verdicts
	$(BIN)/python -m docs.readme

clean:
	rm -rf .venv build srtoolkit.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	@echo "installing into .venv (some minutes the first time)"
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) --constraint constraints.txt --editable '.[notebooks,hub,test,site]'
	touch $@

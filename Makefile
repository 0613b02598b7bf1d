# Every target does all of its own set-up; `make help` lists them.
PYTHON ?= python3
VENV := .venv
ARGS ?= run table=9

# Tests start a hundred processes, and each would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test test-integration test-faults check secrets bench bench-search bench-cluster bench-gpu reproduce docs lock clean

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	@echo 'installing the locked packages into $(VENV): a minute or two'
	$(VENV)/bin/python -m pip install --quiet --require-hashes -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

run: $(VENV)/installed ## fill table 9 of the paper, or whatever ARGS="verb key=value ..." says
	@$(VENV)/bin/lstm-search $(ARGS)

test: $(VENV)/installed ## run the tests (8 to 15 minutes on two cores)
	$(VENV)/bin/python -m pytest --ignore=tests/integration --numprocesses=4 --dist=loadfile --no-loadscope-reorder

test-integration: $(VENV)/installed ## run the tests that start real servers on loopback (Debian: postgresql chromium chromium-driver)
	LSTM_SEARCH_INTEGRATION=1 $(VENV)/bin/python -m pytest tests/integration -rs

test-faults: $(VENV)/installed ## all of the tests of what goes wrong, of which `make test` runs a part; LSTM_SEARCH_SEED=N draws others, RENEW=1 writes the table of the docs
	LSTM_SEARCH_FAULTS=all LSTM_SEARCH_RENEW=$(RENEW) $(VENV)/bin/python -m pytest tests/faults -rs

check: $(VENV)/installed ## lint, types, import floors, the compose file, and that the lock names no host
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(VENV)/bin/compose-lint check --quiet --skip-suppressed --fail-on low docker-compose.yml
	@! grep -nE 'https?://|--(extra-)?index-url|--find-links' requirements.lock

secrets: ## make the secrets that docker-compose.yml takes, where they are not there yet
	@$(PYTHON) docker/make_secrets.py

bench: $(VENV)/installed ## time the kernel beside C programs, nets as they grow, later forms of LSTM, and how soon the program answers; PEERS=1 adds JAX and PyTorch
	PEERS=$(PEERS) $(VENV)/bin/python benchmarks/bench.py
	$(VENV)/bin/python benchmarks/complexity.py
	$(VENV)/bin/python benchmarks/variants.py
	$(VENV)/bin/python benchmarks/packs.py
	$(VENV)/bin/python benchmarks/prompt.py

bench-search: $(VENV)/installed ## trials of races, grids and proposers, and what grows with studies and clusters; PEERS=1 adds Ray Tune's overhead
	PEERS=$(PEERS) $(VENV)/bin/python benchmarks/search.py
	$(VENV)/bin/python benchmarks/proposers.py
	$(VENV)/bin/python benchmarks/scale.py

bench-cluster: $(VENV)/installed ## time one worker against two, and a study beside an MLflow server (Debian: postgresql)
	$(VENV)/bin/python benchmarks/cluster.py

bench-gpu: $(VENV)/installed ## compare a GPU's bits and speed with a core's, and race 4,096 cells on it; installs numba-cuda (and JAX, if PEERS=1)
	$(VENV)/bin/python -m pip install --quiet 'numba-cuda[cu13]>=0.30' $(if $(PEERS),'jax[cuda13]')
	$(VENV)/bin/python benchmarks/gpu.py --out benchmarks/gpu.json

reproduce: $(VENV)/installed ## train tables 1 to 9, as written and under the readings found; again to resume
	@$(VENV)/bin/python docs/reproduce.py

docs: $(VENV)/installed ## train the studies that the documentation shows, and renew its tables and figures
	$(VENV)/bin/lstm-search run table=7 rows=T100 training.rate=0.25,0.5 network.recurrent=all,cells,none \
		network.cell_bias=random,none network.output=logistic,linear search=race seed=1999 study=adding-race
	$(VENV)/bin/lstm-search run 'table=[1,3,9]' \
		'rows=[1/lstm-3x2-0.5,1/lstm-4x1-0.5,1/lstm-3x2-0.2,1/lstm-3x2-0.1,3/q50-p50,9/6a]' search=race \
		search.joint=true search.objective=published search.finalists=1 replicates=5 search.confirm=10 seed=1998 \
		'training.targets=[0.05,0.95]' network.output_bias=true network.direct=false,true network.h=bipolar,double \
		network.recurrent_to=all,gates training.error_scale=0.5,1 study=joint
	$(VENV)/bin/python docs/reproduce.py
	$(VENV)/bin/python docs/reproduce.py report
	$(VENV)/bin/python docs/readings.py
	$(VENV)/bin/python docs/readings.py report
	$(VENV)/bin/python docs/drift.py
	$(VENV)/bin/python docs/theory.py
	$(VENV)/bin/python docs/conflict.py
	$(VENV)/bin/python docs/refresh.py
	$(VENV)/bin/python docs/mlflow_page.py

lock: ## resolve the dependencies anew (takes uv)
	uv pip compile --quiet --generate-hashes --no-header --universal --python-version 3.11 --group dev \
		--extra cluster pyproject.toml -o requirements.lock

clean: ## remove the environment and what tools leave behind; studies stay
	rm -rf $(VENV) .peers .peers-search .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1 \2/p' $(MAKEFILE_LIST) | while read name text; do printf '%-17s%s\n' "$$name" "$$text"; done

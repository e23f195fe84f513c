# The set-up lives in .venv and is made once; everything else is a short call of a Python module.
PYTHON := .venv/bin/python
CATALOG := catalogs/finance.jsonl

.PHONY: demo serve test check setup export bench soak clean

demo: export  ## Set up, export the bundled encoder, publish the sample catalogue, serve, and ask a dozen queries
	$(PYTHON) -m benchmarks demo

serve: export  ## The same, and stay up
	$(PYTHON) -m server

test: export  ## Set up and pass the tests: ruff, types, pytest
	$(MAKE) check
	$(PYTHON) -m pytest

check: .venv/ready
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy .
	for adapter in model_repository/*/1/model.py server/backends/*/model.py; do $(PYTHON) -m mypy $$adapter || exit 1; done

bench: export  ## Requests/s and latency by sequence length, in under 5 minutes
	$(PYTHON) -m benchmarks sweep --quick

soak: export  ## What a server must survive, in about 10 minutes: a table, and soak.json
	$(PYTHON) -m benchmarks soak --json soak.json

setup: .venv/ready

export: index/CURRENT

.venv/ready: pyproject.toml core/pyproject.toml client/pyproject.toml server/install.sh
	sh server/install.sh

model_repository/tokenizer/1/encoder.json: .venv/ready
	test -e $@ || $(PYTHON) -m export encoder
	touch $@

index/CURRENT: model_repository/tokenizer/1/encoder.json $(CATALOG)
	$(PYTHON) -m export catalog publish $(CATALOG) --offline

clean:  ## Remove everything that was made
	rm -rf .venv index models
	rm -f model_repository/encoder/1/model.onnx model_repository/tokenizer/1/tokenizer.json
	rm -f model_repository/tokenizer/1/encoder.json

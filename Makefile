# Only names the lanes: what each does is in scripts/. `make help` lists them.

# What the lanes take, as in `make up INPUT=rtmp://... OUTPUT=rtmp://... WORKERS=3`.
export LIBAV INPUT OUTPUT WORKERS STAGE WORKER OP RING MAX_HOLD DURATION CASES MINUTES FUZZ_SECONDS FUZZ_TARGET ROUNDS SLOW_SECONDS

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

.PHONY: setup
setup: ## install what building, tests and demo need
	@scripts/setup.sh all

.PHONY: build
build: ## build the release binaries [LIBAV=1 for `puller --decoder libav`]
	@scripts/build.sh

.PHONY: python
python: ## build the Python package, and install it into .venv
	@scripts/python.sh release

.PHONY: lint
lint: ## check format, clippy, rustdoc and the scripts
	@scripts/lint.sh

.PHONY: test
test: ## set up, build, run all tests
	@scripts/test.sh

.PHONY: demo
demo: ## set up, send a real clip through an RTMP server and the stages [WORKER=program] [DURATION=10]
	@scripts/demo.sh

.PHONY: sync-report
sync-report: ## measure that sound and pictures stay together [DURATION=30] [CASES="plain slow ..."]
	@scripts/sync_report.sh

.PHONY: bench
bench: ## measure everything beside its alternatives, for docs/benchmarks.md [ROUNDS=5] [SLOW_SECONDS=600]
	@scripts/bench.sh

.PHONY: soak
soak: ## kill and stop processes at random, and account for every frame [MINUTES=10]
	@scripts/soak.sh

.PHONY: fuzz
fuzz: ## write nonsense into pipes and segments, and look for panics [FUZZ_SECONDS=30] [FUZZ_TARGET=name]
	@scripts/fuzz.sh

.PHONY: up
up: ## start the stages: INPUT=url OUTPUT=url [WORKERS=2] [OP=passthrough | WORKER=program] [RING=cam]
	@scripts/up.sh

.PHONY: status
status: ## show the stages and their rings
	@scripts/status.sh

.PHONY: scale
scale: ## have WORKERS=n workers, while frames flow
	@scripts/scale.sh

.PHONY: restart
restart: ## stop and start again STAGE=puller, worker, worker-2, pusher, while frames flow
	@scripts/restart.sh

.PHONY: down
down: ## stop the stages and remove their rings
	@scripts/down.sh

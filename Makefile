# The commands of this project; `make help` lists them.
ADDR ?= 127.0.0.1:3000
DATA ?= ./data

.PHONY: help run test test-long build dev bench screenshots lint fuzz setup
.DEFAULT_GOAL := help

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

run: build ## set up, build, and serve the demo; ADDR=127.0.0.1:3000 DATA=./data
	@exec target/release/lockstep serve --demo --addr $(ADDR) --data-dir $(DATA)

test: ## set up, then format, lints, tests, the pages in a browser
	@.ci/test.sh

test-long: setup ## the proofs at length: 20,000 seeds, 200 graphs, a death at every write, mutants
	@.ci/test-long.sh

build: setup ## the release binary, target/release/lockstep
	@.ci/build.sh

dev: setup ## serve the demo from a debug build, built anew at every change
	@.ci/dev.sh $(DATA)

bench: build ## print the figures
	@.ci/bench.sh

screenshots: build ## take pictures of every page into server/docs/pages
	@.ci/screenshots.sh

lint: setup ## format and lints only
	@.ci/lint.sh

fuzz: ## build every fuzzer and run each for 20 s; skipped, and said so, without a nightly compiler
	@.ci/fuzz.sh

setup: ## install the tools for building into the user's cache
	@.ci/setup.sh

.DEFAULT_GOAL := help
.PHONY: help build demo quick test lint fmt pytest crash-restart bench bench-full servers clean

help: ## lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## builds bin/onhand
	go build -trimpath -o bin/onhand ./cmd/onhand

demo: build ## shows it at work in a minute: events, crashes, and every record counted
	@bin/onhand demo

quick: ## what every commit should pass, within a minute
	@scripts/quick

test: ## everything, and installs what is missing first
	@scripts/test

lint: ## runs the pinned linter
	@scripts/lint

fmt: ## formats all Go files
	@scripts/lint fmt

pytest: ## runs the client's tests against real servers
	@scripts/test pytest

crash-restart: ## kills members and servers while events flow, then counts again
	@scripts/test crash-restart

bench: ## measures against the database's limit and against other services, in a quarter of an hour
	@go -C bench run .

bench-full: ## measures everything, in more than an hour, and writes docs/bench.txt, .json and .svg
	@mkdir -p docs
	@go -C bench run . --full --keep --text $(CURDIR)/docs/bench.txt --json $(CURDIR)/docs/bench.json --svg $(CURDIR)/docs/bench.svg

servers: ## starts a broker and a database for a shell of yours, until you leave it
	@scripts/with-servers $${SHELL:-bash}

clean: ## removes what was built and downloaded here
	rm -rf bin .cache .venv .pytest_cache

# Every target does its own set-up. `make` alone lists them.

GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

help: ## list the targets
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: ## run the demo on port 8080 (needs Go and nothing else)
	go run ./cmd/tillid demo

test: ## everything: unit, both engines with the race detector, command line, browser
	scripts/test all

e2e: ## only the end-to-end tests in headless Chromium
	scripts/test e2e

lint: ## golangci-lint; a reason per linter stands in .golangci.yml
	go run $(GOLANGCI) run

bench: ## the benchmarks behind docs/performance.md
	scripts/test bench

soak: ## the long ones: 1,000 rounds of kill -9 on both engines, long fuzzing
	scripts/test soak

build: ## the static binary, bin/tillid
	CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o bin/tillid ./cmd/tillid

generate: ## rewrite generated files: policy trace, JSON Schemas, golden files
	go test ./internal/ ./internal/policy ./internal/publish ./internal/lint ./internal/request -update

check: lint test ## what a change must pass

.PHONY: help demo test e2e lint bench soak build generate check
.DEFAULT_GOAL := help

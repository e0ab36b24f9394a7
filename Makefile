# Every module of the repository; nested ones are never released.
MODULES := $(patsubst %/,%,$(dir $(shell git ls-files --cached --others --exclude-standard go.mod '*/go.mod')))
export GOWORK := off
export GOFLAGS := -mod=readonly

.PHONY: help run test bench fuzz fmt

help: ## show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

run: ## start the example server on 127.0.0.1:8080 (ARGS="-basic=false" …)
	cd examples && go run ./server $(ARGS)

test: ## everything that CI checks: format, vet, staticcheck, all tests with -race
	@test -z "$$(gofmt -l .)" || { echo "not gofmt-ed:"; gofmt -l .; exit 1; }
	@for m in $(MODULES); do \
		echo "== $$m" && (cd $$m && go vet ./... && go test -race -timeout 10m ./...) || exit 1; done
	@for m in $(MODULES); do \
		echo "== staticcheck $$m" && (cd $$m && go tool -modfile=$(CURDIR)/internal/tools/go.mod staticcheck ./...) || exit 1; done

bench: ## run the benchmarks
	@for m in $(MODULES); do \
		echo "== $$m" && (cd $$m && go test -run '^$$' -bench . -benchmem ./...) || exit 1; done

# Every module of the repository; nested ones are never released. internal/tools
# only pins the tools.
MODULES := $(filter-out internal/tools, $(patsubst %/,%,$(dir $(shell git ls-files --cached --others --exclude-standard go.mod '*/go.mod'))))
export GOWORK := off
export GOFLAGS := -mod=readonly

.PHONY: help run test bench fuzz

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
	@.ci/consumer

bench: ## run the benchmarks
	@for m in $(MODULES); do \
		echo "== $$m" && (cd $$m && go test -run '^$$' -bench . -benchmem ./...) || exit 1; done

FUZZTIME ?= 10s
fuzz: ## run every fuzz target for FUZZTIME each (default 10s)
	@for m in $(MODULES); do (cd $$m && \
		go list -f '{{.Dir}} {{join .TestGoFiles " "}} {{join .XTestGoFiles " "}}' ./... | while read -r dir files; do \
			for f in $$files; do \
				for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$dir/$$f"); do \
					echo "== $$target" && (cd "$$dir" && go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) .) || exit 1; \
				done; done; done) || exit 1; done

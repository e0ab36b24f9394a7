# Every module of the repository; nested ones are never released. internal/tools
# has no packages: it pins the tools.
MODULES := $(sort $(patsubst %/go.mod,%,$(shell find . -name go.mod -not -path '*/node_modules/*')))
MODULES := $(filter-out ./internal/tools,$(MODULES))
export GOWORK := off
export GOFLAGS := -mod=readonly -buildvcs=false

# The race detector links with a C compiler. CI always has one.
RACE := $(if $(CI)$(shell command -v "$$(go env CC)"),-race)

.PHONY: help run test vulnerabilities bench fuzz

help: ## show the targets
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST)

# Built and not just run, so that signals reach the server.
run: ## start the example server on 127.0.0.1:8080 (ARGS="-basic=false" …)
	@cd examples && go build -o server/server ./server && exec server/server $(ARGS)

test: ## what CI checks, but for vulnerabilities: format, vet, staticcheck, all tests, what importers gain (TESTFLAGS=-v)
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not gofmt-ed:"; echo "$$unformatted"; exit 1; }
	@test -n "$(RACE)" || echo "no C compiler: testing without the race detector"
	@for m in $(MODULES); do \
		echo "== check $$m" && (cd $$m && go vet ./... && go tool -modfile=$(CURDIR)/internal/tools/go.mod staticcheck ./...) || exit 1; done
	@for m in $(MODULES); do \
		echo "== test $$m" && (cd $$m && go test $(RACE) -timeout 15m $(TESTFLAGS) ./...) || exit 1; done
	@.ci/consumer

vulnerabilities: ## look for known vulnerabilities in what importers build (needs jq)
	@.ci/vulnerabilities . gatewayjwt examples

bench: ## run the benchmarks
	@for m in $(MODULES); do \
		echo "== bench $$m" && (cd $$m && go test -run '^$$' -bench . -benchmem ./...) || exit 1; done

FUZZTIME ?= 10s
fuzz: ## run every fuzz target for FUZZTIME each (default 10s)
	@for m in $(MODULES); do (cd $$m && \
		go list -f '{{$$dir := .Dir}}{{range .TestGoFiles}}{{$$dir}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$$dir}}/{{.}}{{"\n"}}{{end}}' ./... | \
		while read -r file; do \
			for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file"); do \
				echo "== $$target" && (cd "$$(dirname "$$file")" && go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) .) || exit 1; \
			done; done) || exit 1; done

# Every module of the repository. internal/tools has no packages: it pins the tools.
# bench/rivals requires the API server of Kubernetes, whose compilation takes five
# minutes of a processor: only make bench builds it.
MODULES := $(sort $(patsubst %/go.mod,%,$(shell find . -name go.mod -not -path '*/node_modules/*')))
MODULES := $(filter-out ./internal/tools ./bench/rivals,$(MODULES))
# Users import these; the others are never released.
RELEASED := $(filter-out ./internal/% ./examples ./examples/% ./bench,$(MODULES))
export GOWORK := off
# A module with a workspace of its own in place of a replace directive, which
# go install refuses, is built in that workspace.
ENTER = cd $$m && { test ! -f go.work || export GOWORK=; }
export GOFLAGS := -mod=readonly -buildvcs=false

# The race detector links with a C compiler. CI always has one. It does not look
# into SQLite, which is C translated by a machine and five times as slow with it.
# That package has no instance of a generic function, of which the linker keeps one
# for all packages: no other code loses the detector.
RACE := $(if $(CI)$(shell command -v "$$(go env CC)"),-race -gcflags=modernc.org/sqlite/lib=-race=false)

# With JOBS=2 two jobs run side by side; the longest come first, so that the last ones end
# together. internal/sqltest is a third of all and waits for one thing after another: the
# tests that PART matches are a job, all others another one. BESIDE are further targets.
JOBS ?= 1
PART := ^Test(.*Contract|Fault|Insert|Lists|Exchange)
SPLIT := ./internal/sqltest
LONGEST := ./examples . $(addprefix ./,internal/clustertest cmd/ostiary internal/browsertest)
CHECKS := lint '$(SPLIT),skip=$(PART)' '$(SPLIT),run=$(PART)' $(LONGEST) consumer $(BESIDE) $(filter-out $(SPLIT) $(LONGEST),$(MODULES))

# With LAYOUT=off broken limits of the layout are printed and fail nothing, for work
# in which files move.
LAYOUT ?= on

.PHONY: help run lint api test consumer portable cover release vulnerabilities bench benchmarks fuzz

help: ## show the targets
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST)

# Built and not just run, so that signals reach the server.
run: ## start the example server on 127.0.0.1:8080 (ARGS="-basic=false" …)
	@cd examples && go build -o server/server ./server && exec server/server $(ARGS)

lint: ## check the format, go vet, staticcheck, the layout of files and that doc/api.txt is up to date
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not gofmt-ed:"; echo "$$unformatted"; exit 1; }
	@bin=$$(mktemp -d) && trap 'rm -rf "$$bin"' EXIT && go build -modfile=internal/tools/go.mod -o "$$bin" honnef.co/go/tools/cmd/staticcheck && \
	for m in $(MODULES); do \
		echo "== lint $$m" && ($(ENTER) && go vet ./... && "$$bin/staticcheck" ./...) || exit 1; done
	@go run ./internal/api $(RELEASED) | diff -u doc/api.txt - || { echo "doc/api.txt is out of date: run make api and review what it changes"; exit 1; }
	@bin=$$(mktemp -d) && trap 'rm -rf "$$bin"' EXIT && go build -o "$$bin" ./internal/layout && broken=0 && { "$$bin/layout" || broken=1; } && \
	for m in $(MODULES); do ($(ENTER) && "$$bin/layout" -q -exported 0 -circle 0 ./...) || broken=1; done && \
	test $$broken = 0 -o "$(LAYOUT)" = off

api: ## write what all packages export to doc/api.txt
	@go run ./internal/api $(RELEASED) >doc/api.txt

test: ## what CI checks, but for vulnerabilities: lint, all tests, what importers gain (TESTFLAGS=-v)
	@test -n "$(RACE)" || echo "no C compiler: testing without the race detector"
	@printf '%s\n' $(CHECKS) | \
		JOBS=$(JOBS) xargs -P $(JOBS) -I{} .ci/job {} $(RACE) -vet=off -timeout 40m $(TESTFLAGS)

consumer: ## check what importers of each released module gain
	@.ci/consumer $(RELEASED)

portable: ## vet the root module for other systems
	@for t in linux/386 windows/amd64 darwin/arm64; do echo "== vet $$t" && \
		CGO_ENABLED=0 GOOS=$${t%/*} GOARCH=$${t#*/} go vet ./... || exit 1; done

# Package sqlstore is tested where the drivers are. Tests that kill programs, trace
# them or count histories reach nothing that the others do not.
COVER_SQL := TestContract$$$$|TestFault|TestTenProcesses|TestOpen|TestPlan|TestOptions|TestSettings
cover: ## print how much of the statements the tests reach (writes cover.out)
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && mkdir "$$dir/data" && \
	for m in $(RELEASED) ./internal/sqltest; do \
		test $$m = ./internal/sqltest && only="$(COVER_SQL)" || only=.; \
		($(ENTER) && go test -coverpkg=github.com/ostiary/auth/... -run "$$only" ./... -args -test.gocoverdir="$$dir/data" >"$$dir/log" 2>&1) || { cat "$$dir/log"; exit 1; }; done; \
	go tool covdata textfmt -i="$$dir/data" -o="$$dir/all" && grep -v -e /gatewayjwt/ -e /pgbus/ -e /promauth/ -e /otelauth/ -e /grpcauth/ -e /internal/ "$$dir/all" >cover.out && \
	go tool covdata percent -i="$$dir/data" | grep -v -e /internal/ && go tool cover -func=cover.out | sed -n '$$s/\t\t*/ /gp'

release: ## make VERSION=v1.2.3 the current version in all modules, and check that importers can use it
	@.ci/release "$(VERSION)" $(RELEASED)

vulnerabilities: ## look for known vulnerabilities in what importers build (needs jq)
	@.ci/vulnerabilities $(RELEASED) examples examples/mcp

bench: ## measure beside floors and other libraries (writes doc/performance.md; ARGS="-rounds 60 -tokens 1000000 -loopback 11")
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	(cd internal/sqltest && CI= OSTIARY_PAGES="$$dir/pages" go test -run '^$$' -bench '^BenchmarkPages$$' -benchtime 5x -timeout 30m .) && \
	cd bench/rivals && go run . -pages "$$dir/pages" -o ../../doc/performance.md $(ARGS)

benchmarks: ## run the benchmarks of all modules
	@for m in $(MODULES); do \
		echo "== bench $$m" && ($(ENTER) && go test -run '^$$' -bench . -benchmem ./...) || exit 1; done

FUZZTIME ?= 10s
fuzz: ## run every fuzz target for FUZZTIME each (default 10s)
	@for m in $(MODULES); do ($(ENTER) && \
		go list -f '{{$$dir := .Dir}}{{range .TestGoFiles}}{{$$dir}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$$dir}}/{{.}}{{"\n"}}{{end}}' ./... | \
		while read -r file; do \
			for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file"); do \
				echo "== $$target" && (cd "$$(dirname "$$file")" && go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) .) || exit 1; \
			done; done) || exit 1; done

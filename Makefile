# The two commands for everyone are `make demo` and `make test`.
SHELL := /bin/bash
GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT ?= $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -buildid= -X main.version=$(VERSION) -X main.commit=$(COMMIT)
SITE := overlay/web/dist/site/watch.html
SITE_SOURCES := $(shell find overlay/web/src overlay/web/sdk overlay/web/*.html overlay/web/*.json overlay/web/*.ts -type f 2>/dev/null)

.PHONY: demo test build web check vuln unit browser bench sbom reproduce image clean deps-demo deps-test fuzz

demo: deps-demo build ## start a node, publish a test stream to it, print the page's address
	@scripts/demo.sh

test: deps-test build check vuln unit browser ## everything that a change must pass
	@echo "all tests passed"

deps-demo:
	@scripts/install.sh ffmpeg fonts-dejavu-core

deps-test:
	@scripts/install.sh ffmpeg fonts-dejavu-core chromium srt-tools gstreamer1.0-tools gstreamer1.0-plugins-base \
	  gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-rtsp \
	  nginx varnish prometheus

web: $(SITE)

overlay/web/node_modules/.installed: overlay/web/package-lock.json overlay/web/package.json
	cd overlay/web && npm ci --no-audit --no-fund
	@touch $@

$(SITE): overlay/web/node_modules/.installed $(SITE_SOURCES)
	cd overlay/web && npm run build
	@touch $@

build: web ## bin/pushcart
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/pushcart ./cmd/pushcart

check: ## formatting and static analysis
	@bad=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$bad" ]; then echo "gofmt would change:"; echo "$$bad"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

vuln: ## known vulnerabilities in what the program calls
	@scripts/vuln.sh

unit: ## unit, conformance and real-client tests, with the race detector
	$(GO) test -race -timeout 20m $$($(GO) list ./... | grep -v /internal/e2e)
	$(GO) test -race -timeout 20m ./internal/e2e # by itself: its publishers and players keep to the clock

browser: build ## the watch page in Chromium
	cd overlay/web && npm test

sbom: build ## bin/pushcart.cdx.json, what the program is made of
	$(GO) run ./internal/sbom -program bin/pushcart -npm overlay/web/package-lock.json > bin/pushcart.cdx.json

reproduce: ## builds the last commit twice, in two places, and compares
	@scripts/reproduce.sh

bench: build ## the table of end-to-end figures
	$(GO) run ./internal/bench

fuzz: ## each fuzz test for half a minute
	@scripts/fuzz.sh

image: ## both container images, with whichever tool is there
	@scripts/image.sh

clean:
	rm -rf bin overlay/web/dist/site overlay/web/dist/sdk overlay/web/node_modules

# One command per verb, the same here and in continuous integration.
#
#   make demo              the simulated clinic, until you press Ctrl-C
#   make demo ARGS=--once  one patient through every instrument; exit 0 if every value was filed
#   make demo ARGS=outage  one clinic without internet for a simulated day; both sides count the same
#   make test              installs what the tests need and runs all of them
#   make package           the gateway's Debian package into target/package (release build)
#   make check             format, lints, documentation, dependencies
#   make bench             performance, release build, prints a table
#   make screenshots     every page of a made-up practice into target/screenshots
#   make api-fuzz          the API against its own document (CHIASM_API_SEED=… repeats a run)
#   make fuzz              10,000 schedules of faults; drivers and DICOM node on random input

CARGO ?= cargo
ARGS ?=
# Schedules of faults in virtual time.
SCHEDULES ?= 10000
# Seconds for each fuzz target.
FUZZ_SECONDS ?= 60

.PHONY: demo test test-packages build package check fmt clippy doc deny bench fuzz simulation api-fuzz screenshots

demo: build
	$(CARGO) run --quiet --package chiasm-testbed --bin chiasm-demo -- $(ARGS)

# Libraries and programs at once, so that the tests find the programs beside themselves.
build:
	$(CARGO) build --workspace --locked

package:
	$(CARGO) build --workspace --locked --release
	deploy/gateway/build-package.sh target/release/chiasm-gateway target/package

test-packages:
	tests/install-packages.sh
	tests/schemathesis/install.sh
	tests/axe/install.sh
	tests/oidc-provider/install.sh
	tests/dicomweb-client/install.sh
	tests/pynetdicom/install.sh
	tests/dicom3tools/install.sh
	tests/imagecodecs/install.sh

test: test-packages build
	$(CARGO) test --workspace --locked

check: fmt clippy doc deny

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked

deny:
	$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install cargo-deny --locked
	$(CARGO) deny --all-features check

bench:
	$(CARGO) build --workspace --locked --release
	$(CARGO) bench --locked --package chiasm-drivers --bench drivers
	$(CARGO) run --quiet --release --package chiasm-testbed --bin chiasm-bench -- $(ARGS)

# ARGS=exams makes only those with this word in their name.
screenshots: build
	$(CARGO) run --quiet --package chiasm-testbed --bin chiasm-screenshots -- target/screenshots $(ARGS)

# A seed of chance unless one is given.
API_SEED = $${CHIASM_API_SEED:-$$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}

# CHIASM_SEED=42 SCHEDULES=1 runs one again.
simulation:
	CHIASM_SCHEDULES=$(SCHEDULES) $(CARGO) test --workspace --locked --test simulation -- --nocapture

api-fuzz: test-packages build
	CHIASM_API_SEED=$(API_SEED) $(CARGO) test --locked --package chiasm-testbed --test api -- --nocapture

fuzz: simulation
	$(CARGO) fuzz --version >/dev/null 2>&1 || $(CARGO) install cargo-fuzz --locked
	sh device-drivers/fuzz/seed.sh
	for folder in device-drivers gateway; do (cd $$folder && \
	  for target in $$($(CARGO) +nightly fuzz list); do \
	    $(CARGO) +nightly fuzz run $$target -- -max_len=16384 -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 || exit 1; \
	  done) || exit 1; done

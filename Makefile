# `make check test` is what a change must pass. .ci/run does both on a bare machine.
.PHONY: check test bench sim replay clients

# Format and lints, warnings denied.
check:
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings

# Everything, with a throwaway Postgres (or the one of DATABASE_URL).
test:
	cargo test --locked

# Release build; prints figures beside floors measured in the same run.
bench:
	cargo bench --locked --bench bench

# More seeds than `make test`: make sim SEEDS=10000
SEEDS ?= 1000
sim:
	TIDEGATE_SEEDS=$(SEEDS) cargo test --locked --test main -- simulation crash

# One seed, one crash point, full trace: make replay SEED=4711 CRASH=17:after
replay:
	@test -n "$(SEED)" || { echo "which seed? make replay SEED=4711 CRASH=17:after" >&2; exit 2; }
	TIDEGATE_SEED=$(SEED) TIDEGATE_CRASH=$(CRASH) cargo test --locked --test main -- --nocapture --test-threads 1 simulation crash

# Chargebee's own clients and the Singer tap read the simulator, and must see what our lake holds. Needs node, and
# network once: make clients, or one situation: make clients SITUATION="catalog v1". TIDEGATE=binary saves the build.
clients:
	python3 tests/clients/run.py $(if $(SITUATION),"$(SITUATION)")

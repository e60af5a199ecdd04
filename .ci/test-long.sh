#!/usr/bin/env bash
# The proofs at length: what the tests do in seconds, forty times as often. Each prints its figure, and
# how long it took.
source "$(dirname "$0")/env.sh"
cd "$ROOT"

CARGO_MUTANTS=25.3.1

took() { printf '%s: %d min %02d s\n' "$1" $((($SECONDS - $2) / 60)) $((($SECONDS - $2) % 60)); }
part() {
    say "$1"
    local began=$SECONDS
    "${@:2}"
    took "$1" "$began"
}

part "20,000 seeds, and every fault at every pair of nodes of 200 graphs" \
    env LOCKSTEP_SEEDS=20000 LOCKSTEP_GRAPHS=200 \
    cargo test --release -p lockstep-engine --test proof -- --nocapture --test-threads 2
part "the order of undoing beside steno, on 5,000 graphs" \
    env LOCKSTEP_UNDO_GRAPHS=5000 cargo test --release -p lockstep-proof --test undo -- --nocapture
part "a death before and after every write of five plans, in one process and by kill -9; 100 interrupted rollbacks" \
    env LOCKSTEP_POINTS=all LOCKSTEP_ROLLBACKS=100 \
    cargo test --release -p lockstep-proof --test death --test kill -- --nocapture
# These wait more than they compute: a release would take longer to build than they run.
part "a coordinator that is stopped for three lease times and continued, 200 times" \
    env LOCKSTEP_TRIALS=200 cargo test -p lockstep-coordinator --test fencing -- --nocapture one_that_was_stopped
part "the whole program: a second server refused 200 times, kill -9 at every write, 100 interrupted rollbacks" \
    env LOCKSTEP_TRIALS=200 LOCKSTEP_POINTS=all LOCKSTEP_ROLLBACKS=100 \
    cargo test -p server --test server -- --nocapture --test-threads 1 fencing::a_second_server deaths:: rollbacks::

if ! "$TOOLS/bin/cargo-mutants" mutants --version 2>/dev/null | grep -qF "$CARGO_MUTANTS"; then
    say "compiling cargo-mutants $CARGO_MUTANTS, once (about 2 minutes on 2 cores)"
    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 \
        CARGO_TARGET_DIR="$TOOLS/build" cargo install cargo-mutants --version "$CARGO_MUTANTS" --locked --root "$TOOLS"
    rm -rf "$TOOLS/build"
fi
part "each guard of the transition functions changed in turn, and a test that notices (.cargo/mutants.toml)" \
    env LOCKSTEP_SEEDS=500 LOCKSTEP_GRAPHS=4 cargo mutants --output target --colors never
took "all proofs" 0

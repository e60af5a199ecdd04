#!/usr/bin/env bash
# Serves the demo from a debug build and builds it anew at every change. It has a target folder of its
# own: cargo-leptos builds with other flags, and would have the tests and the release built again.
source "$(dirname "$0")/env.sh"
cd "$ROOT"
export CARGO_TARGET_DIR="$ROOT/target/dev" LEPTOS_SITE_ROOT="target/dev/site"
exec cargo leptos watch --split -- serve --demo --data-dir "${1:-./data}"

#!/usr/bin/env bash
# Prints the figures. Peers and the load generator come from the distribution; what is missing and
# cannot be installed is said, and its figure left out.
source "$(dirname "$0")/env.sh"
cd "$ROOT"
missing=()
for pair in ninja:ninja-build haproxy:haproxy wrk:wrk; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "installing ${missing[*]} from the distribution"
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null || true
    else
        say "figures beside ${missing[*]} are left out; install them with apt-get"
    fi
fi
cargo build --release --quiet -p lockstep-bench
.ci/sizes.sh
node .ci/bench.mjs "$@"

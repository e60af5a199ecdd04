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
if [ $# -eq 0 ] || [[ " $* " == *" pages "* ]]; then
    (cd end2end && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm install --no-package-lock --no-audit --no-fund --loglevel=error)
    CHROMIUM=$(.ci/chromium.sh)
    if [ ! -x "$TOOLS/lighthouse/node_modules/.bin/lighthouse" ]; then
        say "installing Lighthouse"
        npm install --prefix "$TOOLS/lighthouse" --no-audit --no-fund --loglevel=error lighthouse@12.8.2 || true
    fi
    LIGHTHOUSE=$(command -v "$TOOLS/lighthouse/node_modules/.bin/lighthouse" || true)
    export CHROMIUM LIGHTHOUSE
    node .ci/bench-pages.mjs
fi

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
# Another engine that goes on after a crash, beside which ours is measured.
DBOS=3.4.0
export DBOS_PYTHON="$TOOLS/dbos/bin/python"
if ! "$DBOS_PYTHON" -c "import importlib.metadata as m; assert m.version('dbos') == '$DBOS'" 2>/dev/null; then
    say "installing dbos $DBOS into the tools"
    { python3 -m venv --clear "$TOOLS/dbos" && "$DBOS_PYTHON" -m pip install --quiet "dbos==$DBOS"; } >/dev/null 2>&1 || {
        rm -rf "$TOOLS/dbos"
        say "the figure beside dbos is left out: Python's venv or PyPI could not be had"
    }
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

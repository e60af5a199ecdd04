#!/usr/bin/env bash
# Prints the path of a Chromium: one that is there, else one from the distribution, else Playwright's.
source "$(dirname "$0")/env.sh"

for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
    if [ -n "$name" ] && path=$(command -v "$name" 2>/dev/null); then
        echo "$path"
        exit 0
    fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    say "installing Chromium from the distribution" >&2
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } >&2 || true
    if path=$(command -v chromium 2>/dev/null); then
        echo "$path"
        exit 0
    fi
fi
cd "$ROOT/end2end"
if npx playwright install chromium >&2; then
    node -e 'console.log(require("@playwright/test").chromium.executablePath())'
    exit 0
fi
die "no Chromium was found and none could be installed; install one, or set CHROMIUM=/path/to/chromium"

#!/usr/bin/env bash
# Takes pictures of every page for the documentation.
source "$(dirname "$0")/env.sh"
cd "$ROOT/end2end"
PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm install --no-package-lock --no-audit --no-fund --loglevel=error
CHROMIUM=$("$ROOT/.ci/chromium.sh")
export CHROMIUM SCREENSHOTS="$ROOT/server/docs/pages"
mkdir -p "$SCREENSHOTS"
rm -f "$SCREENSHOTS"/*.png
npx playwright test tests/pages.spec.js -g "all pages at (1280 px, light|1280 px, dark|360 px, light)"

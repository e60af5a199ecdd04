#!/usr/bin/env bash
# Everything that is checked before a change lands.
source "$(dirname "$0")/env.sh"
cd "$ROOT"
.ci/setup.sh
.ci/lint.sh
say "tests"
if command -v cargo-nextest >/dev/null 2>&1; then
    cargo nextest run --workspace --exclude frontend --no-fail-fast
else
    cargo test --workspace --exclude frontend --no-fail-fast
fi
cargo test --workspace --exclude frontend --doc --quiet
.ci/build.sh
.ci/sizes.sh
say "the API against its own description"
.ci/schemathesis.sh
say "the pages in Chromium"
(cd end2end && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm install --no-package-lock --no-audit --no-fund --loglevel=error)
CHROMIUM=$(.ci/chromium.sh)
export CHROMIUM
(cd end2end && npx playwright test)
say "all passed"

#!/usr/bin/env bash
# Dependencies: licences, bans, sources and known vulnerabilities, as deny.toml says. The list of
# vulnerabilities comes over the network; where that cannot be reached it is said and left out.
source "$(dirname "$0")/env.sh"
cd "$ROOT"
say "dependencies: licences, bans, sources"
cargo deny --log-level error check licenses bans sources
say "dependencies: known vulnerabilities"
db=https://github.com/rustsec/advisory-db
if timeout 30 git ls-remote --exit-code "$db" HEAD >/dev/null 2>&1; then
    cargo deny --log-level error check advisories
else
    printf 'SKIPPED: %s cannot be reached from here, so nobody looked for known vulnerabilities\n' "$db"
fi

#!/usr/bin/env bash
# Makes sure that the program is there: the runner's own, or one that is downloaded and whose digest is
# right. A download without a digest is refused.
set -euo pipefail
if [ -z "${LOCKSTEP_DOWNLOAD:-}" ]; then
    command -v "${LOCKSTEP_PROGRAM:-lockstep}" >/dev/null && exit 0
    echo "::error title=Lockstep::the program '${LOCKSTEP_PROGRAM:-lockstep}' is not on this runner; install it, or say where it is with the inputs download and sha256"
    exit 2
fi
case "${LOCKSTEP_SHA256:-}" in
    ????????????????????????????????????????????????????????????????) ;;
    *)
        echo "::error title=Lockstep::a download needs its sha256, 64 hexadecimal digits"
        exit 2
        ;;
esac
# Also where it is led on to; a file of the runner's own is no download.
protocols='=https'
case "$LOCKSTEP_DOWNLOAD" in file://*) protocols='=file' ;; esac
dir=$(mktemp -d "${RUNNER_TEMP:-/tmp}/lockstep.XXXXXX")
curl --proto "$protocols" --fail --silent --show-error --location --retry 3 --max-time 300 --output "$dir/lockstep" "$LOCKSTEP_DOWNLOAD"
if ! printf '%s  %s\n' "$LOCKSTEP_SHA256" "$dir/lockstep" | sha256sum --check --status; then
    echo "::error title=Lockstep::what was downloaded is not what was expected: its sha256 is $(sha256sum "$dir/lockstep" | cut -d' ' -f1)"
    exit 2
fi
chmod 0755 "$dir/lockstep"
printf '%s\n' "$dir" >>"${GITHUB_PATH:-/dev/null}"

#!/usr/bin/env bash
# Looks at what serves in an environment and fails when a service is not well; the report is written
# whatever comes of it.
set -euo pipefail
LOCKSTEP=${LOCKSTEP_PROGRAM:-lockstep}
SUMMARY=${GITHUB_STEP_SUMMARY:-/dev/null}
refuse() {
    printf '::error title=Lockstep refused::%s\n' "$(tr '\n' ' ' <<<"$1" | sed 's/%/%25/g; s/ *$//')"
    exit "${2:-2}"
}
source "$(dirname "${BASH_SOURCE[0]}")/token.sh"
fresh_token
arguments=(--env "$LOCKSTEP_ENVIRONMENT" --for "${MONITORING_MINUTES:-5}m" --threshold "${ALERT_THRESHOLD:-3}" --report "$REPORT")
[ -z "${LOCKSTEP_PROJECT:-}" ] || arguments+=(--project "$LOCKSTEP_PROJECT")
# It looks for longer than such a token lasts, and asks for another one by itself.
[ -n "$stored" ] || arguments+=(--exchange "${LOCKSTEP_AUDIENCE:-}")
said=$(mktemp)
trap 'rm -f "$said"' EXIT
code=0
"$LOCKSTEP" health "${arguments[@]}" 2>&1 | tee "$said" || code=${PIPESTATUS[0]}
{
    printf '### Health of %s\n\n' "$LOCKSTEP_ENVIRONMENT"
    sed 's/^/    /' "$said"
} >>"$SUMMARY"
if [ "$code" != 0 ]; then
    printf '::error title=Health of %s::%s\n' "$LOCKSTEP_ENVIRONMENT" "$(tail -1 "$said" | sed 's/%/%25/g')"
fi
exit "$code"

#!/usr/bin/env bash
# Looks at what serves in an environment and fails when a service is not well; the report is written
# whatever comes of it.
set -euo pipefail
LOCKSTEP=${LOCKSTEP_PROGRAM:-lockstep}
SUMMARY=${GITHUB_STEP_SUMMARY:-/dev/null}
said=$(mktemp)
trap 'rm -f "$said"' EXIT
code=0
"$LOCKSTEP" health --env "$LOCKSTEP_ENVIRONMENT" --for "${MONITORING_MINUTES:-5}m" \
    --threshold "${ALERT_THRESHOLD:-3}" --report "$REPORT" 2>&1 | tee "$said" || code=${PIPESTATUS[0]}
{
    printf '### Health of %s\n\n' "$LOCKSTEP_ENVIRONMENT"
    sed 's/^/    /' "$said"
} >>"$SUMMARY"
if [ "$code" != 0 ]; then
    printf '::error title=Health of %s::%s\n' "$LOCKSTEP_ENVIRONMENT" "$(tail -1 "$said" | sed 's/%/%25/g')"
fi
exit "$code"

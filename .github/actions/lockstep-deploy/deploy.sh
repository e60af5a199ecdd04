#!/usr/bin/env bash
# Deploys through Lockstep and fails with its verdict. Reads its inputs from LOCKSTEP_… variables, never
# from the text of the workflow, so nothing that somebody types becomes a command. Runs anywhere: outputs
# and summary go to where GitHub says, or nowhere.
set -euo pipefail

LOCKSTEP=${LOCKSTEP_PROGRAM:-lockstep}
OUTPUT=${GITHUB_OUTPUT:-/dev/null}
SUMMARY=${GITHUB_STEP_SUMMARY:-/dev/null}
REFUSED=2

# One line, as GitHub's commands want it.
told() { tr '\n' ' ' <<<"$1" | sed 's/%/%25/g; s/ *$//'; }
refuse() {
    printf '::error title=Lockstep refused::%s\n' "$(told "$1")"
    printf 'verdict=refused\n' >>"$OUTPUT"
    printf '### Lockstep: refused\n\n%s\n' "$1" >>"$SUMMARY"
    exit "${2:-$REFUSED}"
}

skip=()
case "${LOCKSTEP_SKIP_VERIFICATION:-false}" in
    false | '') ;;
    # It takes a right of its own: the server refuses it where the manifest does not give that.
    true) skip=(--skip-verification) ;;
    *) refuse "skip_verification is '$LOCKSTEP_SKIP_VERIFICATION'; use true or false" ;;
esac
case "${LOCKSTEP_STRATEGY:-coordinated}" in
    coordinated) order=dependencies ;;
    parallel | sequential) order=$LOCKSTEP_STRATEGY ;;
    *) refuse "strategy is '$LOCKSTEP_STRATEGY'; use coordinated, parallel or sequential" ;;
esac
[ -n "${LOCKSTEP_ENVIRONMENT:-}" ] || refuse "name the environment, as staging"

source "$(dirname "${BASH_SOURCE[0]}")/token.sh"
seconds() {
    case "$1" in
        *h) echo $((${1%h} * 3600)) ;;
        *m) echo $((${1%m} * 60)) ;;
        *d) echo $((${1%d} * 86400)) ;;
        *) echo "${1%s}" ;;
    esac
}
watch() {
    if [ -n "$stored" ]; then
        "$LOCKSTEP" watch "$1" --timeout "$2"
        return
    fi
    local code=5 left end
    end=$((SECONDS + $(seconds "$2")))
    while [ "$code" = 5 ] && [ "$SECONDS" -lt "$end" ]; do
        fresh_token
        left=$((end - SECONDS))
        [ "$left" -lt $((lasts * 2 / 3)) ] || left=$((lasts * 2 / 3))
        code=0
        "$LOCKSTEP" watch "$1" --timeout "${left}s" || code=$?
    done
    return "$code"
}
fresh_token

arguments=(--env "$LOCKSTEP_ENVIRONMENT" --order "$order" --json "${skip[@]}")
[ -z "${LOCKSTEP_PROJECT:-}" ] || arguments+=(--project "$LOCKSTEP_PROJECT")
[ -z "${LOCKSTEP_REASON:-}" ] || arguments+=(--reason "$LOCKSTEP_REASON")
# The same attempt of a run deploys once, also when its answer got lost and the step is carried out again.
[ -z "${GITHUB_RUN_ID:-}" ] ||
    arguments+=(--idempotency-key "github-$GITHUB_RUN_ID-${GITHUB_RUN_ATTEMPT:-1}-${GITHUB_JOB:-job}-${GITHUB_ACTION:-step}")
plain=()
IFS=', ' read -r -a services <<<"$(tr '\n' ' ' <<<"${LOCKSTEP_SERVICES:-}")"
for service in "${services[@]}"; do
    case "$service" in
        '') ;;
        -*) refuse "'$service' is no service; write backend or backend=1.4.0" ;;
        *=*) arguments+=(--set "$service") ;;
        *) plain+=("$service") ;;
    esac
done

said=$(mktemp)
trap 'rm -f "$said" "$said.errors"' EXIT
code=0
"$LOCKSTEP" deploy "${arguments[@]}" -- "${plain[@]}" >"$said" 2>"$said.errors" || code=$?
if [ "$code" != 0 ]; then
    message=$(sed "s/\\\\\"/'/g" "$said.errors" | sed -n 's/.*"message":"\([^"]*\)".*/\1/p' | head -1)
    refuse "${message:-$(cat "$said.errors")}" "$code"
fi
# The document of a deployment is written with two spaces an indent: these are its own fields.
id=$(sed -n 's/^  "id": \([0-9]*\),*$/\1/p' "$said" | head -1)
[ -n "$id" ] || refuse "Lockstep did not say which deployment it began: $(cat "$said")" 1
printf 'deployment-id=%s\n' "$id" >>"$OUTPUT"
[ -z "${LOCKSTEP_URL:-}" ] || printf 'deployment-url=%s/deployments/%s\n' "${LOCKSTEP_URL%/}" "$id" >>"$OUTPUT"

code=0
watch "$id" "${LOCKSTEP_TIMEOUT:-1h}" || code=$?
status=$("$LOCKSTEP" status "$id" 2>&1) || true
case "$code" in
    0) verdict=succeeded ;;
    3) verdict=needs-operator ;;
    4) verdict=unreachable ;;
    5) verdict=waited-too-long ;;
    *) verdict=not-succeeded ;;
esac
printf 'verdict=%s\n' "$verdict" >>"$OUTPUT"
{
    printf '### Deployment %s to %s: %s\n\n' "$id" "$LOCKSTEP_ENVIRONMENT" "$verdict"
    [ -z "${LOCKSTEP_URL:-}" ] || printf '%s/deployments/%s\n\n' "${LOCKSTEP_URL%/}" "$id"
    # Four spaces: whatever was printed is shown and never read as markup.
    printf '%s\n' "$status" | sed 's/^/    /'
} >>"$SUMMARY"
if [ "$code" != 0 ]; then
    why=$(printf '%s\n' "$status" | sed -n 's/^did not go on: //p; s/^an operator is needed: //p; s/^it waits: //p' | head -1)
    printf '::error title=Deployment %s (%s)::%s\n' "$id" "$verdict" "$(told "${why:-$(head -1 <<<"$status")}")"
fi
exit "$code"

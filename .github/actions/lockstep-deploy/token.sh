# shellcheck shell=bash
# Sourced by the others. Without a stored token the job shows who it is, and gets one for some minutes; again
# when those are over. Needs `refuse`.
stored=${LOCKSTEP_TOKEN:-}
lasts=0
fresh_token() {
    [ -z "$stored" ] || return 0
    local issued audience=()
    [ -z "${LOCKSTEP_AUDIENCE:-}" ] || audience=(--audience "$LOCKSTEP_AUDIENCE")
    unset LOCKSTEP_TOKEN
    issued=$("$LOCKSTEP" token exchange "${audience[@]}" --json 2>&1) || refuse "no token is given, and this job gets none: $issued"
    LOCKSTEP_TOKEN=$(sed -n 's/.*"access_token": "\([^"]*\)".*/\1/p' <<<"$issued")
    lasts=$(sed -n 's/.*"expires_in": \([0-9]*\).*/\1/p' <<<"$issued")
    export LOCKSTEP_TOKEN
    printf '::add-mask::%s\n' "$LOCKSTEP_TOKEN"
}

#!/usr/bin/env bash
# Sends what the API's own description allows, and what it does not, to a server: no answer may be a fault of the
# server's, have a status that is not described, or another shape. With an admin's token; then what only people do
# (roles, tokens, secrets, approvals) with that of commands on the server's own machine, since a token of a program is
# refused there whatever it sends; then everything once more as a viewer, who is refused most of it.
source "$(dirname "$0")/env.sh"
cd "$ROOT"
SCHEMATHESIS=4.32.5
LOCKSTEP=${LOCKSTEP:-$ROOT/target/release/lockstep}
EXAMPLES=${EXAMPLES:-12}
python=$TOOLS/schemathesis/bin/python
if [ "$(id -u)" = 0 ] && ! python3 -c 'import ensurepip, venv' 2>/dev/null && command -v apt-get >/dev/null 2>&1; then
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv; } >/dev/null || true
fi
if ! "$python" -c "import importlib.metadata as m; assert m.version('schemathesis') == '$SCHEMATHESIS'" 2>/dev/null; then
    say "installing schemathesis $SCHEMATHESIS into the tools"
    { python3 -m venv --clear "$TOOLS/schemathesis" && "$python" -m pip install --quiet "schemathesis==$SCHEMATHESIS"; } >/dev/null 2>&1 ||
        { rm -rf "$TOOLS/schemathesis"; die "schemathesis could not be installed; it needs python3 with venv, and PyPI"; }
fi
folder=$(mktemp -d)
data=$folder/data
end() {
    "$LOCKSTEP" stop --all --data-dir "$data" >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap end EXIT
"$LOCKSTEP" serve --addr 127.0.0.1:0 --data-dir "$data" >"$folder/server.log" 2>&1 &
for _ in $(seq 300); do
    [ -s "$data/local.json" ] && "$LOCKSTEP" status --data-dir "$data" >/dev/null 2>&1 && break
    sleep 0.1
done
url=$(node -p 'JSON.parse(require("fs").readFileSync(process.argv[1])).url' "$data/local.json")
printf 'version: 1\nproject: shop\ndefault_environment: staging\nenvironments: {staging: {}, production: {}}\nwatch: 0s\nservices:\n  web: {version: "1", target: {type: command, deploy: ["true"]}}\n' >"$folder/lockstep.yaml"
"$LOCKSTEP" apply "$folder/lockstep.yaml" --data-dir "$data" >/dev/null
"$LOCKSTEP" deploy --accept-no-rollback --wait --data-dir "$data" >/dev/null
token=$("$LOCKSTEP" token add schemathesis --role admin --json --data-dir "$data" | node -p 'JSON.parse(require("fs").readFileSync(0)).secret')
viewer=$("$LOCKSTEP" token add viewer --role viewer --json --data-dir "$data" | node -p 'JSON.parse(require("fs").readFileSync(0)).secret')
local=$(node -p 'JSON.parse(require("fs").readFileSync(process.argv[1])).token' "$data/local.json")
# The list that the server itself goes by.
mapfile -t step_up < <(sed -n '/^pub const STEP_UP/,/^];/s/^ *"\(.*\)",$/\1/p' app/crates/model/src/api.rs)
[ "${#step_up[@]}" -gt 0 ] || die "no endpoint is for people alone: the list in model::api cannot be read"
only=() but=()
for path in "${step_up[@]}"; do
    # It would close the server to the rest.
    [ "$path" != /lockdown/begin ] || continue
    only+=(--include-path "/api/v1$path")
    but+=(--exclude-path "/api/v1$path")
done
# keeps WHO TOKEN EXAMPLES ARGUMENT…
keeps() {
    say "the API as $1"
    "$TOOLS/schemathesis/bin/schemathesis" run "$url/api/openapi.json" --header "Authorization: Bearer $2" \
        --phases examples,coverage,fuzzing --max-examples "$3" --seed "${SEED:-1}" --workers 2 --request-timeout 60 \
        --suppress-health-check all --warnings off --continue-on-failure --no-color \
        --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance,unsupported_method,ignored_auth \
        "${@:4}" || die "the API did not keep its description as $1; what it answered stands above"
}
keeps "an admin's token" "$token" "$EXAMPLES" --exclude-path /api/v1/lockdown/begin "${but[@]}" "$@"
keeps "the machine's owner" "$local" "$EXAMPLES" "${only[@]}" "$@"
keeps "a viewer's token" "$viewer" "$(((EXAMPLES + 3) / 4))" --exclude-path /api/v1/lockdown/begin "$@"
if grep -q panicked "$folder/server.log"; then
    cat "$folder/server.log"
    die "the server made a fault"
fi

//! The JSON Schema of a manifest, for editors: completion, descriptions and refusals while typing.
//! `parse` is stricter: names, circles and templates are looked at there.

use crate::service::STEP_KINDS;
use serde_json::{Map, Value, json};

/// The schema, draft 2020-12.
pub fn schema() -> Value {
    let environment_name = json!({"pattern": NAME});
    let service = service();
    let overrides = keys(overridable());
    let mut service_keys = service;
    service_keys.insert(
        "environments".to_owned(),
        json!({"description": "Overrides per environment; mappings are merged key by key.", "type": "object",
               "propertyNames": environment_name.clone(), "additionalProperties": overrides}),
    );
    let mut environment = whole("An environment");
    environment.insert("promotion".to_owned(), promotion());
    environment.insert("approvals".to_owned(), approvals());
    let skips = trusted("Who may deploy here with skip_verification; nobody by default, admins included.");
    environment.insert("skip_verification".to_owned(), skips);
    let environment = keys(environment);
    let mut root = whole("The manifest");
    root.extend([
        entry("version", json!({"const": 1, "description": "Version of this format."})),
        entry("project", json!({"type": "string", "pattern": NAME, "description": "Name of the project."})),
        entry("default_environment", json!({"type": "string", "pattern": NAME, "description": "Where `deploy` goes without --env."})),
        entry("watch", duration("How long each service is watched after it took over; default 30s.")),
        entry("environments", json!({"type": "object", "minProperties": 1, "propertyNames": environment_name,
            "description": "The environments.", "additionalProperties": {"anyOf": [environment, {"type": "null"}]}})),
        entry("services", json!({"type": "object", "minProperties": 1, "maxProperties": 10_000,
            "propertyNames": {"pattern": NAME_OR_X}, "description": "The services.", "additionalProperties": keys(service_keys)})),
    ]);
    let mut schema = keys(root);
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        fields.insert("title".to_owned(), json!("Lockstep manifest"));
        fields.insert("required".to_owned(), json!(["version", "project", "environments", "services"]));
    }
    schema
}

const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$";
const NAME_OR_X: &str = "^(x-.*|[A-Za-z0-9][A-Za-z0-9_-]{0,62})$";
const DURATION: &str = "^([0-9]+(ms|s|m|h|d))+$";

fn entry(key: &str, value: Value) -> (String, Value) {
    (key.to_owned(), value)
}

/// A mapping of these keys, `x-…` keys, and nothing else.
fn keys(properties: Map<String, Value>) -> Value {
    json!({"type": "object", "properties": properties, "patternProperties": {"^x-": {}}, "additionalProperties": false})
}

fn map(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Map<String, Value> {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn duration(description: &str) -> Value {
    json!({"type": "string", "pattern": DURATION, "description": format!("{description} A duration such as 500ms, 3s, 1m30s, 2h.")})
}

fn text(description: &str) -> Value {
    json!({"type": "string", "minLength": 1, "description": description})
}

fn arguments(description: &str) -> Value {
    json!({"type": "array", "minItems": 1, "maxItems": 256, "items": {"type": ["string", "number", "boolean"]}, "description": description})
}

fn variables() -> Value {
    json!({"type": "object", "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
           "additionalProperties": {"type": ["string", "number", "boolean"]},
           "description": "Environment variables beside PATH, HOME, LANG, TZ, TMPDIR and USER."})
}

fn secrets() -> Value {
    let mut source = keys(map([
        (
            "secret",
            json!({"type": "string", "pattern": NAME, "description": "A secret of the environment, set with `lockstep secret set`."}),
        ),
        ("env", text("A variable of the server's own environment.")),
        ("file", text("An absolute path on the server's machine.")),
        ("command", arguments("What this prints on the server's machine.")),
    ]));
    source["minProperties"] = json!(1);
    source["maxProperties"] = json!(1);
    json!({"type": "object", "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}, "maxProperties": 64,
           "additionalProperties": source,
           "description": "Environment variables whose values are secret: where each comes from."})
}

fn window() -> Value {
    let mut window = keys(map([
        ("name", text("What people call it.")),
        ("cron_start", text("When it opens: minute, hour, day, month, weekday, as '0 18 * * 5'.")),
        ("duration", duration("How long it stays open, to 90d.")),
        ("timezone", text("The zone of the pattern, as Europe/Berlin; default UTC.")),
        (
            "allow",
            json!({"type": "array", "items": {"enum": ["rollback"]}, "description": "What is possible all the same; taking back always is."}),
        ),
    ]));
    window["required"] = json!(["name", "cron_start", "duration"]);
    window
}

fn promotion() -> Value {
    let mut promotion = keys(map([
        (
            "from",
            json!({"type": "string", "pattern": NAME, "description": "The environment in which a version must have served."}),
        ),
        ("soak", duration("How long it must have served there before it may come here.")),
    ]));
    promotion["required"] = json!(["from", "soak"]);
    promotion["description"] = json!("What `promote` brings here: versions that have soaked elsewhere.");
    promotion
}

fn approvals() -> Value {
    let mut approvals = keys(map([
        (
            "count",
            json!({"type": "integer", "minimum": 1, "maximum": 20, "description": "So many people other than whoever asked for the release."}),
        ),
        ("by", trusted("Whose word counts; default role operator.")),
        ("timeout", duration("Then a release that was not approved ends; default 6h, to 30d.")),
    ]));
    approvals["required"] = json!(["count"]);
    approvals["description"] =
        json!("Who has to say so before a release begins here; what serves can always be taken back.");
    approvals
}

fn trusted(description: &str) -> Value {
    let mut trusted = keys(map([
        (
            "role",
            json!({"enum": ["viewer", "operator", "deployer", "admin"], "description": "Everybody who is at least this there."}),
        ),
        (
            "names",
            json!({"type": "array", "items": {"type": "string"}, "description": "These people, as they sign in."}),
        ),
    ]));
    trusted["description"] = json!(description);
    trusted
}

fn whole(of: &str) -> Map<String, Value> {
    map([
        (
            "degraded",
            json!({"enum": ["pass", "warn", "block"], "description": format!("{of}: what a degraded service means at a gate; default warn, in production block.")}),
        ),
        ("on_unknown", on_unknown()),
        (
            "queue",
            json!({"enum": ["fifo", "supersede", "reject"], "description": "What happens to a second deployment while one is live; default fifo."}),
        ),
        (
            "max_parallel",
            json!({"type": "integer", "minimum": 1, "maximum": 256, "description": "Services in work at a time; default 8."}),
        ),
        (
            "timeouts",
            keys(map([
                ("deployment", duration("The whole deployment; default 15m.")),
                ("step", duration("One attempt of a step; default 5m.")),
                ("service", duration("A service, from its first change to its last step; default none.")),
                ("rollback", duration("Taking back; default 2m.")),
            ])),
        ),
        (
            "freeze",
            json!({"type": "array", "description": "When nobody deploys; what serves can always be taken back.", "items": window()}),
        ),
        ("rollback", rollback(true)),
    ])
}

fn rollback(with_required: bool) -> Value {
    let mut properties = map([
        (
            "auto",
            json!({"type": "boolean", "description": "Whether a failure takes back by itself; default true."}),
        ),
        (
            "scope",
            json!({"enum": ["release", "tied"], "description": "release: all that the release changed; tied: the failed service, `with`, and what is downstream."}),
        ),
        (
            "with",
            json!({"type": "array", "items": {"type": "string", "pattern": NAME}, "description": "With scope tied: services that go back beside it."}),
        ),
        (
            "compatible_with_previous",
            json!({"type": "boolean", "description": "The old version works with new neighbours, so order does not matter."}),
        ),
        (
            "hold_version",
            json!({"type": "boolean", "description": "Whether the version whose failure took a release back is held until somebody releases it; default true."}),
        ),
        ("max_duration", duration("Before an operator is asked; default 2m.")),
        (
            "guard",
            duration(
                "So long after a release, a process that used its restart budget up takes it back; later an operator is asked; default 10m.",
            ),
        ),
    ]);
    if with_required {
        properties.extend(map([("required", json!({"type": "boolean", "description": "Refuse what cannot be taken back; default true in production."}))]));
    }
    keys(properties)
}

fn overridable() -> Map<String, Value> {
    map([
        ("target", target()),
        (
            "artifact",
            keys(map([(
                "path",
                text("File or folder on the agent's host; relative to workdir. ${VERSION} may stand in it."),
            )])),
        ),
        ("version", text("The version when the request names none; in quotes.")),
        (
            "healthcheck",
            keys(map([
                ("live", text("Path that tells whether it lives.")),
                ("ready", text("Path that tells whether it can serve.")),
                ("detail", text("Path that tells more; degraded is read from it.")),
                ("interval", duration("Between two probes; default 5s.")),
                ("timeout", duration("For an answer; default 3s.")),
                (
                    "retries",
                    json!({"type": "integer", "minimum": 1, "maximum": 100, "description": "Probes that must fail in a row; default 3."}),
                ),
                ("start_period", duration("To get ready; default 60s.")),
            ])),
        ),
        (
            "verify",
            json!({"type": "array", "items": check(), "description": "Checks that must pass before it gets traffic."}),
        ),
        ("strategy", strategy()),
        ("watch", duration("Watched after it took over; 0s = not at all.")),
        (
            "timeouts",
            keys(map([
                ("step", duration("One attempt of a step.")),
                ("service", duration("The service, from its first change to its last step.")),
            ])),
        ),
        (
            "on_unknown",
            json!({"oneOf": [on_unknown(), keys(STEP_KINDS.iter().map(|kind| (kind.word().to_owned(), on_unknown())).collect())]}),
        ),
        ("rollback", rollback(false)),
    ])
}

fn on_unknown() -> Value {
    json!({"enum": ["rerun", "probe", "ask"], "description": "When nobody knows how a step ended: carry it out again, ask the target what is true, or ask an operator. Default ask in production; elsewhere what is safe to repeat is repeated, and of a command its observe is asked."})
}

fn strategy() -> Value {
    let mut step = keys(map([
        (
            "weight",
            json!({"type": "integer", "minimum": 0, "maximum": 100, "description": "Share of the traffic for the new version; rises to 100."}),
        ),
        (
            "bake",
            duration(
                "How long it is watched with that share; default the service's watch, at weight 0 none.",
            ),
        ),
        (
            "verify",
            json!({"type": "array", "items": {"type": "string"}, "description": "Names of checks in verify that must pass with that share."}),
        ),
    ]));
    step["required"] = json!(["weight"]);
    let mut sticky = keys(map([
        ("cookie", text("A cookie that the gateway sets; the service never sees it.")),
        ("header", text("A request header whose value tells users apart.")),
    ]));
    sticky["minProperties"] = json!(1);
    sticky["maxProperties"] = json!(1);
    let mut mapping = keys(map([
        ("type", json!({"enum": ["blue_green", "recreate", "canary"]})),
        (
            "steps",
            json!({"type": "array", "minItems": 1, "maxItems": 20, "items": step, "description": "canary: one after the other."}),
        ),
        ("sticky", sticky),
    ]));
    mapping["required"] = json!(["type"]);
    json!({"anyOf": [{"enum": ["blue_green", "recreate"]}, mapping],
           "description": "Default blue_green for a process, recreate for a command."})
}

fn check() -> Value {
    let expected = json!({"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}, "description": "Top-level fields of the JSON body."});
    keys(map([
        ("name", text("Its name in messages.")),
        (
            "http",
            keys(map([
                ("get", text("Path on the new revision, or a whole http:// address.")),
                (
                    "status",
                    json!({"type": "integer", "minimum": 100, "maximum": 599, "description": "Default 200."}),
                ),
                ("contains", text("Text that the body must hold.")),
                ("json", expected),
                ("content_type", text("What the content type must begin with.")),
            ])),
        ),
        ("command", arguments("Program and arguments; exit code 0 passes.")),
        ("timeout", duration("Default 5s, for a command 1m.")),
    ]))
}

fn target() -> Value {
    let gateway = keys(map([
        ("listen", text("Where users reach it, such as 127.0.0.1:8080.")),
        ("host", text("Only requests for this host name.")),
        (
            "preview",
            text("Where the new version is seen until it has all the traffic, such as 127.0.0.1:8081."),
        ),
        ("drain_timeout", duration("For requests under way at a switch; default 30s.")),
    ]));
    let restart = keys(map([
        ("max", json!({"type": "integer", "minimum": 0, "maximum": 1000})),
        ("window", duration("Default 10m.")),
        ("backoff", duration("Default 1s.")),
    ]));
    keys(map([
        ("type", json!({"enum": ["process", "command"]})),
        ("command", arguments("process: program and arguments; ${VERSION} and ${PORT} may stand in them.")),
        ("gateway", gateway),
        ("stop_grace", duration("process: after the stop signal; default 10s.")),
        ("keep_old", duration("process: the old revision stays this long; default 10m.")),
        ("restart", restart),
        ("deploy", arguments("command: makes ${VERSION} serve.")),
        (
            "observe",
            arguments(
                "command: prints on its last line the version that serves, or it and its share of the traffic, as `2.0 100%`.",
            ),
        ),
        ("undo", arguments("command: makes LOCKSTEP_CHECKPOINT_VERSION serve again.")),
        ("timeout", duration("command: then its whole tree is ended; default 5m.")),
        ("address", text("command: where healthcheck and verify ask.")),
        ("env", variables()),
        ("secrets", secrets()),
        ("workdir", text("Where it runs; absolute, on the agent's host.")),
    ]))
}

fn service() -> Map<String, Value> {
    let mut service = overridable();
    let condition = json!({"anyOf": [{"type": "null"}, keys(map([("condition", json!({"enum": ["started", "healthy"]}))]))]});
    service.extend(map([
        ("team", json!({"type": "string", "pattern": NAME, "description": "Who answers for it."})),
        (
            "depends_on",
            json!({"description": "What must be there before it changes.", "anyOf": [
                {"type": "array", "items": {"type": "string", "pattern": NAME}},
                {"type": "object", "additionalProperties": condition},
            ]}),
        ),
    ]));
    service
}

//! The JSON Schema of a manifest, for editors: completion, descriptions and refusals while typing.
//! `parse` is stricter: names, circles and templates are looked at there.

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
    let environment = keys(whole("An environment"));
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

fn whole(of: &str) -> Map<String, Value> {
    map([
        (
            "degraded",
            json!({"enum": ["pass", "warn", "block"], "description": format!("{of}: what a degraded service means at a gate; default warn, in production block.")}),
        ),
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
                ("rollback", duration("Taking back; default 2m.")),
            ])),
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
        ("max_duration", duration("Before an operator is asked; default 2m.")),
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
        (
            "strategy",
            json!({"enum": ["blue_green", "recreate"], "description": "Default blue_green for a process, recreate for a command."}),
        ),
        ("watch", duration("Watched after it took over; 0s = not at all.")),
        ("timeouts", keys(map([("step", duration("One attempt of a step."))]))),
        ("rollback", rollback(false)),
    ])
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
        ("observe", arguments("command: prints the version that serves on its last line.")),
        ("undo", arguments("command: makes LOCKSTEP_CHECKPOINT_VERSION serve again.")),
        ("timeout", duration("command: then its whole tree is ended; default 5m.")),
        ("address", text("command: where healthcheck and verify ask.")),
        ("env", variables()),
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

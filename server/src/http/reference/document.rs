//! The OpenAPI document. Bodies and answers have schemas of their own: what may be left out when it is
//! sent is always there when it is answered.

use lockstep_model::{
    api::{Declared, ENDPOINTS, PREFIX},
    error::{ErrorBody, ErrorKind},
};
use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, sync::OnceLock};

const SCHEMAS: &str = "#/components/schemas/";
/// What every endpoint may answer beside success.
const ALWAYS: [ErrorKind; 10] = [
    ErrorKind::Malformed,
    ErrorKind::Unauthenticated,
    ErrorKind::Forbidden,
    ErrorKind::TooSlow,
    ErrorKind::TooLarge,
    ErrorKind::UnsupportedMediaType,
    ErrorKind::Invalid,
    ErrorKind::Throttled,
    ErrorKind::Internal,
    ErrorKind::Unavailable,
];

const ABOUT: &str = "Every endpoint is called with POST and a JSON object, and answers JSON. Programs send \
`Authorization: Bearer TOKEN`; `lockstep token add` makes one. Unknown fields are refused.\n\n\
Errors have the same shape everywhere: `kind` for programs, `message` for people with what to do next. \
What the caller may not see is `not_found`, in the same words as what is not there; what they see and may not do is \
`forbidden`. A role counts where it was given: on everything, a project or an environment.\n\n\
What changes something takes an `Idempotency-Key` header of 1 to 200 characters: the same key with the same body \
is done once within seven days, however often it is sent, and answered as the first time, with \
`Idempotency-Replayed: true`; with another body it is a conflict. What began a deployment is answered with that \
deployment as it stands now. Answers that hold a secret are not kept.\n\n\
Paths and fields are stable within `/api/v1`. Fields may be added to answers; a field or a path that goes is \
marked `deprecated` here and in the changelog for at least two minor versions and six months first.";

/// The document; made once.
pub(super) fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(make)
}

fn make() -> Value {
    let settings =
        |settings: SchemaSettings| settings.with(|all| all.definitions_path = "/components/schemas".into());
    let mut sent = settings(SchemaSettings::draft2020_12().for_deserialize()).into_generator();
    let mut answered = settings(SchemaSettings::draft2020_12().for_serialize()).into_generator();
    let mut bodies: Vec<(Value, Value)> = ENDPOINTS
        .iter()
        .map(|one| (schema(&mut sent, one.described.request), schema(&mut answered, one.described.response)))
        .collect();
    answered.subschema_for::<ErrorBody>();
    let mut schemas = sent.take_definitions(true);
    let mut answers = answered.take_definitions(true);
    let others = others(&schemas, &answers);
    for (_, answer) in &mut bodies {
        rename(answer, &others);
    }
    for (name, mut schema) in std::mem::take(&mut answers) {
        rename(&mut schema, &others);
        let name = if others.contains(&name) { answer_name(&name) } else { name };
        schemas.insert(name, schema);
    }
    let paths: Map<String, Value> = ENDPOINTS
        .iter()
        .zip(bodies)
        .map(|(one, (request, response))| {
            (format!("{PREFIX}{}", one.path), json!({ "post": operation(one, request, response) }))
        })
        .collect();
    let tags: BTreeSet<&str> = ENDPOINTS.iter().map(|one| tag(one.path)).collect();
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Lockstep", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "tags": tags.into_iter().map(|name| json!({ "name": name })).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": responses(),
            "parameters": { "IdempotencyKey": {
                "name": "Idempotency-Key", "in": "header", "required": false,
                "description": "The same request with the same key is done once.",
                "schema": { "type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$" },
            } },
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "description": "A token of `lockstep token add`." } },
        },
    })
}

fn schema(generator: &mut SchemaGenerator, of: fn(&mut SchemaGenerator) -> Schema) -> Value {
    of(generator).to_value()
}

/// The part of a path that groups endpoints.
pub(super) fn tag(path: &str) -> &str {
    path.trim_start_matches('/').split('/').next().unwrap_or(path)
}

fn operation(one: &Declared, request: Value, response: Value) -> Value {
    let mut answers = Map::new();
    let good = json!({ "description": "Done.", "content": { "application/json": { "schema": response } } });
    answers.insert("200".to_owned(), good);
    for kind in ALWAYS.iter().chain(one.refusals) {
        let reference = json!({ "$ref": format!("#/components/responses/{}", response_name(*kind)) });
        answers.insert(kind.status().to_string(), reference);
    }
    let mut parameters = Vec::new();
    if one.mutates {
        let reference =
            json!({ "$ref": format!("#/components/responses/{}", response_name(ErrorKind::Conflict)) });
        answers.insert(ErrorKind::Conflict.status().to_string(), reference);
        parameters.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
    }
    json!({
        "parameters": parameters,
        "operationId": one.path.trim_start_matches('/').replace('/', "_"),
        "tags": [tag(one.path)],
        "summary": one.described.summary.trim(),
        "x-lockstep-role": one.permission.least_role().map(|role| role.word()),
        "x-lockstep-changes": one.mutates,
        "requestBody": { "required": true, "content": { "application/json": { "schema": request } } },
        "responses": answers,
    })
}

fn response_name(kind: ErrorKind) -> String {
    format!("{kind:?}")
}

fn responses() -> Map<String, Value> {
    let mut all = Map::new();
    for kind in ALWAYS.iter().chain(&[ErrorKind::NotFound, ErrorKind::Conflict, ErrorKind::MethodNotAllowed])
    {
        let content = json!({ "application/json": { "schema": { "$ref": format!("{SCHEMAS}ErrorBody") } } });
        all.insert(response_name(*kind), json!({ "description": words(*kind), "content": content }));
    }
    all
}

/// What a kind of error means.
pub(super) const fn words(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Malformed => "The request cannot be read.",
        ErrorKind::Unauthenticated => "No token, or one that is not valid.",
        ErrorKind::Forbidden | ErrorKind::StepUpRequired => {
            "May be seen, but not done with this token, or not before the password is given again (`step_up_required`)."
        }
        ErrorKind::NotFound => "There is no such thing, or it may not be seen.",
        ErrorKind::MethodNotAllowed => "Only POST.",
        ErrorKind::Conflict => "The state does not allow it now.",
        ErrorKind::TooSlow => "The body did not come within 30 seconds.",
        ErrorKind::TooLarge => "The body is larger than 1 MiB.",
        ErrorKind::UnsupportedMediaType => "The body is not `application/json`, or compressed.",
        ErrorKind::Invalid => "The body was read and is not valid; the message names the field.",
        ErrorKind::Throttled => "Too many requests; `Retry-After` says when.",
        ErrorKind::Unavailable | ErrorKind::Unreachable => {
            "A part that is needed does not answer; `Retry-After` says when to try again."
        }
        ErrorKind::Internal => "A fault of the server's; `incident` finds it in its log.",
    }
}

/// Types that look different in bodies and in answers, and those made of them.
fn others(schemas: &Map<String, Value>, answers: &Map<String, Value>) -> BTreeSet<String> {
    let both = |name: &&String| schemas.contains_key(*name);
    let mut others: BTreeSet<String> =
        answers.keys().filter(both).filter(|name| schemas[*name] != answers[*name]).cloned().collect();
    loop {
        let is_new = |name: &&String| !others.contains(*name) && mentions(&answers[*name], &others);
        let more: Vec<String> = answers.keys().filter(both).filter(is_new).cloned().collect();
        if more.is_empty() {
            return others;
        }
        others.extend(more);
    }
}

fn answer_name(name: &str) -> String {
    format!("{name}Answer")
}

fn mentions(schema: &Value, names: &BTreeSet<String>) -> bool {
    match schema {
        Value::Object(fields) => fields.iter().any(|(key, value)| {
            let name = value.as_str().filter(|_| key == "$ref").and_then(|at| at.strip_prefix(SCHEMAS));
            name.is_some_and(|name| names.contains(name)) || mentions(value, names)
        }),
        Value::Array(all) => all.iter().any(|one| mentions(one, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn rename(schema: &mut Value, names: &BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            for (key, value) in fields.iter_mut() {
                let name = value.as_str().filter(|_| key == "$ref").and_then(|at| at.strip_prefix(SCHEMAS));
                match name.filter(|name| names.contains(*name)).map(answer_name) {
                    Some(name) => *value = Value::String(format!("{SCHEMAS}{name}")),
                    None => rename(value, names),
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|one| rename(one, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    if let Some(at) = value.as_str().filter(|_| key == "$ref") {
                        found.insert(at.to_owned());
                    }
                    references(value, found);
                }
            }
            Value::Array(all) => all.iter().for_each(|one| references(one, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_endpoint_is_described_and_every_reference_leads_somewhere() {
        let document = document();
        for one in ENDPOINTS {
            let at = format!("{PREFIX}{}", one.path);
            let operation = &document["paths"][&at]["post"];
            let summary = operation["summary"].as_str().expect("a summary");
            assert!(summary.ends_with('.'), "{at}: {summary}");
            assert!(operation["responses"]["200"].is_object(), "{at}");
        }
        let mut found = BTreeSet::new();
        references(document, &mut found);
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("within the document");
            assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
        }
    }

    #[test]
    fn what_may_be_left_out_is_not_required_of_who_sends_and_what_is_answered_is_there() {
        let schemas = &document()["components"]["schemas"];
        let body = &schemas["StartDeployment"];
        assert_eq!(body["additionalProperties"], false);
        let is_required = |schema: &Value, field: &str| {
            schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == field))
        };
        assert!(!is_required(body, "project"), "{body}");
        assert!(is_required(&schemas["DeploymentSummary"], "id"), "{}", schemas["DeploymentSummary"]);
    }
}

//! The document as a page to read: no script, the styles of all other pages, a link to everything.

use super::document::{tag, words};
use app::prefs::Theme;
use lockstep_model::{
    access::Role,
    api::{Declared, ENDPOINTS, PREFIX},
    error::ErrorKind,
};
use serde_json::Value;
use std::fmt::Write as _;

const KINDS: [ErrorKind; 12] = [
    ErrorKind::Malformed,
    ErrorKind::Unauthenticated,
    ErrorKind::Forbidden,
    ErrorKind::NotFound,
    ErrorKind::TooSlow,
    ErrorKind::Conflict,
    ErrorKind::TooLarge,
    ErrorKind::UnsupportedMediaType,
    ErrorKind::Invalid,
    ErrorKind::Throttled,
    ErrorKind::Internal,
    ErrorKind::Unavailable,
];

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Prose: `code` in backticks, paragraphs at empty lines.
fn prose(text: &str) -> String {
    let spans = |text: &str| {
        let parts = text.split('`').enumerate();
        parts
            .map(|(place, part)| match place % 2 {
                0 => escape(part),
                _ => format!("<code>{}</code>", escape(part)),
            })
            .collect::<String>()
    };
    text.split("\n\n").map(|paragraph| format!("<p>{}</p>", spans(paragraph))).collect()
}

fn name_of(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

/// A schema in a few words, with links to what it is made of.
fn kind(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = escape(name_of(reference));
        return format!(r##"<a class="link" href="#type-{name}">{name}</a>"##);
    }
    for (key, joint) in [("anyOf", " or "), ("oneOf", " or "), ("allOf", " and ")] {
        if let Some(all) = schema[key].as_array() {
            let words: Vec<String> = all.iter().map(kind).collect();
            return words.join(joint);
        }
    }
    if let Some(value) = schema.get("const") {
        return format!("<code>{}</code>", escape(&value.to_string()));
    }
    if let Some(all) = schema["enum"].as_array() {
        let words: Vec<String> =
            all.iter().map(|one| format!("<code>{}</code>", escape(&one.to_string()))).collect();
        return words.join(", ");
    }
    let of = |word: &str| match word {
        "array" => format!("list of {}", kind(&schema["items"])),
        "object" => match &schema["additionalProperties"] {
            values if values.is_object() => format!("map to {}", kind(values)),
            _ => "object".to_owned(),
        },
        word => escape(word),
    };
    match &schema["type"] {
        Value::String(word) => of(word),
        Value::Array(all) => all.iter().filter_map(Value::as_str).map(of).collect::<Vec<_>>().join(" or "),
        _ => "anything".to_owned(),
    }
}

/// The fields of an object; nothing for what has none.
fn fields(schema: &Value, of: &str) -> String {
    let Some(all) = schema["properties"].as_object().filter(|all| !all.is_empty()) else {
        return String::new();
    };
    let is_required =
        |name: &str| schema["required"].as_array().is_some_and(|known| known.iter().any(|one| one == name));
    let rows = all.iter().map(|(name, field)| {
        let about = prose(field["description"].as_str().unwrap_or(""));
        let needed = if is_required(name) { "" } else { r#" <span class="text-subtle">optional</span>"# };
        format!(
            r#"<tr><td><code>{}</code>{needed}</td><td>{}</td><td>{about}</td></tr>"#,
            escape(name),
            kind(field),
        )
    });
    let rows: String = rows.collect();
    format!(
        r#"<div class="table-scroll" tabindex="0" role="region" aria-label="Fields of {of}"><table class="table"><thead><tr><th scope="col">Field</th><th scope="col">Type</th><th scope="col">What</th></tr></thead><tbody>{rows}</tbody></table></div>"#
    )
}

/// A type that is not an object: its words, or the objects that it may be.
fn variants(schema: &Value, of: &str) -> String {
    let listed = ["oneOf", "anyOf"].into_iter().find_map(|key| schema[key].as_array());
    let Some(all) = listed else { return format!("<p>{}</p>", kind(schema)) };
    let each = (1..).zip(all).map(|(place, one)| {
        let about = prose(one["description"].as_str().unwrap_or(""));
        let inner = fields(one, &format!("{of}, {place}"));
        let shown = if inner.is_empty() { kind(one) } else { inner };
        format!("<li>{about}{shown}</li>")
    });
    format!(r#"<ul class="doc-list">{}</ul>"#, each.collect::<String>())
}

fn endpoint(one: &Declared, document: &Value) -> String {
    let path = format!("{PREFIX}{}", one.path);
    let operation = &document["paths"][&path]["post"];
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    let answer = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    let name = body["$ref"].as_str().map_or("", name_of);
    let schema = &document["components"]["schemas"][name];
    let who = match one.permission.least_role() {
        None => "anybody who is signed in".to_owned(),
        Some(Role::Admin) => "admin".to_owned(),
        Some(role) => format!("{} or more", role.word()),
    };
    let effect = if one.mutates { "changes something, audited" } else { "only looks" };
    let refusals: Vec<String> = one.refusals.iter().map(|kind| kind.status().to_string()).collect();
    let refusals = if refusals.is_empty() {
        String::new()
    } else {
        format!("; may refuse with {}", refusals.join(", "))
    };
    let id = escape(one.path.trim_start_matches('/')).replace('/', "-");
    let table = fields(schema, &path);
    let table = if table.is_empty() { "<p>The body is an empty object.</p>".to_owned() } else { table };
    format!(
        r##"<article class="card doc-part" id="{id}"><h3 class="mono"><a href="#{id}">POST {}</a></h3>{}<p class="text-meta text-subtle">{who}; {effect}{refusals}</p>{table}<p>Answers {}.</p></article>"##,
        escape(&path),
        prose(one.described.summary.trim()),
        kind(answer),
    )
}

/// The page.
pub(super) fn html(document: &Value, styles: &str, icon: &str, theme: Theme) -> String {
    let mut tags: Vec<&str> = Vec::new();
    for one in ENDPOINTS {
        if !tags.contains(&tag(one.path)) {
            tags.push(tag(one.path));
        }
    }
    let (mut body, mut contents) = (String::new(), String::new());
    for wanted in tags {
        let _ = write!(body, r#"<h2 id="about-{wanted}">{wanted}</h2>"#);
        let _ = write!(contents, r##"<a class="chip" href="#about-{wanted}">{wanted}</a>"##);
        for one in ENDPOINTS.iter().filter(|one| tag(one.path) == wanted) {
            body.push_str(&endpoint(one, document));
        }
    }
    let schemas = document["components"]["schemas"].as_object();
    let types = schemas.into_iter().flatten().map(|(name, schema)| {
        let name = escape(name);
        let about = prose(schema["description"].as_str().unwrap_or(""));
        let inner = fields(schema, &name);
        let shown = if inner.is_empty() { variants(schema, &name) } else { inner };
        format!(r##"<article class="card doc-part" id="type-{name}"><h3 class="mono"><a href="#type-{name}">{name}</a></h3>{about}{shown}</article>"##)
    });
    let types: String = types.collect();
    let errors = KINDS
        .iter()
        .map(|kind| format!("<tr><td>{}</td><td>{}</td></tr>", kind.status(), prose(words(*kind))));
    let errors: String = errors.collect();
    let about = prose(document["info"]["description"].as_str().unwrap_or(""));
    let version = escape(document["info"]["version"].as_str().unwrap_or(""));
    format!(
        r##"<!DOCTYPE html>
<html lang="en" data-theme="{theme}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><title>API – Lockstep</title><link rel="stylesheet" href="{styles}"><link rel="icon" type="image/svg+xml" href="{icon}"></head>
<body class="doc"><main id="main">
<p><a class="link" href="/">Lockstep</a></p>
{sign_out}
<h1 class="text-h1 font-semibold">API {version}</h1>
{about}
<p>For programs: <a class="link" href="/api/openapi.json">/api/openapi.json</a> (OpenAPI 3.1).</p>
<pre class="mono" tabindex="0">curl -H "Authorization: Bearer $LOCKSTEP_TOKEN" -H "Content-Type: application/json" \
  -d '{{"limit":10}}' "$LOCKSTEP_URL/api/v1/deployment/list"</pre>
<nav class="chips" aria-label="Endpoints">{contents}<a class="chip" href="#errors">errors</a><a class="chip" href="#types">types</a></nav>
{body}
<h2 id="errors">Errors</h2>
<div class="table-scroll" tabindex="0" role="region" aria-label="Errors"><table class="table"><thead><tr><th scope="col">Status</th><th scope="col">Meaning</th></tr></thead><tbody>{errors}</tbody></table></div>
<h2 id="types">Types</h2>
{types}
</main></body></html>
"##,
        sign_out = super::SIGN_OUT,
        theme = theme.word(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b13_what_is_hostile_in_a_description_is_text() {
        assert_eq!(prose("a `<b>` & \"c\""), "<p>a <code>&lt;b&gt;</code> &amp; &quot;c&quot;</p>");
    }

    #[test]
    fn every_endpoint_and_type_that_is_linked_is_on_the_page() {
        let page = html(super::super::document::document(), "/s.css", "/i.svg", Theme::System);
        for one in ENDPOINTS {
            assert!(page.contains(&format!("POST {PREFIX}{}<", one.path)), "{}", one.path);
        }
        let ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|it| it.split('"').next()).collect();
        for (place, id) in ids.iter().enumerate() {
            assert!(!ids[..place].contains(id), "#{id} is there twice");
        }
        for link in page.split("href=\"#").skip(1) {
            let target = link.split('"').next().unwrap_or("");
            assert!(page.contains(&format!("id=\"{target}\"")), "#{target} leads nowhere");
        }
    }
}

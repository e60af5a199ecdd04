//! Roles per project and environment: every endpoint, route and topic for people who may something in one
//! environment and less, or nothing, in another. What they may not see is not there; what they see and may
//! not do is forbidden; what is taken away is gone at once.

use crate::{
    live::{bearer, hear, open, say},
    support::{Lockstep, make_token},
};
use lockstep_model::{
    access::{Grant, ObjectKind, Permission, ROLES, Rights, Role, Scope},
    api::{Declared, ENDPOINTS, STEP_UP},
    live::{ServerFrame, Snapshot},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const STAGING: &str = "staging";
/// Its name stands nowhere else, so that a leak shows.
const HIDDEN: &str = "produktion";

fn scope(environment: &str) -> Scope {
    Scope::of("shop".parse().expect("valid"), environment.parse().expect("valid"))
}

/// A server with a service in two environments, a deployment, a lock and a script in each.
struct Stage {
    server: Lockstep,
    locks: [i64; 2],
}

impl Stage {
    fn set() -> Self {
        let server = Lockstep::start();
        let file = server.write(
            "lockstep.yaml",
            &format!(
                "version: 1\nproject: shop\ndefault_environment: {STAGING}\nenvironments:\n  {STAGING}: {{}}\n  {HIDDEN}: \
                 {{promotion: {{from: {STAGING}, soak: 1h}}}}\nwatch: 0s\nservices:\n  web:\n    version: \"1\"\n    target:\n      \
                 type: command\n      deploy: [sh, -c, \"true\"]\n      observe: [sh, -c, \"echo 1\"]\n    environments: {{{STAGING}: {{}}, {HIDDEN}: {{}}}}\n"
            ),
        );
        server.ok(&["apply", &file]);
        let locks = [STAGING, HIDDEN].map(|environment| {
            server.ok(&["deploy", "--env", environment, "--accept-no-rollback", "--wait"]);
            let lock = ["lock", "take", "--env", environment, "--for", "1h", "--reason", "quiet", "--json"];
            let made: Value = serde_json::from_str(&server.ok(&lock)).expect("JSON");
            made["id"].as_i64().expect("a number")
        });
        Self { server, locks }
    }

    /// A body that is right and names something in an environment; where it would change something, a
    /// check that comes after the one of the right refuses it, or it changes nothing that matters.
    fn body(&self, path: &str, environment: &str) -> Value {
        let (id, lock) = if environment == STAGING { (1, self.locks[0]) } else { (2, self.locks[1]) };
        let long = "x".repeat(1_001);
        match path {
            "/manifest/show" => json!({"project": "shop"}),
            "/manifest/apply" => json!({"file": "x", "source": "no manifest"}),
            "/deployment/plan" | "/service/versions" | "/service/graph" | "/checkpoint/list" => {
                json!({"environment": environment})
            }
            "/service/show" => json!({"environment": environment, "service": "web"}),
            "/deployment/start" => json!({"environment": environment, "reason": long}),
            "/deployment/promote" | "/deployment/promotion_plan" => json!({"to": environment}),
            "/deployment/approve" => json!({"id": id, "plan": format!("sha256:{}", "0".repeat(64))}),
            "/deployment/decide" => json!({"id": id, "word": "reject", "password": "x"}),
            "/deployment/foresee" => json!({"id": id, "act": "cancel"}),
            "/deployment/neighbours" => json!({"id": id, "list": {}}),
            "/deployment/service_retry" => json!({"id": id, "service": "web"}),
            "/deployment/service_keep" => json!({"id": id, "service": "web", "reason": "x"}),
            "/deployment/step_skip" => json!({"id": id, "step": "web.watch", "reason": "x"}),
            "/deployment/step_retry" => json!({"id": id, "step": "web.watch"}),
            "/deployment/resolve" => json!({"id": id, "outcome": "failed", "reason": "x"}),
            "/deployment/rollback" => json!({"id": id, "reason": long}),
            "/restriction/add" => json!({"environment": environment, "kind": "lock", "reason": "x"}),
            "/restriction/end" => json!({"id": lock, "reason": ""}),
            "/script/report" => json!({
                "run": format!("of-{environment}"), "script": "a.sh", "idempotency_key": "0123456789abcdef",
                "report": 1, "state": "running", "project": "shop", "environment": environment,
            }),
            "/script/logs" => json!({"run": format!("of-{environment}")}),
            "/deployment/monitor" => json!({"topics": [{"topic": "overview"}]}),
            "/deployment/abandon" => json!({"id": id, "reason": "x", "confirm": environment}),
            "/audit/accept" | "/lockdown/begin" => json!({"reason": ""}),
            "/user/add" => json!({"name": "same", "role": "viewer"}),
            "/user/change" | "/user/grant" => json!({"name": "nobody", "role": "viewer"}),
            "/user/revoke" | "/user/link" | "/link/revoke" => json!({"name": "nobody"}),
            "/session/end" => json!({"id": "0000"}),
            "/session/confirm" => json!({"password": "x"}),
            "/session/password" => json!({"password": "x", "new_password": "x"}),
            "/session/end_all" => json!({"user": "nobody"}),
            "/token/add" => json!({"name": "one", "role": "viewer"}),
            "/token/revoke" => json!({"id": "0000"}),
            "/hook/deliveries" => json!({"name": "nothing"}),
            _ if endpoint(path).object == ObjectKind::Deployment => json!({"id": id}),
            _ => json!({}),
        }
    }
}

fn endpoint(path: &str) -> &'static Declared {
    ENDPOINTS.iter().find(|one| one.path == path).expect("declared")
}

/// The status that is declared: none = whatever follows once they may.
fn declared(endpoint: &Declared, rights: &Rights, environment: &str) -> Option<u16> {
    let permission = endpoint.permission;
    if !rights.allows_somewhere(permission) {
        return Some(403);
    }
    let on = match endpoint.object {
        ObjectKind::Oneself | ObjectKind::Seen => return None,
        ObjectKind::Installation => Scope::default(),
        ObjectKind::Project => Scope::project("shop".parse().expect("valid")),
        // Where the manifest says where it goes.
        ObjectKind::Inside if endpoint.path.starts_with("/deployment/promot") && environment == STAGING => {
            return (!rights.sight().covers(&scope(STAGING))).then_some(404);
        }
        // A text that is no manifest names no project.
        ObjectKind::Inside if endpoint.path == "/manifest/apply" => return None,
        ObjectKind::Inside | ObjectKind::Environment | ObjectKind::Deployment | ObjectKind::Restriction => {
            scope(environment)
        }
    };
    if rights.allows_on(permission, &on) {
        return None;
    }
    // The project of which they see a part is there for them; and of a report they name the place.
    let is_known = match endpoint.object {
        ObjectKind::Installation => true,
        ObjectKind::Project => [STAGING, HIDDEN].iter().any(|name| rights.sight().covers(&scope(name))),
        _ => false,
    };
    let is_seen = rights.role_on(&on).is_some() || is_known || endpoint.path == "/script/report";
    Some(if is_seen { 403 } else { 404 })
}

/// Somebody of the matrix.
struct Somebody {
    name: String,
    rights: Rights,
    how: How,
}

enum How {
    Cookie(String),
    Token(String),
}

impl Somebody {
    async fn call(&self, server: &Lockstep, path: &str, body: &Value) -> (u16, Value) {
        match &self.how {
            How::Cookie(cookie) => server.call_as(cookie, path, &body.to_string()).await,
            How::Token(token) => server.call(path, Some(token), &body.to_string()).await,
        }
    }

    fn header(&self) -> (&'static str, String) {
        match &self.how {
            How::Cookie(cookie) => ("cookie", cookie.clone()),
            How::Token(token) => ("authorization", bearer(token)),
        }
    }

    async fn get(&self, server: &Lockstep, path: &str) -> (u16, String) {
        let (name, value) = self.header();
        let request = server.http.get(format!("{}{path}", server.url())).header(name, value);
        let request = request.header("origin", server.url());
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    }
}

fn only(environment: &str, role: Role) -> Rights {
    Rights(vec![Grant { on: scope(environment), role }])
}

fn token(server: &Lockstep, environment: &str, role: Role) -> String {
    let add = ["token", "add", "narrow", "--project", "shop", "--env", environment, "--role", role.word()];
    let made: Value = serde_json::from_str(&server.ok(&[&add[..], &["--json"]].concat())).expect("JSON");
    made["secret"].as_str().expect("a secret").to_owned()
}

async fn everybody(server: &Lockstep) -> Vec<Somebody> {
    let mut all = Vec::new();
    for role in ROLES {
        let how = How::Cookie(server.sign_in(role.word(), role).await);
        all.push(Somebody { name: role.to_string(), rights: Rights::everywhere(role), how });
        let how = How::Token(make_token(server, role));
        all.push(Somebody { name: format!("token of a {role}"), rights: Rights::everywhere(role), how });
    }
    for role in [Role::Viewer, Role::Operator, Role::Deployer] {
        let how = How::Token(token(server, STAGING, role));
        let rights = only(STAGING, role);
        all.push(Somebody { name: format!("token, {role} in one only"), rights, how });
    }
    let how =
        How::Cookie(server.sign_in_on("anna", Role::Viewer, &["--project", "shop", "--env", STAGING]).await);
    server.ok(&["user", "grant", "anna", "deployer", "--project", "shop", "--env", HIDDEN]);
    let both = [only(STAGING, Role::Viewer).0, only(HIDDEN, Role::Deployer).0].concat();
    all.push(Somebody { name: "viewer in one, deployer in the other".to_owned(), rights: Rights(both), how });
    let how = How::Cookie(
        server.sign_in_on("bert", Role::Deployer, &["--project", "shop", "--env", STAGING]).await,
    );
    all.push(Somebody {
        name: "deployer in one only".to_owned(),
        rights: only(STAGING, Role::Deployer),
        how,
    });
    let how = How::Cookie(server.sign_in_on("eve", Role::Deployer, &["--project", "elsewhere"]).await);
    let elsewhere = Grant { on: Scope::project("elsewhere".parse().expect("valid")), role: Role::Deployer };
    all.push(Somebody { name: "deployer elsewhere".to_owned(), rights: Rights(vec![elsewhere]), how });
    all
}

fn sees(one: &Somebody, environment: &str) -> bool {
    one.rights.sight().covers(&scope(environment))
}

#[tokio::test(flavor = "multi_thread")]
async fn c1_every_endpoint_answers_in_each_environment_as_is_declared_there() {
    let stage = Stage::set();
    let server = &stage.server;
    for one in everybody(server).await {
        for endpoint in ENDPOINTS {
            for environment in [STAGING, HIDDEN] {
                let body = stage.body(endpoint.path, environment);
                let (status, answer) = one.call(server, endpoint.path, &body).await;
                let context =
                    format!("{} in {environment} as {}: {status} {answer}", endpoint.path, one.name);
                let is_for_people = STEP_UP.contains(&endpoint.path) && matches!(one.how, How::Token(_));
                match declared(endpoint, &one.rights, environment) {
                    _ if is_for_people => assert_eq!(status, 403, "{context}"),
                    Some(expected) => assert_eq!(status, expected, "{context}"),
                    None => {
                        let documented = endpoint.refusals.iter().map(|kind| kind.status());
                        // What a request holds may be wrong, whatever it is about.
                        let all: Vec<u16> = documented.chain([200, 422]).collect();
                        assert!(all.contains(&status), "{all:?} {context}");
                    }
                }
                // Whatever is answered about what they see tells nothing of what they do not.
                if environment == STAGING && !sees(&one, HIDDEN) {
                    assert!(!answer.to_string().contains(HIDDEN), "{context}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_what_is_hidden_answers_word_for_word_like_what_is_not_there() {
    let stage = Stage::set();
    let server = &stage.server;
    let token = token(server, STAGING, Role::Deployer);
    for (path, hidden, missing) in [
        ("/deployment/show", json!({"id": 2}), json!({"id": 999})),
        ("/deployment/cancel", json!({"id": 2}), json!({"id": 999})),
        ("/deployment/rollback", json!({"id": 2}), json!({"id": 999})),
        ("/restriction/end", json!({"id": stage.locks[1], "reason": "x"}), json!({"id": 999, "reason": "x"})),
        ("/service/versions", json!({"environment": HIDDEN}), json!({"environment": "nowhere"})),
        ("/service/graph", json!({"environment": HIDDEN}), json!({"environment": "nowhere"})),
        ("/deployment/start", json!({"environment": HIDDEN}), json!({"environment": "nowhere"})),
        ("/deployment/promote", json!({"to": HIDDEN}), json!({"to": "nowhere"})),
    ] {
        let (status, told) = server.call(path, Some(&token), &hidden.to_string()).await;
        let (expected, of_nothing) = server.call(path, Some(&token), &missing.to_string()).await;
        assert_eq!((status, expected), (404, 404), "{path}: {told} {of_nothing}");
        let plain = |answer: &Value, id: &str, name: &str| {
            answer["message"].as_str().expect("text").replace(id, "N").replace(name, "E")
        };
        let id = if path == "/restriction/end" { stage.locks[1].to_string() } else { "2".to_owned() };
        assert_eq!(plain(&told, &id, HIDDEN), plain(&of_nothing, "999", "nowhere"), "{path}");
    }
    for what in ["deployment 2", "restriction "] {
        server.wait("who looked for it is noted", |server| {
            server.ok(&["audit", "list", "--action", "hidden"]).contains(what)
        });
    }
    // Nor does a project that is hidden show in advice about names.
    let (status, told) = server
        .call("/manifest/show", Some(&self::token(server, "other", Role::Viewer)), r#"{"project":"shp"}"#)
        .await;
    assert_eq!(status, 404, "{told}");
    assert!(!told.to_string().contains("shop"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_who_looks_for_output_that_is_hidden_is_noted_and_told_that_there_is_none() {
    let stage = Stage::set();
    let server = &stage.server;
    let token = token(server, STAGING, Role::Viewer);
    let look = async |id: &str| {
        let request = server.http.get(format!("{}/deployments/{id}/log.txt", server.url()));
        let answer = request.bearer_auth(&token).send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.text().await.expect("text").replace(id, "N"))
    };
    assert_eq!(look("1").await.0, 200);
    let told = look("2").await;
    assert_eq!(told, look("999").await);
    assert_eq!(told.0, 404);
    server.wait("who looked for it is noted", |server| {
        server.ok(&["audit", "list", "--action", "hidden"]).contains("deployment 2")
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn c1_c3_every_route_and_page_is_declared_and_answers_so_in_each_environment() {
    let declared_paths: BTreeSet<&str> = server::http::PLAIN_ROUTES.iter().map(|route| route.path).collect();
    for path in server::http::page_paths() {
        assert!(declared_paths.contains(path.as_str()), "the page {path} declares nothing");
    }
    let stage = Stage::set();
    let server = &stage.server;
    for one in everybody(server).await {
        for route in server::http::PLAIN_ROUTES.iter().filter(|route| route.method == "GET") {
            if route.permission == Permission::Public {
                continue;
            }
            for (environment, id) in [(STAGING, "1"), (HIDDEN, "2")] {
                let path = route.path.replace("{id}", id).replace("{name}", "web").replace("{part}", "users");
                let path = if path.starts_with("/services/") {
                    format!("{path}?project=shop&environment={environment}")
                } else if path.starts_with("/checks.") {
                    format!("{path}?project=shop&environment={environment}&service=web")
                } else if path.starts_with("/compare.") {
                    format!("{path}?a={id}&b={id}")
                } else {
                    path
                };
                let (status, text) = one.get(server, &path).await;
                let expected = match route.object {
                    _ if path == "/live" => 400,
                    // For people alone.
                    _ if path == "/device" && matches!(one.how, How::Token(_)) => 403,
                    ObjectKind::Installation
                        if !one.rights.allows_on(route.permission, &Scope::default()) =>
                    {
                        403
                    }
                    ObjectKind::Deployment if !sees(&one, environment) => 404,
                    _ if ["/services/", "/checks.", "/compare."].iter().any(|one| path.starts_with(one))
                        && !sees(&one, environment) =>
                    {
                        404
                    }
                    _ => 200,
                };
                assert_eq!(status, expected, "{path} as {}", one.name);
                if !path.contains(HIDDEN) && !sees(&one, HIDDEN) {
                    assert!(!text.contains(HIDDEN), "{path} as {}: {text}", one.name);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b8_every_topic_is_told_to_those_who_see_its_environment_and_to_nobody_else() {
    let stage = Stage::set();
    let server = &stage.server;
    for one in everybody(server).await {
        let (name, value) = one.header();
        let origin = server.url();
        let mut socket = open(server, &[(name, &value), ("origin", &origin)]).await.expect("let in");
        for (topic, environment) in [
            ("overview", None),
            ("deployment/1", Some(STAGING)),
            ("log/1", Some(STAGING)),
            ("deployment/2", Some(HIDDEN)),
            ("log/2", Some(HIDDEN)),
        ] {
            say(&mut socket, json!({"subscribe": {"topic": topic}})).await;
            let frame = loop {
                let frame = hear(&mut socket).await.expect("a frame");
                if frame.topic().is_some_and(|told| told.to_string() == topic) {
                    break frame;
                }
            };
            let context = format!("{topic} as {}", one.name);
            let is_seen = environment.is_none_or(|environment| sees(&one, environment));
            assert_eq!(matches!(frame, ServerFrame::Snapshot { .. }), is_seen, "{context}: {frame:?}");
            let text = serde_json::to_string(&frame).expect("JSON");
            assert!(sees(&one, HIDDEN) || !text.contains(HIDDEN), "{context}: {text}");
            // The same by asking.
            let asked = json!({"topics": [{"topic": topic}]});
            let (status, answer) = one.call(server, "/deployment/monitor", &asked).await;
            assert_eq!(status, 200, "{context}");
            assert_eq!(answer["frames"][0]["snapshot"].is_object(), is_seen, "{context}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b7_a_role_that_is_taken_away_is_gone_at_once_also_from_open_sockets_and_tokens() {
    let stage = Stage::set();
    let server = &stage.server;
    let anna = server.sign_in_on("anna", Role::Viewer, &["--project", "shop", "--env", STAGING]).await;
    let on_hidden = ["--project", "shop", "--env", HIDDEN];
    server.ok(&[&["user", "grant", "anna", "deployer"][..], &on_hidden].concat());
    let made = server.call_as(&anna, "/token/add", r#"{"name":"ci"}"#).await;
    assert_eq!(made.0, 200, "{made:?}");
    let token = made.1["secret"].as_str().expect("a secret").to_owned();
    let origin = server.url();
    let mut socket = open(server, &[("cookie", &anna), ("origin", &origin)]).await.expect("let in");
    say(&mut socket, json!({"subscribe": {"topic": "overview"}})).await;
    say(&mut socket, json!({"subscribe": {"topic": "deployment/2"}})).await;
    let mut told = BTreeSet::new();
    while told.len() < 2 {
        if let ServerFrame::Snapshot { topic, .. } = hear(&mut socket).await.expect("a frame") {
            told.insert(topic);
        }
    }
    let start = json!({"environment": HIDDEN, "reason": "x".repeat(1_001)}).to_string();
    assert_eq!(server.call("/deployment/start", Some(&token), &start).await.0, 422, "may, and says too much");

    server.ok(&[&["user", "revoke", "anna"][..], &on_hidden].concat());
    assert_eq!(
        server.call("/deployment/start", Some(&token), &start).await.0,
        403,
        "deploys nowhere any more"
    );
    let show = r#"{"id":2}"#;
    assert_eq!(server.call("/deployment/show", Some(&token), show).await.0, 404);
    assert_eq!(
        server.call_as(&anna, "/deployment/show", show).await.0,
        404,
        "signed in still, and it is hidden"
    );
    let (mut is_refused, mut overview) = (false, None);
    while !is_refused || overview.is_none() {
        match hear(&mut socket).await.expect("the socket stays open: something may be seen") {
            ServerFrame::Refused { .. } => is_refused = true,
            ServerFrame::Snapshot { body: Snapshot::Overview(view), .. } => overview = Some(view),
            _ => {}
        }
    }
    let overview = overview.expect("told anew");
    assert!(overview.cells.iter().all(|cell| cell.service.environment.as_str() == STAGING), "{overview:?}");

    server.ok(&[&["user", "grant", "anna", "viewer"][..], &on_hidden].concat());
    assert_eq!(
        server.call_as(&anna, "/deployment/show", show).await.0,
        200,
        "and it is back without signing in"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn c4_nobody_gives_what_they_lack_and_the_last_admin_stays() {
    let stage = Stage::set();
    let server = &stage.server;
    for narrow in [["user", "revoke", "admin"].as_slice(), &["user", "grant", "admin", "deployer"]] {
        let said = server.fails(2, narrow);
        assert!(said.contains("last admin"), "{said}");
    }
    let said = server.fails(2, &["user", "grant", "admin", "admin", "--env", STAGING]);
    assert!(said.contains("there is no admin of"), "{said}");
    let anna = server.sign_in_on("anna", Role::Deployer, &["--project", "shop", "--env", STAGING]).await;
    for (body, expected) in [
        (json!({"name": "a", "role": "admin"}), 403),
        (json!({"name": "b", "role": "deployer", "project": "other"}), 403),
        (json!({"name": "c", "role": "deployer", "project": "shop", "environment": HIDDEN}), 403),
        (json!({"name": "d", "role": "deployer"}), 200),
        (json!({"name": "e", "role": "viewer", "project": "shop"}), 200),
    ] {
        let (status, answer) = server.call_as(&anna, "/token/add", &body.to_string()).await;
        assert_eq!(status, expected, "{body}: {answer}");
        if status == 200 {
            let secret = answer["secret"].as_str().expect("a secret");
            let (status, told) = server.call("/deployment/show", Some(secret), r#"{"id":2}"#).await;
            assert_eq!(status, 404, "a token reaches no further than its maker: {told}");
        }
    }
    let grant = json!({"name": "anna", "role": "viewer"}).to_string();
    assert_eq!(server.call_as(&anna, "/user/grant", &grant).await.0, 403);
    let (status, told) = server.call_as(&anna, "/user/effective", r#"{"name":"admin"}"#).await;
    let (_, missing) = server.call_as(&anna, "/user/effective", r#"{"name":"nobody"}"#).await;
    assert_eq!(status, 404, "{told}");
    assert_eq!(
        told["message"].as_str().map(|text| text.replace("admin", "nobody")),
        missing["message"].as_str().map(str::to_owned)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_preview_says_what_follows_and_the_audit_from_what_to_what() {
    let stage = Stage::set();
    let server = &stage.server;
    server.ok(&["user", "add", "anna", "--role", "viewer", "--project", "shop", "--env", STAGING]);
    let grant = ["user", "grant", "anna", "deployer", "--project", "shop"];
    let said = server.ok(&[&grant[..], &["--dry-run"]].concat());
    assert!(said.contains("and would be") && said.contains("does not see it"), "{said}");
    let show =
        || -> Value { serde_json::from_str(&server.ok(&["user", "show", "anna", "--json"])).expect("JSON") };
    let roles = |view: &Value| -> Vec<(String, Value)> {
        let all = view["effective"].as_array().expect("a list").iter();
        all.map(|one| (one["environment"].as_str().expect("text").to_owned(), one["role"].clone())).collect()
    };
    let before = roles(&show());
    assert!(before.contains(&(STAGING.to_owned(), json!("viewer"))), "nothing was changed: {before:?}");
    assert!(before.contains(&(HIDDEN.to_owned(), Value::Null)), "{before:?}");
    server.ok(&grant);
    let after = roles(&show());
    assert!(after.iter().all(|(_, role)| *role == json!("deployer")) && after.len() == 2, "{after:?}");
    server.ok(&["user", "revoke", "anna", "--project", "shop"]);
    assert_eq!(roles(&show()), before);
    let said = server.fails(2, &["user", "revoke", "anna", "--project", "shop"]);
    assert!(said.contains("lockstep user show anna"), "{said}");
    let audit = server.ok(&["audit", "list", "--json"]);
    let line = "before: viewer on shop/staging; after: deployer on shop, viewer on shop/staging";
    assert!(audit.contains(line), "{audit}");
}

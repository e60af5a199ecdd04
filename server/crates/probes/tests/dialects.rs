//! One fixture for every body of the platforms that Lockstep knows, and what it must say.

use lockstep_model::health::Health::{self, Degraded, Healthy, Unhealthy, Unknown};
use lockstep_probes::{
    Role::{self, Detail, Live, Ready},
    judge,
};

const JSON: Option<&str> = Some("application/json");

/// Name, what was asked, status, content type, body, what it must say.
type Fixture = (&'static str, Role, u16, Option<&'static str>, &'static str, Health);

const FIXTURES: &[Fixture] = &[
    (
        "base healthy",
        Detail,
        200,
        JSON,
        r#"{"status":"healthy","timestamp":"2025-09-06T12:00:00.123456+00:00","service":"olorin-backend","version":"1.0.0","environment":"prd","uptime_seconds":0.13}"#,
        Healthy,
    ),
    ("live", Live, 200, JSON, r#"{"alive":true,"timestamp":"t"}"#, Healthy),
    ("not alive", Live, 200, JSON, r#"{"alive":false,"timestamp":"t"}"#, Unhealthy),
    (
        "ready",
        Ready,
        200,
        JSON,
        r#"{"ready":true,"timestamp":"t","dependencies_ready":{"database":true,"redis":true}}"#,
        Healthy,
    ),
    (
        "not ready with 200",
        Ready,
        200,
        JSON,
        r#"{"ready":false,"timestamp":"t","dependencies_ready":{"database":false,"redis":true}}"#,
        Unhealthy,
    ),
    (
        "ready but a dependency is not",
        Ready,
        200,
        JSON,
        r#"{"ready":true,"dependencies_ready":{"database":false}}"#,
        Degraded,
    ),
    ("alive says nothing about ready", Ready, 200, JSON, r#"{"alive":true}"#, Unknown),
    ("startup", Live, 200, JSON, r#"{"started":true,"timestamp":"t","startup_time_seconds":0.14}"#, Healthy),
    ("a check raised", Ready, 500, Some("text/plain"), "Internal Server Error", Unhealthy),
    ("unknown path", Ready, 404, JSON, r#"{"detail":"Not Found"}"#, Unknown),
    (
        "detailed healthy",
        Detail,
        200,
        JSON,
        r#"{"status":"healthy","dependencies":{"database":true,"redis":true,"external_services":{"anthropic_api":true,"firebase":true},"microservices":{"database":true}},"checks":{"disk_space_available":true},"metrics":{"memory_usage_mb":47.0},"verification":{"enabled":false,"mode":"shadow"}}"#,
        Healthy,
    ),
    (
        "detailed, verification null",
        Detail,
        200,
        JSON,
        r#"{"status":"healthy","dependencies":{"database":true},"checks":{},"verification":null}"#,
        Healthy,
    ),
    (
        "detailed degraded",
        Detail,
        200,
        JSON,
        r#"{"status":"degraded","dependencies":{"database":true,"microservices":{"database":false}},"checks":{"environment_variables":true}}"#,
        Degraded,
    ),
    (
        "a nested false behind a constant 'healthy'",
        Detail,
        200,
        JSON,
        r#"{"status":"healthy","dependencies":{"database":true,"microservices":{"database":false}}}"#,
        Degraded,
    ),
    (
        "a false check behind a constant 'healthy'",
        Detail,
        200,
        JSON,
        r#"{"status":"healthy","checks":{"disk_space_available":false}}"#,
        Degraded,
    ),
    ("full", Detail, 200, JSON, r#"{"status":"ok"}"#, Healthy),
    ("version tells nothing", Detail, 200, JSON, r#"{"version":"unknown","git_sha":"unknown"}"#, Unknown),
    ("root", Detail, 200, JSON, r#"{"message":"Olorin","status":"running"}"#, Healthy),
    (
        "api health",
        Detail,
        200,
        JSON,
        r#"{"status":"healthy","service":"x","timestamp":"2025-09-06T12:00:00","verification":{"enabled":false},"models":{"selected":"a"}}"#,
        Healthy,
    ),
    (
        "performance warning",
        Detail,
        200,
        JSON,
        r#"{"status":"warning","performance_monitoring":"active"}"#,
        Degraded,
    ),
    (
        "performance critical",
        Detail,
        200,
        JSON,
        r#"{"status":"critical","performance_monitoring":"active"}"#,
        Unhealthy,
    ),
    ("performance degraded", Detail, 200, JSON, r#"{"status":"degraded","error":"x"}"#, Degraded),
    (
        "smoke tests unhealthy",
        Detail,
        200,
        JSON,
        r#"{"status":"unhealthy","healthy_services":[],"critical_failures":[{"service":"a","failures":[{"test":"t","error":"e"}]}],"should_block_investigations":true}"#,
        Unhealthy,
    ),
    (
        "smoke tests block",
        Detail,
        200,
        JSON,
        r#"{"status":"healthy","should_block_investigations":true}"#,
        Unhealthy,
    ),
    ("smoke tests time out", Detail, 408, JSON, r#"{"detail":"timeout"}"#, Unhealthy),
    (
        "planned dialect ready",
        Ready,
        200,
        JSON,
        r#"{"status":"ready","checks":{"database":true,"external_services":true,"schema_validation":true}}"#,
        Healthy,
    ),
    (
        "planned dialect not ready",
        Ready,
        503,
        JSON,
        r#"{"detail":{"status":"not_ready","checks":{"database":false}}}"#,
        Unhealthy,
    ),
    (
        "planned dialect not ready with 200",
        Ready,
        200,
        JSON,
        r#"{"detail":{"status":"not_ready"}}"#,
        Unhealthy,
    ),
    ("planned dialect alive", Live, 200, JSON, r#"{"status":"alive"}"#, Healthy),
    ("planned dialect started", Live, 200, JSON, r#"{"status":"started"}"#, Healthy),
    ("planned dialect starting", Live, 503, JSON, r#"{"status":"starting"}"#, Unhealthy),
    ("log stream unhealthy", Detail, 503, JSON, r#"{"status":"unhealthy"}"#, Unhealthy),
    ("log stream too many probes", Detail, 429, JSON, r#"{"detail":"rate limit"}"#, Unknown),
    ("successor healthy", Detail, 200, JSON, r#"{"status":"healthy","app":"Bayit"}"#, Healthy),
    ("successor live", Live, 200, JSON, r#"{"status":"healthy","app":"Bayit","check":"liveness"}"#, Healthy),
    (
        "successor not ready",
        Ready,
        503,
        JSON,
        r#"{"status":"unhealthy","app":"Bayit","check":"readiness","services":{"mongodb":{"name":"mongodb","status":"unhealthy","latency_ms":3.2,"message":"no"}}}"#,
        Unhealthy,
    ),
    (
        "successor deep degraded",
        Detail,
        200,
        JSON,
        r#"{"status":"degraded","summary":{"total":3,"healthy":2,"degraded":1}}"#,
        Degraded,
    ),
    (
        "successor with a sick service behind 'healthy'",
        Detail,
        200,
        JSON,
        r#"{"status":"healthy","services":{"mongodb":{"status":"unhealthy"}}}"#,
        Degraded,
    ),
    (
        "front end: any path is the index page",
        Ready,
        200,
        Some("text/html; charset=utf-8"),
        "<!doctype html><html></html>",
        Unknown,
    ),
    ("a page without a content type", Ready, 200, None, "  <html>", Unknown),
    (
        "build metadata tells nothing about health",
        Ready,
        200,
        JSON,
        r#"{"buildTime":"t","environment":"production","nodeEnv":"production","gitCommit":"abc","buildVersion":"1.0.0","optimizations":{}}"#,
        Unknown,
    ),
    ("a script", Ready, 200, Some("application/javascript"), "var remoteEntry;", Unknown),
    ("plain ok", Ready, 200, Some("text/plain"), "OK\n", Healthy),
    ("plain words", Ready, 200, Some("text/plain"), "all good", Unknown),
    ("empty", Ready, 200, None, "", Unknown),
    ("no content", Live, 204, None, "", Unknown),
    ("an unknown status word", Ready, 200, JSON, r#"{"status":"wonderful"}"#, Unknown),
    ("a list", Ready, 200, JSON, "[true]", Unknown),
    ("a redirect", Ready, 302, None, "", Unknown),
    ("cut JSON", Ready, 200, JSON, r#"{"ready":tr"#, Unknown),
    ("bytes that are no text", Ready, 200, None, "\u{fffd}\u{0}", Unknown),
];

#[test]
fn every_body_says_what_it_must() {
    for (name, role, status, content_type, body, expected) in FIXTURES {
        let judgement = judge(*role, *status, *content_type, body.as_bytes());
        assert_eq!(judgement.health, *expected, "{name}: {}", judgement.reason);
        assert!(!judgement.reason.is_empty(), "{name}");
    }
}

#[test]
fn e13_deep_json_does_not_overflow() {
    let body = format!("{}true{}", "{\"dependencies\":".repeat(10_000), "}".repeat(10_000));
    assert_eq!(judge(Detail, 200, JSON, body.as_bytes()).health, Unknown);
}

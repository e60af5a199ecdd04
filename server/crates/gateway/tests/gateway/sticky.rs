//! Users who stay with the revision that they met, by cookie and by header.

use crate::support::*;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode};
use lockstep_model::{gateway::Route, manifest::Sticky};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

const NAME: &str = "shop_release";

fn canary(listen: &str, sticky: Sticky, backends: &[(&str, std::net::SocketAddr, u32)]) -> Route {
    Route { sticky: Some(sticky), ..route("web", listen, backends) }
}

fn with(header: &str, value: &str) -> Request<Full<Bytes>> {
    Request::get("/").header("host", "shop").header(header, value).body(Full::default()).unwrap()
}

/// Asks with a header of a user's; returns the version he met.
async fn ask_as(user: &mut User, header: &str, value: &str) -> String {
    let response = user.send(with(header, value)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(!response.headers().contains_key("set-cookie"), "who is known is given no cookie");
    response.into_body()
}

/// Asks without a cookie; returns the version and the cookie that was given.
async fn ask_new(user: &mut User) -> (String, String) {
    let request = Request::get("/").header("host", "shop").body(Full::default()).unwrap();
    let response = user.send(request).await.unwrap();
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");
    (response.into_body(), cookie.split(';').next().unwrap().to_owned())
}

#[tokio::test]
async fn a_cookie_keeps_users_with_the_new_revision_while_it_grows_and_lets_go_when_it_is_taken_back() {
    let up = Up::start().await;
    let (old, new, listen) = (says("old").await, says("new").await, free_address().await);
    let shares = |new_weight: u32| {
        let sticky = Sticky::Cookie(NAME.to_owned());
        canary(&listen, sticky, &[("old", old, 100 - new_weight), ("new", new, new_weight)])
    };
    up.set(shares(10)).await;
    let mut connection = User::connect(&listen).await;
    let mut users = Vec::new();
    for _ in 0..2_000 {
        users.push(ask_new(&mut connection).await);
    }
    let news = users.iter().filter(|(version, _)| version == "new").count();
    // Five standard deviations of 2,000 independent draws at 10 %.
    assert!(news.abs_diff(200) < 68, "{news} of 2,000 met the new one");
    let mut cookies: Vec<_> = users.iter().map(|(_, cookie)| cookie.clone()).collect();
    cookies.sort_unstable();
    cookies.dedup();
    assert_eq!(cookies.len(), users.len(), "everybody has a cookie of his own");

    up.set(shares(50)).await;
    let mut grown = 0;
    for (version, cookie) in &users {
        let now = ask_as(&mut connection, "cookie", &format!("theme=dark; {cookie}")).await;
        assert!(version == "old" || now == "new", "{cookie} met the new one before");
        assert_eq!(ask_as(&mut connection, "cookie", cookie).await, now, "he stays with it");
        grown += usize::from(now == "new");
    }
    assert!(grown.abs_diff(1_000) < 112, "{grown} of 2,000 at 50 %");

    for (share, expected) in [(100, "new"), (0, "old")] {
        up.set(shares(share)).await;
        for (_, cookie) in &users[..100] {
            assert_eq!(ask_as(&mut connection, "cookie", cookie).await, expected, "at {share} %");
        }
    }
    up.set(canary(&listen, Sticky::Cookie(NAME.to_owned()), &[("old", old, 100)])).await;
    for (_, cookie) in &users[..100] {
        assert_eq!(ask_as(&mut connection, "cookie", cookie).await, "old", "taken back");
    }
    assert_eq!(connection.get("shop").await.unwrap().1, "old");
}

#[tokio::test]
async fn a_header_decides_and_requests_without_it_follow_the_weights() {
    let up = Up::start().await;
    let (old, new, listen) = (says("old").await, says("new").await, free_address().await);
    up.set(canary(&listen, Sticky::Header("X-User".to_owned()), &[("old", old, 75), ("new", new, 25)])).await;
    let mut connection = User::connect(&listen).await;
    let mut news = 0;
    for number in 0..2_000 {
        let user = format!("user-{number}");
        let met = ask_as(&mut connection, "x-user", &user).await;
        if number % 10 == 0 {
            assert_eq!(ask_as(&mut connection, "X-USER", &user).await, met, "{user} stays");
        }
        news += usize::from(met == "new");
    }
    assert!(news.abs_diff(500) < 97, "{news} of 2,000 at 25 %");
    let mut by_turns = 0;
    for _ in 0..200 {
        by_turns += usize::from(connection.get("shop").await.unwrap().1 == "new");
    }
    assert_eq!(by_turns, 50);
}

#[tokio::test]
async fn the_cookie_stays_between_the_gateway_and_the_user() {
    let up = Up::start().await;
    let tells = program(|request| async move {
        let cookie = request.headers().get("cookie").map(|value| value.to_str().unwrap().to_owned());
        let mut answer = Response::new(full(cookie.unwrap_or_default()));
        answer.headers_mut().insert("set-cookie", "basket=7".parse().unwrap());
        answer
    });
    let (program, listen) = (tells.await, free_address().await);
    let both = [("old", program, 50), ("new", program, 50)];
    // The same program twice: only the revision's name tells them apart.
    up.set(canary(&listen, Sticky::Cookie(NAME.to_owned()), &both)).await;
    let mut user = User::connect(&listen).await;
    let sent = with("cookie", &format!("a=1; {NAME}=mine; b=2"));
    assert_eq!(user.send(sent).await.unwrap().into_body(), "a=1; b=2");
    let given = user.send(with("cookie", "a=1")).await.unwrap();
    let given: Vec<_> = given.headers().get_all("set-cookie").iter().map(|v| v.to_str().unwrap()).collect();
    assert!(given.len() == 2 && given[0] == "basket=7" && given[1].starts_with(NAME), "{given:?}");
    up.set(canary(&listen, Sticky::Cookie(NAME.to_owned()), &[("new", program, 100)])).await;
    let alone = user.send(with("cookie", &format!("{NAME}=mine; b=2"))).await.unwrap();
    assert_eq!(alone.headers().get_all("set-cookie").iter().count(), 1, "one revision: nobody is told apart");
    assert_eq!(alone.into_body(), "b=2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_a_canary_grows_and_is_taken_back_under_load() {
    let up = Up::start().await;
    let (old, new, listen) = (says("old").await, says("new").await, free_address().await);
    let sticky = || Sticky::Cookie(NAME.to_owned());
    up.set(canary(&listen, sticky(), &[("old", old, 100)])).await;
    let stop = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicUsize::new(0));
    let users: Vec<_> = (0..16)
        .map(|number| {
            let (listen, stop, sent) = (listen.clone(), Arc::clone(&stop), Arc::clone(&sent));
            let cookie = format!("{NAME}=user{number}");
            tokio::spawn(async move {
                let mut user = User::connect(&listen).await;
                while !stop.load(Ordering::Relaxed) {
                    let response = user.send(with("cookie", &cookie)).await.unwrap();
                    assert_eq!(response.status(), StatusCode::OK);
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for _ in 0..10 {
        for share in [10, 50, 100, 50, 0] {
            up.set(canary(&listen, sticky(), &[("old", old, 100 - share), ("new", new, share)])).await;
            let before = sent.load(Ordering::Relaxed);
            until("requests between switches", || async { sent.load(Ordering::Relaxed) > before + 16 }).await;
        }
        up.set(canary(&listen, sticky(), &[("old", old, 100)])).await;
    }
    stop.store(true, Ordering::Relaxed);
    for user in users {
        user.await.unwrap();
    }
    assert_eq!(up.traffic("old").await.unwrap().errors, 0);
}

#[tokio::test]
async fn stickiness_outlives_the_gateway() {
    let up = Up::start().await;
    let (old, new, listen) = (says("old").await, says("new").await, free_address().await);
    let both = [("old", old, 50), ("new", new, 50)];
    up.set(canary(&listen, Sticky::Cookie(NAME.to_owned()), &both)).await;
    let mut before = Vec::new();
    let mut connection = User::connect(&listen).await;
    for _ in 0..40 {
        before.push(ask_new(&mut connection).await);
    }
    drop(connection);
    let up = up.restart().await;
    let mut connection = User::connect(&listen).await;
    for (version, cookie) in &before {
        assert_eq!(ask_as(&mut connection, "cookie", cookie).await, *version);
    }
    drop(up);
}

//! A second way in, where people look at a revision that has no traffic.

use crate::support::*;
use hyper::StatusCode;
use lockstep_model::gateway::{GatewayRequest, GatewayResponse, Route};
use tokio::net::TcpStream;

async fn preview(up: &Up, route: Option<Route>) -> GatewayResponse {
    within(up.client.request(&GatewayRequest::Preview { slot: slot("web"), route })).await.unwrap()
}

fn refused(response: GatewayResponse) -> String {
    match response {
        GatewayResponse::Refused { message } => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_has_no_traffic_is_seen_at_its_own_address_until_that_is_closed() {
    let up = Up::start().await;
    let (old, new) = (says("old").await, says("new").await);
    let (listen, beside) = (free_address().await, free_address().await);
    up.set(route("web", &listen, &[("old", old, 100)])).await;
    let seen = preview(&up, Some(route("web", &beside, &[("new", new, 100)]))).await;
    assert_eq!(seen, GatewayResponse::Done { drained: true });
    assert_eq!(ask(&beside, "shop").await, (StatusCode::OK, "new".to_owned()));
    assert_eq!(ask(&listen, "shop").await, (StatusCode::OK, "old".to_owned()));
    let state = up.state().await;
    assert_eq!((state.routes.len(), state.previews.len()), (1, 1), "the users' way in is told apart");
    assert_eq!(state.routes[0].revisions.len(), 1);

    // It outlives the gateway, and the users' route changes without it.
    let up = up.restart().await;
    up.set(route("web", &listen, &[("new", new, 100)])).await;
    assert_eq!(ask(&beside, "shop").await.1, "new");
    for _twice in 0..2 {
        assert_eq!(preview(&up, None).await, GatewayResponse::Done { drained: true });
    }
    assert!(TcpStream::connect(&beside).await.is_err(), "nobody listens there any more");
    assert_eq!(ask(&listen, "shop").await.1, "new");
}

#[tokio::test]
async fn a_preview_where_users_come_in_or_of_another_service_is_refused() {
    let up = Up::start().await;
    let (old, listen) = (says("old").await, free_address().await);
    up.set(route("web", &listen, &[("old", old, 100)])).await;
    let said = refused(preview(&up, Some(route("web", &listen, &[("new", old, 100)]))).await);
    assert!(said.contains("the preview of shop/staging/web") && said.contains("already takes"), "{said}");
    let said = refused(preview(&up, Some(route("api", "127.0.0.1:9", &[]))).await);
    assert!(said.contains("one of shop/staging/api"), "{said}");
    assert_eq!(ask(&listen, "shop").await.1, "old");
}

//! Which routes make sense: read once at the border, so that nothing behind it meets a bad address
//! or weights that do not add up.

use crate::{routes_file::Routes, table::Stick};
use lockstep_model::{
    RevisionId,
    gateway::{Route, Slot},
    manifest::Sticky,
};
use std::{collections::BTreeMap, fmt, net::SocketAddr};

/// The weights of a route add up to this.
const WEIGHT_TOTAL: u32 = 100;
/// More revisions of one service at a time are a mistake of the caller.
const BACKENDS_MAX: usize = 16;
/// Routes of one gateway.
pub(crate) const ROUTES_MAX: usize = 1024;
/// RFC 1035, 2.3.4.
const HOST_BYTES_MAX: usize = 253;

/// What a way in to a slot is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// For its users.
    Users,
    /// For people who look at what has no traffic.
    Preview,
}

/// What tells one way in from all others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) slot: Slot,
    pub(crate) purpose: Purpose,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.purpose {
            Purpose::Users => write!(f, "the route of {}", self.slot),
            Purpose::Preview => write!(f, "the preview of {}", self.slot),
        }
    }
}

/// A route that makes sense by itself.
#[derive(Debug, Clone)]
pub(crate) struct CheckedRoute {
    pub(crate) key: Key,
    pub(crate) route: Route,
    pub(crate) listen: SocketAddr,
    /// Lower case, without port.
    pub(crate) host: Option<String>,
    pub(crate) backends: Vec<CheckedBackend>,
    pub(crate) stick: Option<Stick>,
}

#[derive(Debug, Clone)]
pub(crate) struct CheckedBackend {
    pub(crate) revision: RevisionId,
    pub(crate) address: SocketAddr,
    pub(crate) weight: u32,
}

/// Checks `route` by itself; the text says what is wrong and what to do.
pub(crate) fn check(route: Route, purpose: Purpose) -> Result<CheckedRoute, String> {
    let key = Key { slot: route.slot.clone(), purpose };
    let refused = |reason| format!("{key} was not set: {reason}");
    let listen = address(&route.listen, "listen").map_err(refused)?;
    let host = route.host.as_deref().map(host_name).transpose().map_err(refused)?;
    let backends = backends(&route).map_err(refused)?;
    let stick = route.sticky.as_ref().map(stick).transpose().map_err(refused)?;
    Ok(CheckedRoute { key, listen, host, backends, stick, route })
}

/// Checks `candidate` beside the routes that stay.
pub(crate) fn check_beside<'a>(
    candidate: &CheckedRoute,
    others: impl Iterator<Item = &'a CheckedRoute>,
) -> Result<(), String> {
    let key = &candidate.key;
    let mut count = 1;
    for other in others {
        count += 1;
        if other.listen == candidate.listen && other.host == candidate.host {
            let what =
                candidate.host.as_deref().map_or("without a host".to_owned(), |host| format!("'{host}'"));
            return Err(format!(
                "{key} was not set: {} already takes requests {what} on {}; give the two different hosts or addresses",
                other.key, candidate.listen
            ));
        }
    }
    if count > ROUTES_MAX {
        return Err(format!("{key} was not set: a gateway has at most {ROUTES_MAX} routes"));
    }
    Ok(())
}

/// Checks a whole table, as it is read from its file.
pub(crate) fn check_all(routes: Routes) -> Result<BTreeMap<Key, CheckedRoute>, String> {
    let mut table = BTreeMap::<Key, CheckedRoute>::new();
    let Routes { routes, previews } = routes;
    let users = routes.into_iter().map(|route| (route, Purpose::Users));
    for (route, purpose) in users.chain(previews.into_iter().map(|route| (route, Purpose::Preview))) {
        let checked = check(route, purpose)?;
        check_beside(&checked, table.values())?;
        let key = checked.key.clone();
        if table.insert(key.clone(), checked).is_some() {
            return Err(format!("{key} is there twice"));
        }
    }
    Ok(table)
}

fn address(text: &str, what: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| format!("{what} '{text}' is not an address; write IP and port, as 127.0.0.1:8080"))?;
    if address.port() == 0 {
        return Err(format!("{what} '{text}' has port 0; name the port"));
    }
    Ok(address)
}

fn host_name(text: &str) -> Result<String, String> {
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':' | b'[' | b']');
    let name = crate::proxy::host_without_port(text).to_ascii_lowercase();
    if name.is_empty() || name.len() > HOST_BYTES_MAX || !name.bytes().all(known) {
        return Err(format!(
            "host '{}' is not a host name; write it as shop.example.com",
            text.escape_debug()
        ));
    }
    Ok(name)
}

/// By what users are told apart. A cookie is the gateway's own, so it has a name of its own.
fn stick(sticky: &Sticky) -> Result<Stick, String> {
    match sticky {
        Sticky::Cookie(name) => {
            // RFC 6265, 4.1.1: a token, which is what a header's name is, too.
            let is_token = http::HeaderName::from_bytes(name.as_bytes()).is_ok();
            if !is_token || crate::proxy::is_own_cookie(name) {
                let shown = name.escape_debug();
                return Err(format!(
                    "'{shown}' cannot be the name of its cookie; choose one as shop_release"
                ));
            }
            Ok(Stick::Cookie(name.as_str().into()))
        }
        Sticky::Header(name) => http::HeaderName::from_bytes(name.as_bytes())
            .map(Stick::Header)
            .map_err(|_| format!("'{}' is not the name of a header", name.escape_debug())),
    }
}

fn backends(route: &Route) -> Result<Vec<CheckedBackend>, String> {
    if route.backends.len() > BACKENDS_MAX {
        return Err(format!("it has {} backends; at most {BACKENDS_MAX} are possible", route.backends.len()));
    }
    let mut backends = Vec::<CheckedBackend>::with_capacity(route.backends.len());
    let mut total = 0_u32;
    for backend in &route.backends {
        if backends.iter().any(|other| other.revision == backend.revision) {
            return Err(format!("revision {} is named twice", backend.revision));
        }
        let address = address(&backend.address, &format!("the address of {}", backend.revision))?;
        if route.listen.parse() == Ok(address) {
            return Err(format!("{} is at {address}, where the gateway itself listens", backend.revision));
        }
        total = total.saturating_add(backend.weight);
        backends.push(CheckedBackend { revision: backend.revision.clone(), address, weight: backend.weight });
    }
    if !backends.is_empty() && total != WEIGHT_TOTAL {
        return Err(format!("its weights add up to {total} instead of {WEIGHT_TOTAL}"));
    }
    Ok(backends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_model::gateway::Backend;

    fn route(service: &str, listen: &str, host: Option<&str>, backends: &[(&str, &str, u32)]) -> Route {
        Route {
            slot: Slot {
                project: "shop".parse().unwrap(),
                environment: "staging".parse().unwrap(),
                service: service.parse().unwrap(),
            },
            listen: listen.to_owned(),
            host: host.map(str::to_owned),
            backends: backends
                .iter()
                .map(|(revision, address, weight)| Backend {
                    revision: revision.parse().unwrap(),
                    address: (*address).to_owned(),
                    weight: *weight,
                })
                .collect(),
            sticky: None,
            drain_timeout_ms: 1000,
        }
    }

    fn users(routes: Vec<Route>) -> Routes {
        Routes { routes, previews: vec![] }
    }

    #[test]
    fn routes_that_make_no_sense_are_refused_with_the_reason() {
        let near = "127.0.0.1:9";
        let cases = [
            (route("a", "localhost:80", None, &[]), "is not an address"),
            (route("a", "127.0.0.1:0", None, &[]), "port 0"),
            (route("a", near, Some("sh op"), &[]), "is not a host name"),
            (route("a", near, Some(""), &[]), "is not a host name"),
            (route("a", near, None, &[("r1", "127.0.0.1:1", 99)]), "add up to 99"),
            (
                route("a", near, None, &[("r1", "127.0.0.1:1", u32::MAX), ("r2", "127.0.0.1:2", 101)]),
                "add up",
            ),
            (route("a", near, None, &[("r1", "127.0.0.1:1", 50), ("r1", "127.0.0.1:2", 50)]), "named twice"),
            (route("a", near, None, &[("r1", "nowhere", 100)]), "the address of r1"),
            (route("a", near, None, &[("r1", near, 100)]), "the gateway itself listens"),
        ];
        for (route, reason) in cases {
            let refused = check(route, Purpose::Users).unwrap_err();
            assert!(refused.contains(reason), "{refused}");
            assert!(refused.contains("shop/staging/a"), "{refused}");
        }
    }

    #[test]
    fn users_are_told_apart_by_names_that_can_be_and_are_free() {
        let sticky = |sticky| {
            check(Route { sticky: Some(sticky), ..route("a", "127.0.0.1:9", None, &[]) }, Purpose::Users)
        };
        for name in ["", "a b", "a;b", "a=b", "lockstep", "__Host-lockstep"] {
            let refused = sticky(Sticky::Cookie(name.to_owned())).unwrap_err();
            assert!(refused.contains("name of its cookie"), "{refused}");
        }
        assert!(
            sticky(Sticky::Header("x user".to_owned())).unwrap_err().contains("not the name of a header")
        );
        assert!(sticky(Sticky::Cookie("shop_Release".to_owned())).is_ok());
        assert!(sticky(Sticky::Header("X-User".to_owned())).is_ok());
    }

    #[test]
    fn two_routes_share_an_address_only_with_different_hosts() {
        let near = "127.0.0.1:9";
        let shared = check_all(users(vec![
            route("a", near, None, &[]),
            route("b", near, Some("B.example.com:9"), &[]),
            route("c", near, Some("c.example.com"), &[]),
        ]));
        assert_eq!(shared.unwrap().len(), 3);
        let clash = check_all(users(vec![
            route("a", near, Some("b.example.com"), &[]),
            route("b", near, Some("B.EXAMPLE.com"), &[]),
        ]));
        assert!(clash.unwrap_err().contains("already takes requests 'b.example.com'"));
        let other = "127.0.0.1:8";
        let twice = check_all(users(vec![route("a", near, None, &[]), route("A", other, None, &[])]));
        assert!(twice.unwrap_err().contains("there twice"));
        let beside = |listen| Routes {
            routes: vec![route("a", near, None, &[])],
            previews: vec![route("a", listen, None, &[])],
        };
        assert_eq!(check_all(beside(other)).unwrap().len(), 2);
        assert!(check_all(beside(near)).unwrap_err().contains("the preview of shop/staging/a was not set"));
    }
}

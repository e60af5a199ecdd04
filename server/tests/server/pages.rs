//! Pages as the server writes them, asked for by many at once.

use crate::support::Lockstep;
use lockstep_model::access::Role;

const READERS: usize = 8;
const ROUNDS: usize = 25;

/// The head of a page is written by another thread than its body now and then; it must not look into
/// somebody else's page for that, nor into none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_has_its_own_title_however_many_are_written_at_once() {
    const PAGES: [(&str, &str); 7] = [
        ("/", "Overview"),
        ("/deployments", "Deployments"),
        ("/deployments/new", "New deployment"),
        ("/services", "Services"),
        ("/restrictions", "Locks, holds and freezes"),
        ("/graph", "Dependencies"),
        ("/settings", "Settings"),
    ];
    let server = Lockstep::start();
    let cookie = server.sign_in("reader", Role::Viewer).await;
    let readers = (0..READERS).map(|reader| {
        let (client, url, cookie) = (reqwest::Client::new(), server.url(), cookie.clone());
        tokio::spawn(async move {
            for round in 0..ROUNDS {
                let (path, title) = PAGES[(reader + round) % PAGES.len()];
                let answer = client.get(format!("{url}{path}")).header("cookie", &cookie).send();
                let answer = answer.await.expect("an answer");
                assert_eq!(answer.status(), 200, "{path}");
                let page = answer.text().await.expect("text");
                let wanted = format!("<title>{title} – Lockstep</title>");
                assert!(page.contains(&wanted), "{path}: {}", title_of(&page));
            }
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await.expect("every page came");
    }
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

fn title_of(page: &str) -> &str {
    let from = page.find("<title>").unwrap_or(0);
    page.get(from..(from + 120).min(page.len())).unwrap_or(page)
}

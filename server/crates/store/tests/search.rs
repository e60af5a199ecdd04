//! Every order of the history on every store: in pages, between neighbours, with equal values; and what
//! a facet of services counts.

use lockstep_engine::{port::Store, search::Search, testing::Story, view};
use lockstep_model::{
    DeploymentId, Timestamp,
    access::Sight,
    api::{ListDeployments, Sort},
    deployment::Phase,
    view::{DeploymentSummary, Facet},
};
use lockstep_store::SqliteStore;
use tempfile::TempDir;

const COUNT: i64 = 60;
const SORTS: [Sort; 12] = [
    Sort::Newest,
    Sort::Oldest,
    Sort::Longest,
    Sort::Shortest,
    Sort::Environment,
    Sort::EnvironmentDown,
    Sort::Phase,
    Sort::PhaseDown,
    Sort::By,
    Sort::ByDown,
    Sort::Widest,
    Sort::Narrowest,
];

/// Deployments with many equal values, in names that differ by their capitals, too.
fn rows() -> Vec<DeploymentSummary> {
    let template = view::summary(DeploymentId(1), Story::chain(4).state());
    let of = |all: &[&str], number: i64| all[usize::try_from(number).expect("small") % all.len()].to_owned();
    let phases = [Phase::Succeeded, Phase::Failed, Phase::RolledBack, Phase::Cancelled];
    (1..=COUNT)
        .map(|number| {
            let mut row = template.clone();
            row.id = DeploymentId(number);
            row.phase = phases[usize::try_from(number / 2).expect("small") % phases.len()];
            row.environment =
                of(&["staging", "Production", "qa", "production"], number).parse().expect("valid");
            row.by.user = of(&["anna", "Zoe", "ben"], number / 3).parse().expect("valid");
            row.by.via = of(&["browser", "token ci", "Local", "token deploy"], number / 2);
            for (place, change) in row.services.iter_mut().enumerate() {
                change.to =
                    of(&["1.0", "1.1", "2.0"], number + i64::try_from(place).expect("small")).parse().ok();
            }
            row.services.truncate(1 + usize::try_from(number).expect("small") % 4);
            row.clocks.requested_at = Timestamp(number * 1_000);
            row.clocks.started_at = Some(row.clocks.requested_at);
            let took = u64::try_from(number % 5).expect("small") * 100;
            row.clocks.finished_at = (number % 7 > 0).then(|| row.clocks.requested_at.plus_ms(took));
            row
        })
        .collect()
}

async fn store(folder: &TempDir) -> SqliteStore {
    let store = SqliteStore::open(folder.path()).await.expect("opened");
    store.history_fill(&rows()).await.expect("filled");
    store
}

/// All ids of a list, page by page.
async fn walked(store: &SqliteStore, request: &ListDeployments) -> Vec<DeploymentId> {
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let search =
            Search::of(&ListDeployments { cursor, ..request.clone() }, Sight::everything()).expect("valid");
        let page = store.deployment_list(&search).await.expect("readable");
        seen.extend(page.deployments.iter().map(|row| row.id));
        cursor = page.next;
        if cursor.is_none() {
            return seen;
        }
    }
}

#[tokio::test]
async fn every_order_is_the_same_in_pages_at_once_and_between_neighbours() {
    let folder = TempDir::new().expect("a folder");
    let store = store(&folder).await;
    let all = rows();
    let narrowed = ListDeployments { environment: "PRODUCTION".parse().ok(), ..ListDeployments::default() };
    for sort in SORTS {
        for request in [ListDeployments::default(), narrowed.clone()] {
            let request = ListDeployments { sort, limit: 7, ..request };
            let search = Search::of(&request, Sight::everything()).expect("valid");
            let mut expected: Vec<&DeploymentSummary> = all.iter().filter(|row| search.finds(row)).collect();
            expected.sort_by(|a, b| search.compare(&search.place(a), &search.place(b)));
            let expected: Vec<DeploymentId> = expected.iter().map(|row| row.id).collect();
            assert_eq!(walked(&store, &request).await, expected, "{sort:?}");
            for (place, id) in expected.iter().enumerate() {
                let row = all.iter().find(|row| row.id == *id).expect("there");
                let beside = store.deployment_neighbours(&search, row).await.expect("readable");
                let previous = place.checked_sub(1).map(|before| expected[before]);
                assert_eq!(beside.previous, previous, "{sort:?} before {id}");
                assert_eq!(beside.next, expected.get(place + 1).copied(), "{sort:?} after {id}");
            }
        }
    }
}

#[tokio::test]
async fn words_go_from_a_to_z_and_the_newest_of_each_come_first() {
    let folder = TempDir::new().expect("a folder");
    let store = store(&folder).await;
    let all = rows();
    let user = |id: &DeploymentId| {
        let row = all.iter().find(|row| row.id == *id).expect("there");
        row.by.user.as_str().to_ascii_lowercase()
    };
    for (sort, first, last) in [(Sort::By, "anna", "zoe"), (Sort::ByDown, "zoe", "anna")] {
        let ids = walked(&store, &ListDeployments { sort, limit: 9, ..ListDeployments::default() }).await;
        assert_eq!((user(&ids[0]).as_str(), user(&ids[ids.len() - 1]).as_str()), (first, last));
        let is_newest_first = |pair: &[DeploymentId]| user(&pair[0]) != user(&pair[1]) || pair[0] > pair[1];
        assert!(ids.windows(2).all(is_newest_first), "{sort:?}: {ids:?}");
    }
}

#[tokio::test]
async fn a_facet_of_services_counts_what_choosing_one_would_find() {
    let folder = TempDir::new().expect("a folder");
    let store = store(&folder).await;
    let services: Vec<_> = rows()[2].services.iter().map(|change| change.service.clone()).collect();
    let narrowed = ListDeployments { phase: Some(Phase::Failed), count: true, ..ListDeployments::default() };
    let chosen = ListDeployments { service: Some(services[1].clone()), ..narrowed.clone() };
    for request in [ListDeployments { phase: None, ..narrowed.clone() }, narrowed, chosen] {
        let search = Search::of(&request, Sight::everything()).expect("valid");
        let facets = store.deployment_list(&search).await.expect("readable").facets.expect("counted");
        assert_eq!(facets.services.len(), 4);
        for Facet { value, count } in facets.services {
            let one = ListDeployments { service: value.parse().ok(), ..request.clone() };
            let search = Search::of(&one, Sight::everything()).expect("valid");
            let total = store.deployment_list(&search).await.expect("readable").total;
            assert_eq!(total, Some(count), "{value}");
        }
    }
}

#[tokio::test]
async fn facets_of_versions_and_triggers_count_what_choosing_one_would_find() {
    let folder = TempDir::new().expect("a folder");
    let store = store(&folder).await;
    let service = rows()[2].services[1].service.clone();
    let all = ListDeployments { count: true, ..ListDeployments::default() };
    let asked = [
        all.clone(),
        ListDeployments { phase: Some(Phase::Failed), ..all.clone() },
        ListDeployments { service: Some(service), ..all.clone() },
        ListDeployments { trigger: Some("TOKEN".to_owned()), version: "1.1".parse().ok(), ..all.clone() },
        ListDeployments { q: Some("trigger:local version:2.0".to_owned()), ..all.clone() },
        ListDeployments { since: Some(Timestamp(20_000)), ..all },
    ];
    for request in asked {
        let found = async |request: &ListDeployments| {
            let search = Search::of(request, Sight::everything()).expect("valid");
            let page = store.deployment_list(&search).await.expect("readable");
            let expected = rows().iter().filter(|row| search.finds(row)).count();
            assert_eq!(page.total, u64::try_from(expected).ok(), "{request:?}");
            page
        };
        let facets = found(&request).await.facets.expect("counted");
        assert!(facets.versions.len() == 3 && !facets.triggers.is_empty(), "{request:?}: {facets:?}");
        let is_worded = request.q.is_some();
        for Facet { value, count } in facets.versions.into_iter().filter(|_| !is_worded) {
            let one = ListDeployments { version: value.parse().ok(), ..request.clone() };
            assert_eq!(found(&one).await.total, Some(count), "{value} of {request:?}");
        }
        for Facet { value, count } in facets.triggers.into_iter().filter(|_| !is_worded) {
            let one = ListDeployments { trigger: Some(value.clone()), ..request.clone() };
            assert_eq!(found(&one).await.total, Some(count), "{value} of {request:?}");
        }
    }
}

#[tokio::test]
async fn what_was_there_before_is_sorted_and_counted_too() {
    let folder = TempDir::new().expect("a folder");
    store(&folder).await.close().await;
    // As a version without orders and facets left it.
    let file = folder.path().join("lockstep.db");
    let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", file.display())).await.expect("opened");
    for statement in [
        "DROP INDEX search_by_set",
        "DROP INDEX search_by_services",
        "DROP INDEX search_by_environment",
        "DROP INDEX search_by_environment_down",
        "DROP INDEX search_by_phase",
        "DROP INDEX search_by_phase_down",
        "DROP INDEX search_by_account",
        "DROP INDEX search_by_account_down",
        "DROP INDEX search_by_via",
        "DROP INDEX deployed_by_version",
        "DROP INDEX deployed_by_deployment",
        "ALTER TABLE search DROP COLUMN via",
        "ALTER TABLE search DROP COLUMN service_set",
        "ALTER TABLE search DROP COLUMN services",
        "DROP TABLE service_set",
        "DELETE FROM _sqlx_migrations WHERE version IN (21, 64)",
    ] {
        sqlx::query(statement).execute(&pool).await.expect(statement);
    }
    pool.close().await;
    let store = SqliteStore::open(folder.path()).await.expect("moved on");
    let request = ListDeployments { sort: Sort::Widest, count: true, ..ListDeployments::default() };
    let page = store
        .deployment_list(&Search::of(&request, Sight::everything()).expect("valid"))
        .await
        .expect("readable");
    assert_eq!(page.deployments[0].services.len(), 4);
    let facets = page.facets.expect("counted");
    let triggers: Vec<&str> = facets.triggers.iter().map(|facet| facet.value.as_str()).collect();
    assert_eq!(triggers, ["token", "browser", "local"]);
    let counts: Vec<u64> = facets.services.iter().map(|facet| facet.count).collect();
    let per = u64::try_from(COUNT / 4).expect("positive");
    assert_eq!(counts, [4 * per, 3 * per, 2 * per, per]);
}

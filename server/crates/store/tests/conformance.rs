//! What every store of deployments promises, asked of each there is: SQLite on a real file, and the
//! one in memory that other tests lean on. A store that joins later passes the same.

use lockstep_engine::{
    Effect,
    port::{
        Commit, CommitError, CommitTo, Store, StoreError, store::Abandoned, store::AuditEntry,
        store::AuditQuery, store::Claim, store::Idempotency, store::ManifestRow,
    },
    replay,
    rows::rows,
    search::Search,
    testing::{Story, actor, command_spec, digest, manifest, process_spec},
};
use lockstep_model::{
    Attempt, DeploymentId, Digest, Epoch, Seq, Timestamp,
    access::{Grant, Rights, Role, Scope, Sight},
    api::{ListDeployments, Sort},
    deployment::Phase,
    event::Envelope,
    manifest::ManifestRevision,
};
use lockstep_store::SqliteStore;
use lockstep_testkit::MemoryStore;
use std::{collections::BTreeMap, sync::Arc};
use tempfile::TempDir;

struct Subject {
    name: &'static str,
    store: Arc<dyn Store>,
    _folder: Option<TempDir>,
}

async fn subjects() -> Vec<Subject> {
    let folder = TempDir::new().expect("a folder");
    let sqlite = SqliteStore::open(folder.path()).await.expect("opened");
    vec![
        Subject { name: "sqlite", store: Arc::new(sqlite), _folder: Some(folder) },
        Subject { name: "memory", store: Arc::new(MemoryStore::default()), _folder: None },
    ]
}

/// A commit of the events of `journal` from `from` on.
fn commit(to: CommitTo, journal: &[Envelope], from: usize) -> Commit {
    let state = replay(journal.to_vec()).expect("a legal journal");
    let id = match &to {
        CommitTo::New { .. } => DeploymentId(0),
        CommitTo::Existing { id, .. } => *id,
    };
    Commit {
        to,
        rows: rows(id, &state, &journal[from..]),
        events: journal[from..].to_vec(),
        effects: Vec::new(),
        done: Vec::new(),
        audit: vec![entry("/deployment/start")],
        rights: Vec::new(),
        idempotency: None,
    }
}

fn entry(action: &str) -> AuditEntry {
    AuditEntry {
        at: Timestamp(1),
        actor: actor(),
        action: action.to_owned(),
        target: "test".to_owned(),
        reason: None,
        allowed: true,
        right: None,
    }
}

fn new(story: &Story) -> CommitTo {
    let plan = &story.state().plan;
    CommitTo::New {
        project: plan.project.clone(),
        environment: plan.environment.clone(),
        owner: "one".to_owned(),
    }
}

fn existing(id: DeploymentId, epoch: Epoch, after: usize) -> CommitTo {
    CommitTo::Existing { id, epoch, after_seq: Seq(i64::try_from(after).expect("small")) }
}

fn all() -> Search {
    Search::default()
}

#[tokio::test]
async fn a_journal_is_kept_and_the_rows_are_what_it_tells() {
    for Subject { name, store, .. } in subjects().await {
        let manifest = manifest(3, &[(1, 0), (2, 1)], &process_spec());
        let story = Story::of(&manifest, BTreeMap::new()).started().run_to_the_end();
        let journal = story.journal();
        let first = store.commit(&commit(new(&story), &journal[..1], 0)).await.expect("made");
        for end in 2..=journal.len() {
            let next = commit(existing(first.id, first.epoch, end - 1), &journal[..end], end - 1);
            store.commit(&next).await.unwrap_or_else(|error| panic!("{name}, event {end}: {error}"));
        }
        let kept = store.deployment_events(first.id, Seq(0)).await.expect("readable");
        assert_eq!(kept, journal, "{name}");
        let places = store.event_places(first.id).await.expect("readable");
        assert!(
            places.len() == kept.len() && places.is_sorted_by(|one, next| one.position < next.position),
            "{name}: {places:?}"
        );
        let state = replay(kept).expect("a legal journal");
        let row = store.deployment_fetch(first.id).await.expect("readable").expect("there");
        assert_eq!(row, lockstep_engine::view::summary(first.id, &state), "{name}");
        let steps = store.step_list(first.id).await.expect("readable");
        assert!(steps.iter().all(|row| row.status == state.steps[row.step as usize]), "{name}");
        let tail = store.deployment_events(first.id, Seq(3)).await.expect("readable");
        assert_eq!(tail, journal[3..], "{name}");
        let serving = store.serving_list(None, None).await.expect("readable");
        assert_eq!(serving.len(), 3, "{name}");
        assert!(serving.iter().all(|row| row.serving.as_ref().is_some_and(|s| s.deployment == first.id)));
        for row in &serving {
            assert_eq!(store.serving_show(&row.slot).await.expect("readable"), row.serving, "{name}");
        }
        assert_eq!(store.checkpoint_of(first.id).await.expect("readable").len(), 3, "{name}");
        assert!(store.retirement_list().await.expect("readable").is_empty(), "{name}: nothing served before");

        let serving = serving.into_iter().filter_map(|row| Some((row.slot.service, row.serving?))).collect();
        let story = Story::of(&manifest, serving).started().run_to_the_end();
        let second = store.commit(&commit(new(&story), &story.journal()[..1], 0)).await.expect("made");
        let rest = commit(existing(second.id, second.epoch, 1), story.journal(), 1);
        store.commit(&rest).await.expect("stored");
        // What served before is to be ended some day; what serves now is not.
        let retirements = store.retirement_list().await.expect("readable");
        assert_eq!(retirements.len(), 3, "{name}");
        for (slot, serving, _) in retirements {
            store.retirement_done(&slot, &serving, Timestamp(9)).await.expect("noted");
        }
        assert!(store.retirement_list().await.expect("readable").is_empty(), "{name}");
    }
}

#[tokio::test]
async fn what_a_command_deployed_leaves_nothing_to_be_ended() {
    for Subject { name, store, .. } in subjects().await {
        let manifest = manifest(2, &[], &command_spec());
        for round in 0..2 {
            let rows = store.serving_list(None, None).await.expect("readable");
            assert_eq!(rows.len(), 2 * round, "{name}");
            let serving = rows.into_iter().filter_map(|row| Some((row.slot.service, row.serving?))).collect();
            let story = Story::of(&manifest, serving).started().run_to_the_end();
            store.commit(&commit(new(&story), story.journal(), 0)).await.expect("made");
        }
        assert!(store.retirement_list().await.expect("readable").is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_stale_owner_and_a_stale_journal_change_nothing() {
    for Subject { name, store, .. } in subjects().await {
        let story = Story::chain(1).started();
        let journal = story.journal();
        let first = store.commit(&commit(new(&story), &journal[..1], 0)).await.expect("made");
        let epoch = owned(store.deployment_claim(first.id, "two", Timestamp(0)).await, name);
        assert!(epoch > first.epoch, "{name}");
        let stale = commit(existing(first.id, first.epoch, 1), &journal[..2], 1);
        assert!(
            matches!(store.commit(&stale).await, Err(CommitError::StaleEpoch { .. })),
            "{name}: an owner that was replaced"
        );
        let gap = commit(existing(first.id, epoch, 2), &journal[..3], 2);
        assert!(matches!(store.commit(&gap).await, Err(CommitError::SeqConflict { .. })), "{name}: a gap");
        let row = store.deployment_fetch(first.id).await.expect("readable").expect("there");
        assert_eq!((row.phase, row.seq), (Phase::Queued, Seq(1)), "{name}");
        store.commit(&commit(existing(first.id, epoch, 1), &journal[..2], 1)).await.expect("the owner");
        let again = commit(existing(first.id, epoch, 1), &journal[..2], 1);
        assert!(matches!(store.commit(&again).await, Err(CommitError::SeqConflict { .. })), "{name}: twice");
        let places = store.event_places(first.id).await.expect("readable");
        let written: Vec<Epoch> = places.iter().map(|place| place.epoch).collect();
        assert_eq!(written, [first.epoch, epoch], "{name}: who wrote what");
    }
}

fn owned(claim: Result<Claim, StoreError>, name: &str) -> Epoch {
    match claim.expect("answered") {
        Claim::Owned(epoch) => epoch,
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test]
async fn a_deployment_is_taken_over_when_its_lease_has_run_out_and_not_before() {
    for Subject { name, store, .. } in subjects().await {
        let story = Story::chain(1).started();
        let journal = story.journal();
        // Never begun: anybody may take it, as from a version without leases.
        store.lease_begin("one", Timestamp(100), false).await.expect("begun");
        let made = store.commit(&commit(new(&story), &journal[..1], 0)).await.expect("made");
        let leased = Claim::Leased { owner: "one".to_owned() };
        store.lease_begin("two", Timestamp(100), false).await.expect("begun");
        for early in [0, 99] {
            let claim = store.deployment_claim(made.id, "two", Timestamp(early)).await.expect("answered");
            assert_eq!(claim, leased, "{name} at {early}");
        }
        // Its own owner may always.
        assert_eq!(owned(store.deployment_claim(made.id, "one", Timestamp(0)).await, name), Epoch(2));
        assert!(store.lease_renew("one", Timestamp(200)).await.expect("answered"), "{name}");
        let claim = store.deployment_claim(made.id, "two", Timestamp(199)).await.expect("answered");
        assert_eq!(claim, leased, "{name}: renewed");
        // Late, and nobody noticed.
        assert!(store.lease_renew("one", Timestamp(300)).await.expect("answered"), "{name}");
        assert_eq!(owned(store.deployment_claim(made.id, "two", Timestamp(300)).await, name), Epoch(3));
        assert!(!store.lease_renew("one", Timestamp(400)).await.expect("answered"), "{name}: replaced");
        let stale = commit(existing(made.id, Epoch(2), 1), &journal[..2], 1);
        assert!(matches!(store.commit(&stale).await, Err(CommitError::StaleEpoch { .. })), "{name}");
        assert_eq!(store.deployment_events(made.id, Seq(0)).await.expect("readable").len(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_lease_that_was_ended_or_whose_owner_is_gone_keeps_nobody_waiting() {
    for Subject { name, store, .. } in subjects().await {
        let story = Story::chain(1).started();
        store.lease_begin("one", Timestamp(100), true).await.expect("begun");
        let made = store.commit(&commit(new(&story), &story.journal()[..1], 0)).await.expect("made");
        store.lease_end("one").await.expect("ended");
        store.lease_begin("two", Timestamp(100), false).await.expect("begun");
        assert_eq!(owned(store.deployment_claim(made.id, "two", Timestamp(0)).await, name), Epoch(2));
        // The third is alone: the second is gone, whatever its lease says.
        store.lease_begin("three", Timestamp(100), true).await.expect("begun");
        assert_eq!(owned(store.deployment_claim(made.id, "three", Timestamp(0)).await, name), Epoch(3));
        assert!(!store.lease_renew("two", Timestamp(200)).await.expect("answered"), "{name}");
    }
}

#[tokio::test]
async fn one_deployment_is_live_in_an_environment_and_others_wait() {
    for Subject { name, store, .. } in subjects().await {
        let story = Story::chain(1).started();
        let journal = story.journal();
        let one = store.commit(&commit(new(&story), &journal[..1], 0)).await.expect("made");
        let two = store.commit(&commit(new(&story), &journal[..1], 0)).await.expect("may wait");
        store.commit(&commit(existing(one.id, one.epoch, 1), &journal[..2], 1)).await.expect("started");
        let busy = store.commit(&commit(existing(two.id, two.epoch, 1), &journal[..2], 1)).await;
        assert!(
            matches!(busy, Err(CommitError::EnvironmentBusy { live }) if live == one.id),
            "{name}: {busy:?}"
        );
        let unfinished: Vec<_> =
            store.deployment_unfinished().await.expect("readable").into_iter().map(|row| row.id).collect();
        assert_eq!(unfinished, [one.id, two.id], "{name}");
    }
}

#[tokio::test]
async fn a_finished_deployment_never_changes() {
    for Subject { name, store, .. } in subjects().await {
        let story = Story::chain(1).started().run_to_the_end();
        let journal = story.journal();
        let made = store.commit(&commit(new(&story), &journal[..1], 0)).await.expect("made");
        store.commit(&commit(existing(made.id, made.epoch, 1), journal, 1)).await.expect("ended");
        let claim = store.deployment_claim(made.id, "two", Timestamp(i64::MAX)).await.expect("answered");
        assert_eq!(claim, Claim::Finished, "{name}");
        let mut more = journal.to_vec();
        let last = more.last().expect("events").clone();
        more.push(Envelope { seq: last.seq.next(), ..last });
        let late = Commit {
            events: more[journal.len()..].to_vec(),
            ..commit(existing(made.id, made.epoch, journal.len()), journal, journal.len())
        };
        assert!(store.commit(&late).await.is_err(), "{name}");
        assert_eq!(store.deployment_events(made.id, Seq(0)).await.expect("readable"), journal, "{name}");
        assert!(store.deployment_unfinished().await.expect("readable").is_empty(), "{name}");
    }
}

#[tokio::test]
async fn one_that_is_given_up_has_ended_and_what_it_changed_is_not_known() {
    for Subject { name, store, .. } in subjects().await {
        let story = Story::chain(2).started();
        let journal = story.journal();
        let mut first = commit(new(&story), journal, 0);
        first.effects = story.pending().to_vec();
        let made = store.commit(&first).await.expect("made");
        assert!(!store.effect_pending(made.id).await.expect("readable").is_empty(), "{name}");
        let by = actor().user;
        let abandoned = Abandoned { id: made.id, at: Timestamp(9), by, reason: "damaged".to_owned() };
        assert_eq!(store.deployment_abandoned(made.id).await.expect("readable"), None, "{name}");
        let audit = || entry("/deployment/abandon");
        assert!(store.deployment_abandon(&abandoned, audit()).await.expect("written"), "{name}");
        assert!(!store.deployment_abandon(&abandoned, audit()).await.expect("readable"), "{name}: twice");
        assert_eq!(store.deployment_abandoned(made.id).await.expect("readable"), Some(abandoned), "{name}");

        let row = store.deployment_fetch(made.id).await.expect("readable").expect("there");
        assert_eq!((row.phase, row.clocks.finished_at), (Phase::Failed, Some(Timestamp(9))), "{name}");
        assert!(store.deployment_unfinished().await.expect("readable").is_empty(), "{name}");
        assert!(store.effect_pending(made.id).await.expect("readable").is_empty(), "{name}");
        let found = Search { phase: Some(Phase::Failed), ..all() };
        assert_eq!(store.deployment_list(&found).await.expect("readable").deployments.len(), 1, "{name}");
        let audited =
            AuditQuery { action: Some("/deployment/abandon".to_owned()), limit: 9, ..AuditQuery::default() };
        assert_eq!(store.audit_find(&audited).await.expect("readable").len(), 1, "{name}");
        // Whoever owned it writes nothing more, and nobody takes it over.
        let ended = Story::chain(2).started().run_to_the_end();
        let late = commit(existing(made.id, made.epoch, journal.len()), ended.journal(), journal.len());
        assert!(matches!(store.commit(&late).await, Err(CommitError::StaleEpoch { .. })), "{name}");
        let claim = store.deployment_claim(made.id, "two", Timestamp(10)).await.expect("readable");
        assert_eq!(claim, Claim::Finished, "{name}");

        // Its services are in doubt, and those that are deployed next no longer.
        let unsure = store.unsure_list(None, None).await.expect("readable");
        let doubted: Vec<_> = unsure.iter().map(|one| (one.slot.service.as_str(), one.since)).collect();
        assert_eq!(doubted, [("s0000", made.id), ("s0001", made.id)], "{name}");
        store.commit(&commit(new(&ended), ended.journal(), 0)).await.expect("the environment is free");
        assert_eq!(store.unsure_list(None, None).await.expect("readable"), [], "{name}");
    }
}

#[tokio::test]
async fn effects_wait_until_they_are_done() {
    for Subject { name, store, .. } in subjects().await {
        let story = Story::chain(2).started();
        let effects = [
            Effect::RunStep { step: 0, attempt: Attempt::FIRST },
            Effect::RunStep { step: 4, attempt: Attempt::FIRST },
        ];
        let first = Commit { effects: effects.to_vec(), ..commit(new(&story), &story.journal()[..1], 0) };
        let made = store.commit(&first).await.expect("made");
        assert_eq!(store.effect_pending(made.id).await.expect("readable"), effects, "{name}");
        let done = Commit {
            done: vec![effects[0].key()],
            ..commit(existing(made.id, made.epoch, 1), &story.journal()[..2], 1)
        };
        store.commit(&done).await.expect("stored");
        assert_eq!(store.effect_pending(made.id).await.expect("readable"), effects[1..], "{name}");
    }
}

#[tokio::test]
async fn the_same_key_makes_one_deployment_and_another_body_is_refused() {
    for Subject { name, store, .. } in subjects().await {
        let story = Story::chain(1);
        let key = |body: &Digest| Idempotency {
            principal: "anna".to_owned(),
            route: "/deployment/start".to_owned(),
            key: "run-7".to_owned(),
            body: body.clone(),
        };
        let other: Digest = format!("sha256:{}", "ab".repeat(32)).parse().expect("valid");
        let with = |body: &Digest| Commit {
            idempotency: Some(key(body)),
            ..commit(new(&story), story.journal(), 0)
        };
        let made = store.commit(&with(&digest())).await.expect("made");
        let again = store.commit(&with(&digest())).await;
        assert!(matches!(again, Err(CommitError::Replayed { id }) if id == made.id), "{name}: {again:?}");
        let looked = store.idempotency_check(&key(&digest())).await;
        assert!(matches!(looked, Err(CommitError::Replayed { id }) if id == made.id), "{name}: {looked:?}");
        let reused = store.commit(&with(&other)).await;
        assert!(matches!(reused, Err(CommitError::KeyReused)), "{name}: {reused:?}");
        assert_eq!(store.deployment_list(&all()).await.expect("readable").deployments.len(), 1, "{name}");
    }
}

#[tokio::test]
async fn lists_come_in_pages_the_newest_first() {
    for Subject { name, store, .. } in subjects().await {
        let story = Story::chain(1);
        for _ in 0..5 {
            store.commit(&commit(new(&story), story.journal(), 0)).await.expect("made");
        }
        let request = |cursor: Option<String>, sort: Sort| ListDeployments {
            cursor,
            sort,
            limit: 2,
            count: true,
            ..ListDeployments::default()
        };
        for (sort, expected) in [
            (Sort::Newest, [5, 4, 3, 2, 1]),
            (Sort::Oldest, [1, 2, 3, 4, 5]),
            // None of them has ended: their order is that of their numbers.
            (Sort::Longest, [5, 4, 3, 2, 1]),
            (Sort::Shortest, [1, 2, 3, 4, 5]),
        ] {
            let mut seen: Vec<i64> = Vec::new();
            let mut cursor = None;
            loop {
                let search = Search::of(&request(cursor, sort), Sight::everything()).expect("valid");
                let page = store.deployment_list(&search).await.expect("readable");
                assert_eq!(page.total, Some(5), "{name}");
                seen.extend(page.deployments.iter().map(|row| row.id.0));
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(seen, expected, "{name} {sort:?}");
            let third = store.deployment_fetch(DeploymentId(3)).await.expect("readable").expect("there");
            let search = Search::of(&request(None, sort), Sight::everything()).expect("valid");
            let beside = store.deployment_neighbours(&search, &third).await.expect("readable");
            let place = seen.iter().position(|id| *id == 3).expect("there");
            assert_eq!(beside.previous, Some(DeploymentId(seen[place - 1])), "{name} {sort:?}");
            assert_eq!(beside.next, Some(DeploymentId(seen[place + 1])), "{name} {sort:?}");
        }
        let row = store.deployment_fetch(DeploymentId(3)).await.expect("readable").expect("there");
        for (scope, expected) in [
            (Scope::project(row.project.clone()), 5),
            (Scope::of(row.project.clone(), row.environment.clone()), 5),
            (Scope::of(row.project.clone(), "elsewhere".parse().expect("valid")), 0),
            (Scope::project("elsewhere".parse().expect("valid")), 0),
        ] {
            let sight = Rights(vec![Grant { on: scope.clone(), role: Role::Viewer }]).sight();
            let search = Search::of(&request(None, Sort::Newest), sight).expect("valid");
            let page = store.deployment_list(&search).await.expect("readable");
            assert_eq!(page.total, Some(expected), "{name} {scope}: what is hidden is not counted");
            assert_eq!(page.deployments.is_empty(), expected == 0, "{name} {scope}");
            if let Some(facets) = page.facets {
                assert_eq!(facets.users.is_empty(), expected == 0, "{name} {scope}: nor named by a facet");
            }
            let beside = store.deployment_neighbours(&search, &row).await.expect("readable");
            assert_eq!(beside.next.is_none(), expected == 0, "{name} {scope}");
        }
        let none = Search { phase: Some(Phase::Succeeded), ..all() };
        assert!(store.deployment_list(&none).await.expect("readable").deployments.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn e5_deployments_are_found_by_what_people_type() {
    for Subject { name, store, .. } in subjects().await {
        let story = Story::chain(2);
        for _ in 0..3 {
            store.commit(&commit(new(&story), story.journal(), 0)).await.expect("made");
        }
        let row = store.deployment_fetch(DeploymentId(2)).await.expect("readable").expect("there");
        let service = &row.services[0].service;
        for (q, expected) in [
            ("#2".to_owned(), 1),
            (format!("service:{service}"), 3),
            ("service:no-such".to_owned(), 0),
            (format!("env:{}", row.environment.as_str().to_uppercase()), 3),
            (format!("by:{}", row.by.user), 3),
            (format!("{service}@ {}", row.project), 3),
            ("100%_'\"".to_owned(), 0),
        ] {
            let request = ListDeployments { q: Some(q.clone()), count: true, ..ListDeployments::default() };
            let search = Search::of(&request, Sight::everything()).expect("valid");
            let page = store.deployment_list(&search).await.expect("readable");
            assert_eq!(page.deployments.len(), expected, "{name} {q}");
            assert_eq!(page.total, Some(expected as u64), "{name} {q}");
            if let Some(facets) = page.facets.filter(|_| expected == 3) {
                assert_eq!(facets.environments[0].count, 3, "{name} {q}");
                assert_eq!(facets.users[0].value, row.by.user.as_str(), "{name} {q}");
            }
        }
        let versions = store.version_list(&row.project, &Sight::everything()).await.expect("readable");
        assert_eq!(versions.len(), 2, "{name}: one of each service");
        assert!(versions.iter().all(|(_, known)| known.deployment == DeploymentId(3)), "{name}");
        let blind = store.version_list(&row.project, &Rights::default().sight()).await.expect("readable");
        assert!(blind.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn the_manifest_that_was_applied_last_is_the_current_one() {
    for Subject { name, store, .. } in subjects().await {
        let row = |source: &str, digest: Digest| ManifestRow {
            revision: ManifestRevision {
                digest,
                source: source.to_owned(),
                manifest: manifest(2, &[(1, 0)], &process_spec()),
            },
            applied_by: actor().user,
            applied_at: Timestamp(5),
        };
        let other: Digest = format!("sha256:{}", "cd".repeat(32)).parse().expect("valid");
        let (one, two) = (row("one", digest()), row("two", other));
        let project = one.revision.manifest.project.clone();
        assert_eq!(store.manifest_current(&project).await.expect("readable"), None, "{name}");
        for manifest in [&one, &two] {
            store.manifest_apply(manifest, entry("/manifest/apply")).await.expect("stored");
        }
        assert_eq!(store.manifest_current(&project).await.expect("readable"), Some(two.clone()), "{name}");
        let by_digest = store.manifest_by_digest(&project, &one.revision.digest).await.expect("readable");
        assert_eq!(by_digest, Some(one), "{name}");
        assert_eq!(store.project_list().await.expect("readable"), [project], "{name}");
        store.ping().await.expect("it answers");
    }
}

#[tokio::test]
async fn what_was_committed_is_there_after_the_file_was_opened_again() {
    let folder = TempDir::new().expect("a folder");
    let store = SqliteStore::open(folder.path()).await.expect("opened");
    let story = Story::chain(2).started();
    let made = store.commit(&commit(new(&story), story.journal(), 0)).await.expect("made");
    // Not closed: as after a kill.
    drop(store);
    let store = SqliteStore::open(folder.path()).await.expect("opened again");
    let kept = store.deployment_events(made.id, Seq(0)).await.expect("readable");
    assert_eq!(kept, story.journal());
}

#[tokio::test]
async fn a_folder_of_a_newer_version_is_refused_and_left_as_it_is() {
    let folder = TempDir::new().expect("a folder");
    SqliteStore::open(folder.path()).await.expect("opened").close().await;
    let file = folder.path().join("lockstep.db");
    let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", file.display())).await.expect("opened");
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (99991231000000, 'from the future', 1, x'00', 0)",
    )
    .execute(&pool)
    .await
    .expect("written");
    pool.close().await;
    let error = SqliteStore::open(folder.path()).await.expect_err("newer").to_string();
    assert!(error.contains("newer version of Lockstep") && error.contains("Nothing was changed"), "{error}");
}

#[tokio::test]
async fn c17_g5_the_journal_and_the_audit_cannot_be_rewritten() {
    let folder = TempDir::new().expect("a folder");
    let store = SqliteStore::open(folder.path()).await.expect("opened");
    let story = Story::chain(1);
    store.commit(&commit(new(&story), story.journal(), 0)).await.expect("made");
    let file = folder.path().join("lockstep.db");
    let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", file.display())).await.expect("opened");
    for statement in [
        "UPDATE event SET body = '{}'",
        "DELETE FROM event",
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit",
    ] {
        assert!(sqlx::query(statement).execute(&pool).await.is_err(), "{statement}");
    }
}

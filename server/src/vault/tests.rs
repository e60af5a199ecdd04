//! Keys that are wrong or gone, rows that were moved, sealings that were cut off, sources that fail.

use super::*;
use crate::clock::SystemClock;
use lockstep_engine::port::{Host, HostCancel, HostError, HostOrder, Stopped};
use lockstep_model::{
    Epoch, Timestamp,
    deployment::Actor,
    wire::{AgentFrame, ExecSpec, Order, OrderKey, Outcome},
};
use lockstep_store::SqliteStore;
use tempfile::TempDir;

const VALUE: &str = "postgres://u:hunter2@db/shop";

struct World {
    folder: TempDir,
    store: SqliteStore,
}

impl World {
    async fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let store = SqliteStore::open(folder.path()).await.expect("opened");
        Self { folder, store }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("secrets.key")
    }

    async fn open(&self) -> anyhow::Result<Vault> {
        Vault::open(Arc::new(self.store.clone()), Arc::new(SystemClock), self.file()).await
    }

    async fn row(&self, name: &str) -> SecretRow {
        let place = place("staging", name);
        let row = self.store.secret_fetch(&place.project, &place.environment, &place.name).await;
        row.expect("readable").expect("there")
    }
}

fn place(environment: &str, name: &str) -> Place {
    Place {
        project: "shop".parse().expect("valid"),
        environment: environment.parse().expect("valid"),
        name: name.parse().expect("valid"),
    }
}

fn entry() -> AuditEntry {
    AuditEntry {
        at: Timestamp(1),
        actor: Actor { user: "anna".parse().expect("valid"), via: "test".to_owned(), address: None },
        right: None,
        action: "/secret/set".to_owned(),
        target: "test".to_owned(),
        reason: None,
        allowed: true,
    }
}

async fn set(vault: &Vault, environment: &str, name: &str, value: &str) -> Result<SecretView, VaultError> {
    vault
        .set(place(environment, name), &value.to_owned().into(), "anna".parse().expect("valid"), entry())
        .await
}

async fn handed(vault: &Vault, source: SecretSource) -> Result<String, String> {
    let slot = Slot {
        project: "Shop".parse().expect("valid"),
        environment: "staging".parse().expect("valid"),
        service: "web".parse().expect("valid"),
    };
    let handed = vault.hand_out(&slot, &SecretSources::from([("V".to_owned(), source)])).await;
    match handed.missing {
        None => Ok(handed.values["V"].reveal().to_owned()),
        Some(why) => Err(why),
    }
}

fn named(name: &str) -> SecretSource {
    SecretSource::Secret(name.parse().expect("valid"))
}

#[tokio::test]
async fn a_secret_is_sealed_where_it_is_kept_and_opens_in_its_environment_only() {
    let world = World::new().await;
    let vault = world.open().await.expect("opened");
    assert!(!world.file().exists(), "no key before the first secret");
    let view = set(&vault, "staging", "db", VALUE).await.expect("set");
    assert_eq!((view.version, view.set_by.as_str()), (1, "anna"));
    assert_eq!(set(&vault, "staging", "DB", VALUE).await.expect("set").version, 2);
    set(&vault, "production", "other", "another").await.expect("set");
    assert_eq!(handed(&vault, named("db")).await, Ok(VALUE.to_owned()));
    assert!(handed(&vault, named("other")).await.is_err_and(|why| why.contains("lockstep secret set other")));
    let row = world.row("db").await;
    assert!(!format!("{row:?}").contains("hunter2"));
    let again = world.open().await.expect("opened again");
    assert_eq!(handed(&again, named("db")).await, Ok(VALUE.to_owned()));
    let listed = again.list(None, None).await.expect("listed");
    assert_eq!(listed.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["other", "DB"]);
}

#[tokio::test]
async fn g4_versions_go_on_after_a_removal_and_a_value_from_an_old_copy_does_not_open() {
    let world = World::new().await;
    let vault = world.open().await.expect("opened");
    set(&vault, "staging", "db", VALUE).await.expect("set");
    let old = world.row("db").await;
    vault.remove(place("staging", "DB"), entry()).await.expect("removed");
    assert_eq!(set(&vault, "staging", "db", "another one").await.expect("set").version, 2);
    // What was sealed for its first version, in the place of what is there now.
    let mut now = world.row("db").await;
    (now.data_key, now.sealed) = (old.data_key, old.sealed);
    assert!(world.store.secret_reseal(&[now], entry()).await.expect("stored"));
    let refused = handed(&vault, named("db")).await;
    let why = refused.expect_err("refused");
    // Which secret, which key's file, and what helps.
    for said in [
        "the secret 'db' of shop/staging, version 2, cannot be opened with the key ",
        " in secrets.key",
        "`lockstep secret set db --project shop --env staging`",
    ] {
        assert!(why.contains(said), "{why}");
    }
    // Viewers read it, too: not where it lies.
    assert!(!why.contains("database") && !why.contains(world.file().to_str().expect("text")), "{why}");
    // Removed twice it still counts on, and one name's versions are not another's.
    vault.remove(place("staging", "db"), entry()).await.expect("removed");
    assert_eq!(set(&vault, "staging", "Db", "a third one").await.expect("set").version, 3);
    assert_eq!(set(&vault, "staging", "other", "something").await.expect("set").version, 1);
    assert_eq!(set(&vault, "production", "db", "elsewhere").await.expect("set").version, 1);
}

#[tokio::test]
async fn g4_a_ciphertext_that_was_moved_to_another_row_does_not_open() {
    let world = World::new().await;
    let vault = world.open().await.expect("opened");
    for name in ["one", "two"] {
        set(&vault, "staging", name, &format!("value of {name}")).await.expect("set");
    }
    let (one, mut two) = (world.row("one").await, world.row("two").await);
    // The whole of it, the value alone, the key alone; and what was this row's before.
    two.view.version += 1;
    for (data_key, sealed) in [
        (&one.data_key, &one.sealed),
        (&two.data_key, &one.sealed),
        (&one.data_key, &two.sealed),
        (&two.data_key, &two.sealed),
    ] {
        let swapped = SecretRow { data_key: data_key.clone(), sealed: sealed.clone(), ..two.clone() };
        assert!(world.store.secret_put(&swapped, entry()).await.expect("stored"));
        let why = handed(&vault, named("two")).await.expect_err("refused");
        assert!(why.contains("cannot be opened") && !why.contains("value of"), "{why}");
        two.view.version += 1;
    }
    assert_eq!(handed(&vault, named("one")).await, Ok("value of one".to_owned()));
}

#[tokio::test]
async fn g4_with_a_wrong_key_or_none_nothing_starts_and_no_key_is_made() {
    let world = World::new().await;
    let vault = world.open().await.expect("opened");
    set(&vault, "staging", "db", VALUE).await.expect("set");
    let right = std::fs::read(world.file()).expect("there");
    std::fs::remove_file(world.file()).expect("removed");
    let gone = world.open().await.err().expect("refused").to_string();
    assert!(gone.contains("is not there") && gone.contains("secrets.key"), "{gone}");
    assert!(!world.file().exists(), "no key was made");
    // Also by a server that runs: what it sealed would be lost at the next start.
    let why = set(&vault, "staging", "more", VALUE).await.expect_err("refused");
    assert!(matches!(why, VaultError::Conflict(_)), "{why}");
    assert!(!world.file().exists(), "no key was made");

    Key::random().write(&world.file()).expect("written");
    let wrong = std::fs::read(world.file()).expect("there");
    let other = world.open().await.err().expect("refused").to_string();
    assert!(other.contains("holds another one"), "{other}");
    assert_eq!(std::fs::read(world.file()).expect("there"), wrong, "nothing was changed");

    std::fs::write(world.file(), right).expect("written");
    let vault = world.open().await.expect("the right one opens");
    assert_eq!(handed(&vault, named("db")).await, Ok(VALUE.to_owned()));
    vault.remove(place("staging", "db"), entry()).await.expect("removed");
    std::fs::remove_file(world.file()).expect("removed");
    let fresh = world.open().await.expect("without any secret there is nothing to lose");
    set(&fresh, "staging", "db", VALUE).await.expect("set with a new key");
}

#[tokio::test]
async fn a_new_key_opens_everything_and_the_old_one_nothing() {
    let world = World::new().await;
    let vault = world.open().await.expect("opened");
    for name in ["one", "two"] {
        set(&vault, "staging", name, &format!("value of {name}")).await.expect("set");
    }
    let (old, before) = (std::fs::read(world.file()).expect("there"), world.row("one").await);
    let report = vault.rekey(entry()).await.expect("done");
    assert_eq!(report.secrets, 2);
    let after = world.row("one").await;
    assert!(after.sealed != before.sealed && after.key_id == report.key && after.view == before.view);
    assert_eq!(handed(&vault, named("one")).await, Ok("value of one".to_owned()));
    let again = world.open().await.expect("opened again");
    assert_eq!(handed(&again, named("two")).await, Ok("value of two".to_owned()));
    std::fs::write(world.file(), old).expect("written");
    assert!(world.open().await.is_err());
}

#[tokio::test]
async fn a_new_sealing_that_was_cut_off_is_ended_at_the_next_start_either_way() {
    for is_written in [false, true] {
        let world = World::new().await;
        let vault = world.open().await.expect("opened");
        set(&vault, "staging", "db", VALUE).await.expect("set");
        // As `rekey` does it, up to its end before or after the database was written.
        let (old, next) = (Key::read(&world.file()).expect("readable").expect("there"), Key::random());
        next.write(&beside(&world.file())).expect("written");
        if is_written {
            let row = world.row("db").await;
            let value = opened(&old, &world.file(), &row).expect("opens");
            let anew = sealed(&next, row.view, value.reveal());
            assert!(world.store.secret_reseal(&[anew], entry()).await.expect("stored"));
        }
        let again = world.open().await.expect("opened");
        assert_eq!(handed(&again, named("db")).await, Ok(VALUE.to_owned()), "{is_written}");
        assert!(!beside(&world.file()).exists());
        let key = Key::read(&world.file()).expect("readable").expect("there");
        assert_eq!(key.id(), if is_written { next.id() } else { old.id() });
    }
}

#[tokio::test]
async fn values_that_cannot_be_masked_or_kept_are_refused_without_being_told() {
    let world = World::new().await;
    let vault = world.open().await.expect("opened");
    for value in ["", "abc", "   \n ", "with\0nul", &"x".repeat(SECRET_BYTES_MAX + 1)] {
        let why = set(&vault, "staging", "db", value).await.expect_err("refused");
        assert!(matches!(why, VaultError::Invalid(_)), "{why}");
        assert!(value.trim().len() < 3 || !why.to_string().contains(value.trim()), "{why}");
    }
    assert!(vault.list(None, None).await.expect("listed").is_empty());
}

#[tokio::test]
async fn other_sources_are_looked_up_when_they_are_needed() {
    let world = World::new().await;
    let vault = world.open().await.expect("opened");
    let file = world.folder.path().join("value");
    let path = || SecretSource::File(file.to_str().expect("text").to_owned());
    assert!(handed(&vault, path()).await.is_err_and(|why| why.contains("cannot be read")));
    std::fs::write(&file, "from a file\n").expect("written");
    assert_eq!(handed(&vault, path()).await, Ok("from a file".to_owned()));
    std::fs::write(&file, "x".repeat(SECRET_BYTES_MAX + 9)).expect("written");
    assert!(handed(&vault, path()).await.is_err_and(|why| why.contains("larger")));

    let run = |script: &str| SecretSource::Command(["sh", "-c", script].map(ToOwned::to_owned).to_vec());
    assert_eq!(handed(&vault, run("printf 'one\\ntwo\\n'")).await, Ok("one\ntwo".to_owned()));
    let why = handed(&vault, run("echo hunter2; echo hunter2 >&2; exit 3")).await.expect_err("refused");
    assert!(why.contains("exit status: 3") && !why.contains("hunter2"), "{why}");
    let why = handed(&vault, SecretSource::Command(vec!["/no/such/program".to_owned()])).await;
    assert!(why.is_err_and(|why| why.contains("could not be started")));

    assert!(handed(&vault, SecretSource::Env("PATH".to_owned())).await.is_ok());
    let why = handed(&vault, SecretSource::Env("LOCKSTEP_NO_SUCH".to_owned())).await;
    assert!(why.is_err_and(|why| why.contains("V from the server's variable LOCKSTEP_NO_SUCH")));
}

/// Keeps the orders that come.
#[derive(Default)]
struct Recording(std::sync::Mutex<Vec<HostOrder>>);

#[async_trait::async_trait]
impl Host for Recording {
    async fn order(&self, order: HostOrder) -> Result<Outcome, HostError> {
        self.0.lock().expect("not poisoned").push(order);
        Ok(Outcome::Cancelled)
    }

    async fn cancel(&self, _: HostCancel) -> Stopped {
        Stopped::Unconfirmed
    }

    async fn secrets_try(&self, _: &Slot, _: &SecretSources) -> Result<(), String> {
        Ok(())
    }
}

#[tokio::test]
async fn d15_values_go_with_the_order_that_needs_them_and_no_agent_can_ask_for_any() {
    let world = World::new().await;
    let vault = world.open().await.expect("opened");
    for name in ["one", "two"] {
        set(&vault, "staging", name, &format!("value of {name}")).await.expect("set");
    }
    let recording = Arc::new(Recording::default());
    let handing = Handing { host: recording.clone(), vault };
    let exec = |secret: Option<&str>| ExecSpec {
        argv: vec!["true".to_owned()],
        env: Default::default(),
        workdir: None,
        version: "1".parse().expect("valid"),
        port_of: None,
        timeout_ms: 1,
        secrets: secret.map(|name| ("V".to_owned(), named(name))).into_iter().collect(),
        slot: Some(Slot {
            project: "shop".parse().expect("valid"),
            environment: "staging".parse().expect("valid"),
            service: "web".parse().expect("valid"),
        }),
    };
    for (key, secret) in [("d1/web.replace/1/deploy", Some("one")), ("d1/api.replace/1/deploy", None)] {
        let order = Order::Exec { spec: exec(secret), secrets: Handed::default() };
        let order = HostOrder { key: OrderKey(key.to_owned()), deployment: None, epoch: Epoch(0), order };
        assert_eq!(handing.order(order).await, Ok(Outcome::Cancelled));
    }
    let orders = recording.0.lock().expect("not poisoned");
    let said: Vec<String> =
        orders.iter().map(|one| serde_json::to_string(&one.order).expect("JSON")).collect();
    assert!(said[0].contains("value of one") && !said[0].contains("value of two"), "{}", said[0]);
    assert!(!said[1].contains("value"), "{}", said[1]);
    assert!(!format!("{orders:?}").contains("value of"), "not in what is logged");
    for ask in [r#"{"type":"secrets","key":"d1/web.replace/1/deploy"}"#, r#"{"type":"secret","name":"one"}"#]
    {
        assert!(serde_json::from_str::<AgentFrame>(ask).is_err(), "{ask}");
    }
}

//! The composition root: everything is made here, started in the right order and ended in the
//! reverse one.

use crate::{
    anchor::Anchor,
    backend::{Services, SignOn},
    clock::SystemClock,
    data_dir::{DataDir, Local, ServeLock},
    expectations::Expectations,
    http::{
        Origin, Parts, Web,
        listen::{self, Door},
        site, slow,
        tls::{Tls, TlsFiles},
    },
    hub::Hub,
    identity::Identities,
    live::Live,
    local_agent::LocalAgent,
    lockdown::{self, Lockdown},
    monitor::{Eyes, Monitor},
    oidc::{Issuers, Settings},
    port_holder::port_holder,
    room::Room,
    telling::Telling,
    vault::{Handing, Vault},
};
use anyhow::{Context, bail};
use lockstep_coordinator::{Coordinator, Dependencies, Lease};
use lockstep_engine::port::{
    Clock, DeviceStore, HookStore, Host, IdentityStore, LogStore, Store, Target, TrustStore,
};
use lockstep_secrets::Key;
use lockstep_store::{SqliteLogStore, SqliteStore};
use lockstep_targets::Targets;
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinHandle,
};

/// Services have their own grace times to end in.
const SERVICES_LIMIT: Duration = Duration::from_secs(60);

/// With what a server is started.
#[derive(Debug)]
pub struct ServeOptions {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where browsers reach it, when that is somewhere else.
    pub public_url: Option<String>,
    /// How it is reached from other machines.
    pub network: Network,
    /// The data folder.
    pub data_dir: PathBuf,
    /// The identity provider at which people sign in.
    pub oidc: Option<PathBuf>,
    /// The key under which secrets are sealed; none = in the data folder.
    pub secrets_key: Option<PathBuf>,
    /// How long a body of a request may take to come; none = 30 s.
    pub body_limit: Option<Duration>,
    /// Whether issuers of identity tokens on this machine may be asked by plain HTTP.
    pub plain_issuers: bool,
    /// Bytes of output of programs that are kept in all.
    pub output_bytes_max: u64,
    /// How long the coordinator's lease is; none = as the coordinator has it.
    pub lease_ttl: Option<Duration>,
    /// Whether a link signs in once: the demo's.
    pub has_sign_in_link: bool,
    /// How long a password counts as given a moment ago; none = ten minutes.
    pub confirm_ms: Option<u64>,
}

/// How a server is reached from other machines.
#[derive(Debug, Default)]
pub struct Network {
    /// A certificate to serve HTTPS with.
    pub tls: Option<TlsFiles>,
    /// Proxies that serve HTTPS.
    pub proxies: Vec<IpAddr>,
    /// Whether plain HTTP is wanted all the same.
    pub insecure_http: bool,
}

impl Network {
    /// The door for who comes to `address`; `origin` is where browsers think they are.
    fn door(self, address: SocketAddr, origin: &Origin) -> anyhow::Result<Door> {
        let is_near = address.ip().is_loopback();
        let is_open = self.tls.is_none() && !is_near && self.proxies.is_empty();
        if (is_open || !(origin.is_https || origin.is_near())) && !self.insecure_http {
            bail!(
                "{} would be plain HTTP, and whoever is on the way could read passwords and tokens; give --tls-cert and --tls-key, or let a proxy serve HTTPS (--public-url https://NAME, and --proxy ADDRESS when it comes from another machine), or say --insecure-http",
                origin.url()
            );
        }
        let is_closed = self.tls.is_none() && !is_near && !self.insecure_http;
        Ok(Door { tls: self.tls.map(Tls::open).transpose()?, proxies: self.proxies, is_closed })
    }
}

/// A server that runs.
pub struct Server {
    /// What answers requests.
    pub services: Services,
    /// Where it is reached by people.
    pub url: String,
    data: DataDir,
    store: SqliteStore,
    ending: watch::Sender<bool>,
    http: JoinHandle<()>,
    tasks: Vec<JoinHandle<()>>,
    _lock: ServeLock,
}

impl Server {
    /// Starts everything and takes up what was under way.
    ///
    /// # Errors
    /// When the folder or the port cannot be used; the message names who holds it.
    pub async fn start(options: ServeOptions) -> anyhow::Result<Self> {
        let shown = options.data_dir.display();
        let data = DataDir::open(&options.data_dir).with_context(|| format!("the data folder {shown}"))?;
        let lock = match data.lock().with_context(|| format!("the data folder {shown}"))? {
            Ok(lock) => lock,
            Err(pid) => bail!(
                "another server (process {pid}) uses the data folder {shown} or its database already; stop it with `lockstep stop`, or choose another folder with --data-dir"
            ),
        };
        // Asked of a server that was killed before it could hear it.
        data.end_all_take();
        let listener = listen_at(options.address).await?;
        let address = listener.local_addr()?;
        let origin = match &options.public_url {
            Some(url) => Origin::of_url(url)?,
            None if options.network.tls.is_some() => Origin::of_url(&format!("https://{address}"))?,
            None => Origin::of_address(address),
        };
        let url = origin.url().to_owned();
        let door = options.network.door(address, &origin)?;
        // Commands and the agent on this machine know no name that a certificate could be for.
        let near = match &door.tls {
            Some(_) => Some(listen_at(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)).await?),
            None => None,
        };
        let store = SqliteStore::open(data.path()).await?;
        let anchor = Anchor::open(data.audit_head(), &store).await.context("the audit")?;
        let lines = watch::Sender::new(0);
        let kept = Arc::new(SqliteLogStore::open(data.path()).await?);
        let logs: Arc<dyn LogStore> = Arc::new(Telling { store: kept, lines: lines.clone() });
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let identity_store: Arc<dyn IdentityStore> = Arc::new(store.clone());
        let installation = identity_store.installation_id().await?;
        let identities = Arc::new(
            Identities::open(
                identity_store,
                clock.clone(),
                Lockdown::open(data.lockdown()),
                options.confirm_ms,
            )
            .await?
            .with_sign_in_key(Key::read_or_make(&data.sign_in_key())?)
            .over_https(origin.is_https),
        );
        let key = options.secrets_key.unwrap_or_else(|| data.secrets_key());
        let vault = Vault::open(Arc::new(store.clone()), clock.clone(), key).await?;
        let hub = Hub::new(installation.clone(), logs.clone(), clock.clone());
        let program = std::env::current_exe().context("the path of this program")?;
        let own = match &near {
            Some(near) => format!("http://{}", near.local_addr()?),
            None => format!("http://{}", reachable(address)),
        };
        let agent = LocalAgent::new(hub.clone(), data.clone(), program, &own)?;
        let deployments: Arc<dyn Store> = Arc::new(store.clone());
        let target: Arc<dyn Target> = Arc::new(Targets);
        let host: Arc<dyn Host> = Arc::new(Handing { host: Arc::new(hub.clone()), vault: vault.clone() });
        let lease = Lease { ttl: options.lease_ttl.unwrap_or(Lease::TTL), alone: true };
        let coordinator = Coordinator::start(Dependencies {
            lease,
            store: deployments.clone(),
            host: host.clone(),
            target: target.clone(),
            clock: clock.clone(),
            // New at each start: keys of questions are made from it.
            owner: format!("{}-{}", &installation[..installation.len().min(8)], crate::secret::random()),
        })
        .await?;
        if !deployments.project_list().await?.is_empty() {
            agent.want();
        }
        let monitor = Monitor::default();
        let trust: Arc<dyn TrustStore> = Arc::new(store.clone());
        let issuers = Arc::new(Issuers::new(options.plain_issuers));
        let oidc = match &options.oidc {
            Some(path) => {
                let read = Settings::read(path, &issuers);
                Some(read.map_err(|error| anyhow::anyhow!("--oidc {}: {error}", path.display()))?)
            }
            None => None,
        };
        let hooks: Arc<dyn HookStore> = Arc::new(store.clone());
        let devices: Arc<dyn DeviceStore> = Arc::new(store.clone());
        let services = Services {
            coordinator: coordinator.clone(),
            store: deployments.clone(),
            logs: logs.clone(),
            scripts: Arc::new(store.clone()),
            lines,
            expectations: Expectations::default(),
            drawings: Arc::default(),
            identities: identities.clone(),
            trust: trust.clone(),
            devices: devices.clone(),
            issuers: issuers.clone(),
            sign_on: SignOn { redirect: crate::http::sign_on_address(&origin), settings: oidc.clone() },
            hooks: hooks.clone(),
            monitor: monitor.clone(),
            hub: hub.clone(),
            agent: agent.clone(),
            anchor: anchor.clone(),
            vault: vault.clone(),
            clock: clock.clone(),
        };
        let live = Live::new(services.clone(), identities.clone(), site::build_id());
        let web = Web::new(Parts {
            backend: services.clone().backend(Arc::new(live.clone())),
            live,
            logs: logs.clone(),
            answers: Arc::new(store.clone()),
            identities: identities.clone(),
            trust,
            issuers,
            hooks,
            vault,
            oidc,
            people: Arc::new(store.clone()),
            devices,
            hub: hub.clone(),
            coordinator: coordinator.clone(),
            store: deployments.clone(),
            monitor: monitor.clone(),
            clock: clock.clone(),
            options: site::options()?,
            origin,
            counters: Default::default(),
            downloads: Default::default(),
            visits: Default::default(),
            body_limit: options.body_limit.unwrap_or(slow::BODY_LIMIT),
            has_sign_in_link: options.has_sign_in_link,
        });
        let (ending, is_ending) = watch::channel(false);
        let http = tokio::spawn(async move {
            let far = listen::serve(web.clone(), listener, door, is_ending.clone());
            match near {
                Some(near) => drop(tokio::join!(far, listen::serve(web, near, Door::default(), is_ending))),
                None => far.await,
            }
        });
        let noting = tokio::spawn(anchor.keep(deployments.clone()));
        let telling = tokio::spawn(lockdown::tell(services.clone(), data.status()));
        let room = Room {
            logs: logs.clone(),
            deployments: deployments.clone(),
            scripts: Arc::new(store.clone()),
            clock: clock.clone(),
            bytes_max: options.output_bytes_max,
        };
        let eyes = Eyes { store: deployments, target, host, clock, logs, coordinator };
        let tasks = vec![
            tokio::spawn(agent.keep()),
            tokio::spawn(look_after_exits(hub, monitor.clone())),
            tokio::spawn(monitor.keep(eyes)),
            noting,
            telling,
            tokio::spawn(identities.clone().keep_failures()),
            tokio::spawn(room.keep()),
        ];
        let token = identities.local_token().to_owned();
        data.local_write(&Local { url: own, token, pid: std::process::id() })?;
        tracing::info!("listening at {url}, data in {}", data.path().display());
        Ok(Self { services, url, data, store, ending, http, tasks, _lock: lock })
    }

    /// The data folder.
    pub fn data(&self) -> &DataDir {
        &self.data
    }

    /// Ends: requests under way finish, then deciding stops. What runs on hosts goes on, unless
    /// `services` says otherwise.
    pub async fn stop(mut self, services: bool) {
        self.data.local_remove();
        if services {
            self.services.coordinator.shutdown().await;
            self.tasks_end().await;
            if !self.services.agent.end(SERVICES_LIMIT).await {
                tracing::error!("the agent did not end everything in {} s", SERVICES_LIMIT.as_secs());
            }
        }
        self.ending.send_replace(true);
        // It ends within its own limit.
        let _ = (&mut self.http).await;
        self.tasks_end().await;
        self.services.identities.tell_failures(true).await;
        self.services.coordinator.shutdown().await;
        self.store.close().await;
        tracing::info!("the server has ended");
    }
}

impl Server {
    /// They have ended when this returns: none of them starts anything any more.
    async fn tasks_end(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
            let _ = task.await;
        }
    }
}

/// Returns at ^C, SIGTERM or SIGHUP.
///
/// # Errors
/// When signals cannot be heard.
pub async fn told_to_end() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = terminate.recv() => {},
        _ = interrupt.recv() => {},
        _ = hangup.recv() => {},
    }
    Ok(())
}

async fn look_after_exits(hub: Hub, monitor: Monitor) {
    loop {
        hub.exited().await;
        monitor.look_soon();
    }
}

async fn listen_at(address: SocketAddr) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let holder = port_holder(address).unwrap_or_else(|| "a process of another user".to_owned());
            bail!(
                "{address} is taken by {holder}; stop that, or choose another address with --addr 127.0.0.1:PORT"
            )
        }
        Err(error) => Err(error).with_context(|| format!("listening at {address}")),
    }
}

/// An address that this machine can dial, for one that stands for all of its own.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

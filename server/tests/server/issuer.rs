//! An issuer of identity tokens on this machine: real keys, real signatures, its own pages.

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use axum::{
    Json, Router,
    extract::Query,
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// A key with the id under which it is known.
#[derive(Clone)]
pub struct Key {
    pub kid: String,
    pair: Arc<KeyPair>,
}

impl Key {
    pub fn new(kid: &str) -> Self {
        Self { kid: kid.to_owned(), pair: Arc::new(KeyPair::generate(KeySize::Rsa2048).expect("a key")) }
    }

    fn public(&self) -> Value {
        let public = self.pair.public_key();
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid,
            "n": text(public.modulus().big_endian_without_leading_zero()),
            "e": text(public.exponent().big_endian_without_leading_zero()),
        })
    }

    /// The public half as bytes: what a careless verifier would take for a shared secret.
    pub fn public_der(&self) -> Vec<u8> {
        self.pair.public_key().as_der().expect("DER").as_ref().to_vec()
    }

    /// A token that says `claims`.
    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.kid});
        let message = parts(&header, claims);
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
            .expect("signed");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Header and claims as they are signed.
pub fn parts(header: &Value, claims: &Value) -> String {
    let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", text(header), text(claims))
}

pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

pub struct Issuer {
    pub url: String,
    keys: Arc<Mutex<Vec<Key>>>,
    asked: Arc<AtomicUsize>,
    vouched: Arc<Mutex<Option<String>>>,
    exchanged: Arc<Mutex<String>>,
}

impl Issuer {
    /// Serves until the test ends. What it gives a job that asks, as GitHub does: a token with `claims`. People
    /// do not sign in there.
    pub async fn start(claims: impl Fn(&str, &str) -> Value + Clone + Send + Sync + 'static) -> Self {
        Self::serve(claims, false).await
    }

    /// One where people sign in, who are vouched for as the test says.
    pub async fn of_people() -> Self {
        Self::serve(|_, _| Value::Null, true).await
    }

    async fn serve(
        claims: impl Fn(&str, &str) -> Value + Clone + Send + Sync + 'static,
        is_of_people: bool,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let keys = Arc::new(Mutex::new(vec![Key::new("first")]));
        let asked = Arc::new(AtomicUsize::new(0));
        let at = |path: &str| format!("{url}{path}");
        let mut about = json!({ "issuer": url, "jwks_uri": at("/keys") });
        if is_of_people {
            about["authorization_endpoint"] = json!(at("/authorize"));
            about["token_endpoint"] = json!(at("/token"));
        }
        let vouched = Arc::new(Mutex::new(None));
        let (shown, count) = (keys.clone(), asked.clone());
        let (signing, own) = (keys.clone(), url.clone());
        let (vouching, exchanged) = (vouched.clone(), Arc::new(Mutex::new(String::new())));
        let codes = exchanged.clone();
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(|| async move { Json(about) }))
            .route(
                "/keys",
                get(move || async move {
                    count.fetch_add(1, Ordering::SeqCst);
                    let keys: Vec<Value> = shown.lock().expect("whole").iter().map(Key::public).collect();
                    Json(json!({ "keys": keys }))
                }),
            )
            .route(
                "/id-token",
                get(move |Query(query): Query<HashMap<String, String>>| async move {
                    let claims = claims(&own, &query["audience"]);
                    let key = signing.lock().expect("whole")[0].clone();
                    Json(json!({ "value": key.sign(&claims) }))
                }),
            )
            .route(
                "/token",
                post(move |body: String| async move {
                    *codes.lock().expect("whole") = body;
                    let token: Option<String> = vouching.lock().expect("whole").clone();
                    Json(json!({ "token_type": "Bearer", "access_token": "none", "id_token": token }))
                }),
            );
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, keys, asked, vouched, exchanged }
    }

    /// What a code is exchanged for from now on, whichever it is: this provider believes everything.
    pub fn vouches(&self, token: String) {
        *self.vouched.lock().expect("whole") = Some(token);
    }

    /// The form with which a code was exchanged last.
    pub fn exchanged(&self) -> String {
        self.exchanged.lock().expect("whole").clone()
    }

    pub fn key(&self) -> Key {
        self.keys.lock().expect("whole")[0].clone()
    }

    /// From now on another key signs, and the one before is not known any more.
    pub fn rotate(&self, kid: &str) {
        *self.keys.lock().expect("whole") = vec![Key::new(kid)];
    }

    /// How often its keys were asked for.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

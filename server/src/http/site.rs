//! Styles, scripts and WASM of the pages. A release build carries them inside the binary; a debug
//! build reads them from where `cargo leptos` puts them. Their path holds a digest over all of them,
//! so that browsers may keep them for ever.

use axum::{
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use leptos::{
    WasmSplitManifest,
    config::{LeptosOptions, get_config_from_str},
    prelude::ArcStoredValue,
};
use std::{borrow::Cow, path::PathBuf, sync::OnceLock};

include!(concat!(env!("OUT_DIR"), "/site.rs"));

const LEPTOS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../Leptos.toml"));
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

type File = (&'static str, Cow<'static, [u8]>);

/// All files: those in the binary, or those on the disk.
fn files() -> &'static [File] {
    static FILES: OnceLock<Vec<File>> = OnceLock::new();
    FILES.get_or_init(|| {
        if !SITE.is_empty() {
            return SITE.iter().map(|(name, bytes)| (*name, Cow::Borrowed(*bytes))).collect();
        }
        // `cargo leptos watch` says where it puts them.
        let root = std::env::var_os("LEPTOS_SITE_ROOT").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/site")),
            PathBuf::from,
        );
        let mut files = Vec::new();
        read_folder(&root.join("pkg"), &mut files);
        read_folder(&root, &mut files);
        files
    })
}

/// Read once: a server that runs goes on with the assets it was started with.
fn read_folder(folder: &std::path::Path, files: &mut Vec<File>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if let (true, Some(name), Ok(bytes)) = (path.is_file(), name.to_str(), std::fs::read(&path)) {
            files.push((name.to_owned().leak(), Cow::Owned(bytes)));
        }
    }
}

fn file(name: &str) -> Option<&'static [u8]> {
    files().iter().find(|(known, _)| *known == name).map(|(_, bytes)| &**bytes)
}

/// A digest over all assets: another build has another.
pub fn build_id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| {
        use sha2::Digest as _;
        let mut digest = sha2::Sha256::new();
        for (name, bytes) in files() {
            digest.update(name.as_bytes());
            digest.update(bytes);
        }
        digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    })
}

/// How pages name their assets.
///
/// # Errors
/// When Leptos.toml in the binary cannot be read, which a test rules out.
pub fn options() -> anyhow::Result<LeptosOptions> {
    let mut options = get_config_from_str(LEPTOS)?;
    options.site_pkg_dir = format!("{}/{}", options.site_pkg_dir, build_id()).into();
    Ok(options)
}

/// Which pieces of the WASM a page needs, so that its head can name them and the browser fetches them
/// before the code that asks for them runs.
pub(super) fn pieces(options: &LeptosOptions) -> Option<WasmSplitManifest> {
    let manifest = serde_json::from_slice(file("__wasm_split_manifest.json")?).ok()?;
    let loader = "__wasm_split.______________________.js".to_owned();
    Some(WasmSplitManifest(ArcStoredValue::new((format!("/{}", options.site_pkg_dir), manifest, loader))))
}

/// Where the parts of pages are, below a name for what was built.
pub(super) const PARTS: &str = "/pkg/{build}/{file}";

/// A part of this build; those of others are gone.
pub(super) async fn part(Path((build, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    if build == build_id() { asset(&name, &headers) } else { StatusCode::NOT_FOUND.into_response() }
}

pub(super) async fn robots(headers: HeaderMap) -> Response {
    asset("robots.txt", &headers)
}

/// Pages name their icon; browsers that ask for this one all the same are told no page.
pub(super) async fn no_icon() -> StatusCode {
    StatusCode::NOT_FOUND
}

/// Marks an answer as a part of pages, which is none itself: script, style, font.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part;

fn asset(name: &str, headers: &HeaderMap) -> Response {
    let Some(kind) = kind(name) else { return StatusCode::NOT_FOUND.into_response() };
    let accepts = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("");
    let packed = [("br", ".br"), ("gzip", ".gz")].into_iter().find_map(|(coding, ending)| {
        let is_accepted = accepts.split(',').any(|a| a.split(';').next().is_some_and(|a| a.trim() == coding));
        let bytes = is_accepted.then(|| file(&format!("{name}{ending}"))).flatten()?;
        Some((bytes, coding))
    });
    let Some(plain) = file(name) else { return StatusCode::NOT_FOUND.into_response() };
    let (bytes, coding) = packed.map_or((plain, None), |(bytes, coding)| (bytes, Some(coding)));
    let mut response = bytes.into_response();
    let head = response.headers_mut();
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    head.insert(header::CACHE_CONTROL, FOR_EVER);
    head.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(coding) = coding {
        head.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    if !matches!(name.rsplit_once('.'), Some((_, "svg" | "txt"))) {
        response.extensions_mut().insert(Part);
    }
    response
}

fn kind(name: &str) -> Option<&'static str> {
    match name.rsplit_once('.')?.1 {
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "wasm" => Some("application/wasm"),
        "svg" => Some("image/svg+xml; charset=utf-8"),
        "woff2" => Some("font/woff2"),
        "txt" => Some("text/plain; charset=utf-8"),
        _ => None,
    }
}

//! Puts the site into a release binary: with LOCKSTEP_EMBED_SITE naming the folder that
//! `cargo leptos` has made, every file there becomes part of the program. Without it the list is
//! empty, and the server reads the files from the disk.

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

fn main() {
    println!("cargo:rerun-if-env-changed=LOCKSTEP_EMBED_SITE");
    println!("cargo:rerun-if-changed=build.rs");
    let mut files = Vec::new();
    if let Some(site) = env::var_os("LOCKSTEP_EMBED_SITE").map(PathBuf::from) {
        println!("cargo:rerun-if-changed={}", site.display());
        collect(&site.join("pkg"), &mut files);
        collect(&site, &mut files);
        assert!(!files.is_empty(), "LOCKSTEP_EMBED_SITE={} holds no site", site.display());
    }
    let mut code = String::from("static SITE: &[(&str, &[u8])] = &[\n");
    for (name, path) in files {
        writeln!(code, "    ({name:?}, include_bytes!({path:?})),").expect("text can always be written");
    }
    code.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("site.rs"), code).expect("OUT_DIR can be written");
}

fn collect(folder: &Path, files: &mut Vec<(String, PathBuf)>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths.into_iter().filter(|path| path.is_file()) {
        // Declarations for TypeScript are of no use to a browser.
        if path.to_string_lossy().contains(".d.ts") {
            continue;
        }
        println!("cargo:rerun-if-changed={}", path.display());
        let name = path.file_name().and_then(|name| name.to_str()).expect("asset names are plain").to_owned();
        files.push((name, fs::canonicalize(&path).expect("the file is there")));
    }
}

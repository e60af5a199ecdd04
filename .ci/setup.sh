#!/usr/bin/env bash
# Installs what building needs, once, into the user's cache. Nothing of the user's is overwritten.
# The first run compiles three programs and takes about eleven minutes on two cores.
source "$(dirname "$0")/env.sh"

CARGO_LEPTOS=0.3.10
WASM_BINDGEN=0.2.130
CARGO_DENY=0.20.2
NODE_LEAST=20

[ "$(uname -s)" = Linux ] || die "Lockstep is built on Linux; this is $(uname -s)"
case "$(uname -m)" in x86_64 | aarch64) ;; *) die "Lockstep is built on x86-64 or arm64; this is $(uname -m)" ;; esac
need() { command -v "$1" >/dev/null 2>&1 || die "$1 is missing: $2"; }
need git "apt-get install git"
need cc "apt-get install build-essential"
need make "apt-get install build-essential"
need perl "apt-get install perl"
need cargo "install rustup from https://rustup.rs"
need node "install Node.js $NODE_LEAST or newer"
need npm "install npm, which comes with Node.js"
node_major=$(node -p 'process.versions.node.split(".")[0]')
[ "$node_major" -ge "$NODE_LEAST" ] || die "Node.js $(node -v) is too old; install $NODE_LEAST or newer"

cd "$ROOT"
if command -v rustup >/dev/null 2>&1; then
    channel=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' rust-toolchain.toml)
    rustup run "$channel" rustc --version >/dev/null 2>&1 ||
        rustup toolchain install "$channel" --profile minimal --component rustfmt,clippy
    for component in rustfmt clippy; do
        rustup component list --toolchain "$channel" --installed | grep -q "^$component" ||
            rustup component add --toolchain "$channel" "$component"
    done
    rustup target list --toolchain "$channel" --installed | grep -qx wasm32-unknown-unknown ||
        rustup target add --toolchain "$channel" wasm32-unknown-unknown
fi

mkdir -p "$TOOLS"
has() { "$TOOLS/bin/$1" --version 2>/dev/null | grep -qF "$2"; }
if ! has cargo-leptos "$CARGO_LEPTOS"; then
    say "compiling cargo-leptos $CARGO_LEPTOS, once (about 8 minutes on 2 cores)"
    # Run a few times a day for seconds: it is not worth optimising.
    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 \
        CARGO_TARGET_DIR="$TOOLS/build" cargo install cargo-leptos --version "$CARGO_LEPTOS" --locked --root "$TOOLS"
fi
if ! has wasm-bindgen "$WASM_BINDGEN"; then
    say "compiling wasm-bindgen $WASM_BINDGEN, once (about 2 minutes on 2 cores)"
    # Its lock file names a crate that is not to be had any more.
    CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_TARGET_DIR="$TOOLS/build" \
        cargo install wasm-bindgen-cli --version "$WASM_BINDGEN" --root "$TOOLS"
fi
if ! has cargo-deny "$CARGO_DENY"; then
    say "compiling cargo-deny $CARGO_DENY, once (about 1 minute on 2 cores)"
    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 \
        CARGO_TARGET_DIR="$TOOLS/build" \
        cargo install cargo-deny --version "$CARGO_DENY" --locked --no-default-features --root "$TOOLS"
fi
rm -rf "$TOOLS/build"
if ! cmp -s .ci/tools/package.json "$TOOLS/npm/installed.json"; then
    say "installing Tailwind and wasm-opt"
    mkdir -p "$TOOLS/npm"
    cp .ci/tools/package.json "$TOOLS/npm/"
    # No lock file: it would have to name builds for other systems, which not every registry has.
    npm install --prefix "$TOOLS/npm" --no-package-lock --no-audit --no-fund --loglevel=error
    cp .ci/tools/package.json "$TOOLS/npm/installed.json"
fi

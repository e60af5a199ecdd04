#!/usr/bin/env bash
# The release build: WASM, styles, and the binary that carries them. Skipped when nothing that it is
# made of has changed.
source "$(dirname "$0")/env.sh"
cd "$ROOT"

inputs() {
    find app frontend server style migrations .cargo .ci/build.sh .ci/join.mjs .ci/shorten.mjs Cargo.toml Cargo.lock Leptos.toml rust-toolchain.toml \
        -type f -not -path '*/node_modules/*' -print0 | sort -z | xargs -0 sha256sum
    cargo --version
}
digest=$(inputs | sha256sum | cut -d' ' -f1)
stamp="$ROOT/target/release/lockstep.digest"
if [ -x target/release/lockstep ] && [ "$(cat "$stamp" 2>/dev/null)" = "$digest" ]; then
    exit 0
fi
say "building the release (about 8 minutes the first time on 2 cores)"
# The front comes first; the server's build script then takes the site in.
# Pieces of an earlier build would be taken in, too.
rm -rf target/site/pkg
# Panics name the file that they come from: without this, the place of the sources of dependencies would be
# in the WASM, and its size would depend on it. It replaces what .cargo/config.toml says.
flags="--cfg erase_components"
for sources in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do
    flags+=" --remap-path-prefix=${sources%/}=c"
done
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="$flags"
cargo leptos build --release --precompress --split --frontend-only
node .ci/shorten.mjs target/site/pkg
node .ci/join.mjs target/site/pkg target/pieces
LOCKSTEP_EMBED_SITE="$ROOT/target/site" cargo build --release --package=server --bin=lockstep --no-default-features
echo "$digest" >"$stamp"

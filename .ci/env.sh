# Sourced by the other scripts: where tools are, and the few settings that all of them share.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# A number that rises with every change of the pinned tools, so that old ones are left alone.
TOOLS="${XDG_CACHE_HOME:-$HOME/.cache}/lockstep/tools/1"
export PATH="$TOOLS/bin:$TOOLS/npm/node_modules/.bin:$HOME/.cargo/bin:$PATH"
# Where Tailwind looks for its own style sheet.
export NODE_PATH="$TOOLS/npm/node_modules"
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-auto}"
WASM_TARGET="$ROOT/target/wasm-check"

say() { printf '\033[1m== %s\033[0m\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

#!/usr/bin/env bash
# Sizes of what is shipped; the WASM has a budget, and so has each piece of it that comes later.
source "$(dirname "$0")/env.sh"
cd "$ROOT"
# Thousands of bytes, the smaller of the two that KB can mean.
WASM_BUDGET=350000
PIECE_BUDGET=$((80 * 1024))
wasm=$(stat -c %s target/site/pkg/lockstep.wasm.br)
say "sizes"
printf 'binary          %8d KiB\n' $(($(stat -c %s target/release/lockstep) / 1024))
printf 'WASM            %8d KiB, in brotli %d KB of %d\n' $(($(stat -c %s target/site/pkg/lockstep.wasm) / 1024)) $(((wasm + 999) / 1000)) $((WASM_BUDGET / 1000))
printf 'JavaScript      %8d B in brotli\n' "$(stat -c %s target/site/pkg/lockstep.js.br)"
printf 'styles          %8d B in brotli\n' "$(stat -c %s target/site/pkg/lockstep.css.br)"
# A piece by itself, and with what it shares with others, which comes once for all of them.
say "pieces in brotli: by themselves of $((PIECE_BUDGET / 1024)) KiB, and with what they share"
PIECE_BUDGET=$PIECE_BUDGET node - target/pieces <<'END'
const fs = require("node:fs");
const path = require("node:path");
const folder = process.argv[2];
const budget = Number(process.env.PIECE_BUDGET);
const size = (name) => fs.statSync(path.join(folder, `${path.basename(name).replace(/\.wasm$/, "")}.wasm.br`)).size;
const pieces = Object.entries(JSON.parse(fs.readFileSync(path.join(folder, "__wasm_split_manifest.json")))).map(([key, files]) => {
  const own = files.filter((file) => path.basename(file).startsWith("split_"));
  const sum = (list) => list.reduce((all, file) => all + size(file), 0);
  return { name: key, own: sum(own), all: sum(files), files: files.length };
});
const kib = (bytes) => (bytes / 1024).toFixed(1).padStart(6);
pieces.sort((a, b) => b.own - a.own);
for (const one of pieces) console.log(`${one.name.padEnd(20)} ${kib(one.own)} KiB, with what it shares ${kib(one.all)} KiB in ${one.files} files`);
const large = pieces.filter((one) => one.own > budget).map((one) => one.name);
if (large.length > 0) {
  console.error(`error: larger than ${budget / 1024} KiB: ${large.join(", ")}`);
  process.exit(1);
}
END
[ "$wasm" -le "$WASM_BUDGET" ] || die "the WASM is larger than its budget"

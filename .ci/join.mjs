// Joins the files of the WASM's pieces: what two pieces share is a file for each combination of them, so a
// deployment would be 145 requests, each with headers of its own and compressed without the others. Here
// files that are wanted together become sections of one file; app/src/start.js takes them out again.
//
// node .ci/join.mjs SITE/pkg KEPT   (the files as they were go to KEPT, for .ci/sizes.sh)
import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";

const [folder, kept] = process.argv.slice(2);
const LOADER = "__wasm_split.______________________.js";
const MANIFEST = "__wasm_split_manifest.json";

// What pages need, those that are opened most more often. Only how well the files are joined depends on this
// list: a piece that is missing here becomes a file of its own.
const MOST = [["lists"], ["deployment", "timeline", "log"]];
const PAGES = [...MOST, ["deployment", "plans"], ["services"], ["graph"], ["plans"], ["people"], ["records"]];
// The frame's dialogs come when a page has settled: by themselves on the overview, whose own code is in the main file.
const OVERVIEW = ["frame"];
const VISITS = [
  ["door"],
  ...[OVERVIEW, OVERVIEW, OVERVIEW, OVERVIEW],
  ...[...MOST, ...MOST, ...PAGES],
  ...PAGES.map((page) => ["frame", ...page]),
];
// One request more is as dear as this many bytes that are not needed.
const REQUEST = 6 * 1024;

const manifest = JSON.parse(fs.readFileSync(path.join(folder, MANIFEST)));
const file = (name) => path.join(folder, name);

/** Files that the same pieces want, joined further as long as that makes all visits together cheaper. */
function groups() {
  const wanted = new Map();
  for (const [piece, names] of Object.entries(manifest)) {
    for (const name of names) wanted.set(name, (wanted.get(name) ?? new Set()).add(piece));
  }
  const visits = VISITS.concat(Object.keys(manifest).filter((piece) => !VISITS.flat().includes(piece)).map((piece) => [piece]));
  const joined = (a, b) => ({ names: [...a.names, ...b.names], pieces: new Set([...a.pieces, ...b.pieces]), size: a.size + b.size });
  const cost = (group) =>
    visits.filter((visit) => visit.some((piece) => group.pieces.has(piece))).length * (group.size + REQUEST);
  let all = [...wanted].map(([name, pieces]) => ({ names: [name], pieces, size: fs.statSync(file(`${name}.wasm.br`)).size }));
  for (;;) {
    let best = { gain: 0 };
    all.forEach((a, at) => all.slice(at + 1).forEach((b) => {
      const gain = cost(a) + cost(b) - cost(joined(a, b));
      if (gain > best.gain) best = { gain, a, b };
    }));
    if (best.gain === 0) return all;
    all = all.filter((group) => group !== best.a && group !== best.b).concat(joined(best.a, best.b));
  }
}

const leb = (value) => (value < 128 ? [value] : [(value & 127) | 128, ...leb(value >>> 7)]);

/** A module of WebAssembly that has nothing but sections, each named like the file in it. */
function sections(names) {
  const parts = names.flatMap((name) => {
    const label = Buffer.from(name);
    const bytes = fs.readFileSync(file(`${name}.wasm`));
    const head = [...leb(label.length), ...label];
    return [Buffer.from([0, ...leb(head.length + bytes.length), ...head]), bytes];
  });
  return Buffer.concat([Buffer.from("\0asm\x01\0\0\0", "latin1"), ...parts]);
}

function write(name, bytes) {
  fs.writeFileSync(file(name), bytes);
  const { BROTLI_PARAM_QUALITY: quality, BROTLI_PARAM_SIZE_HINT: hint } = zlib.constants;
  fs.writeFileSync(file(`${name}.br`), zlib.brotliCompressSync(bytes, { params: { [quality]: 11, [hint]: bytes.length } }));
  fs.writeFileSync(file(`${name}.gz`), zlib.gzipSync(bytes, { level: 9 }));
}

const found = groups().sort((a, b) => b.names.length - a.names.length);
const home = new Map(found.flatMap(({ names }, at) => names.map((name) => [name, `joined_${at}`])));
found.forEach(({ names }, at) => write(`joined_${at}.wasm`, sections(names.sort())));

let left = new Set(home.keys());
const loader = fs.readFileSync(file(LOADER), "utf8").replace(/"\.\/([\w.]+)\.wasm"/g, (whole, name) => {
  left.delete(name);
  return home.has(name) ? `"./${home.get(name)}.wasm#${name}"` : whole;
});
if (left.size > 0) {
  console.error(`error: ${LOADER} does not load ${[...left].join(", ")}: has wasm-split changed how it names files?`);
  process.exit(1);
}
fs.rmSync(kept, { recursive: true, force: true });
fs.mkdirSync(kept, { recursive: true });
fs.copyFileSync(file(MANIFEST), path.join(kept, MANIFEST));
for (const name of home.keys()) {
  for (const ending of ["", ".br", ".gz"]) fs.renameSync(file(`${name}.wasm${ending}`), path.join(kept, `${name}.wasm${ending}`));
}
write(LOADER, Buffer.from(loader));
const fewer = Object.entries(manifest).map(([piece, names]) => [piece, [...new Set(names.map((name) => home.get(name)))]]);
write(MANIFEST, Buffer.from(JSON.stringify(Object.fromEntries(fewer))));
console.log(`${home.size} files of pieces are ${found.length} now`);

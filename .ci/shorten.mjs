// Shortens what only machines read: each function that the WASM takes from the page has a name with a digest in
// it, in the WASM and in the glue, which no compression makes small; and sections say what compiled it.
//
// node .ci/shorten.mjs SITE/pkg
import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";

const folder = process.argv[2];
const [CUSTOM, IMPORT] = [0, 2];
const FUNCTION = 0;

function number(bytes, at) {
  let [value, shift, byte] = [0, 0, 0];
  do {
    byte = bytes[at++];
    value |= (byte & 127) << shift;
    shift += 7;
  } while (byte > 127);
  return [value >>> 0, at];
}

const leb = (value) => (value < 128 ? [value] : [(value & 127) | 128, ...leb(value >>> 7)]);

/** The sections of a module: [kind, bytes]. */
function* sections(module) {
  for (let at = 8; at < module.length; ) {
    const kind = module[at];
    const [length, from] = number(module, at + 1);
    yield [kind, module.subarray(from, from + length)];
    at = from + length;
  }
}

/** The imports with other names of functions that the glue gives. */
function renamed(imports, rename) {
  let [count, at] = number(imports, 0);
  const out = [Buffer.from(leb(count))];
  const text = () => {
    const [length, from] = number(imports, at);
    at = from + length;
    return imports.subarray(from, at);
  };
  for (; count > 0; count -= 1) {
    const [module, name] = [text(), text()];
    const from = at;
    if (imports[at++] !== FUNCTION) throw new Error(`an import that is no function: ${name}`);
    [, at] = number(imports, at);
    const short = Buffer.from(rename(String(name)));
    out.push(Buffer.from(leb(module.length)), module, Buffer.from(leb(short.length)), short, imports.subarray(from, at));
  }
  return Buffer.concat(out);
}

function write(name, bytes) {
  const { BROTLI_PARAM_QUALITY: quality, BROTLI_PARAM_SIZE_HINT: hint } = zlib.constants;
  fs.writeFileSync(path.join(folder, name), bytes);
  fs.writeFileSync(path.join(folder, `${name}.br`), zlib.brotliCompressSync(bytes, { params: { [quality]: 11, [hint]: bytes.length } }));
  fs.writeFileSync(path.join(folder, `${name}.gz`), zlib.gzipSync(bytes, { level: 9 }));
}

const wasm = fs.readFileSync(path.join(folder, "lockstep.wasm"));
let glue = fs.readFileSync(path.join(folder, "lockstep.js"), "utf8");
const short = new Map();
const rename = (name) => {
  if (!/^__wb(g|indgen)_\w+$/.test(name)) return name;
  if (!short.has(name)) short.set(name, `_${short.size.toString(36)}`);
  return short.get(name);
};
const parts = [wasm.subarray(0, 8)];
for (const [kind, bytes] of sections(wasm)) {
  if (kind === CUSTOM) continue;
  const body = kind === IMPORT ? renamed(bytes, rename) : bytes;
  parts.push(Buffer.from([kind, ...leb(body.length)]), body);
}
const missing = new Set(short.keys());
glue = glue.replace(/\b__wb(?:g|indgen)_\w+\b/g, (name) => {
  missing.delete(name);
  return short.get(name) ?? name;
});
if (missing.size > 0) {
  console.error(`error: lockstep.js gives the WASM nothing under ${[...missing].join(", ")}: has wasm-bindgen changed its names?`);
  process.exit(1);
}
write("lockstep.wasm", Buffer.concat(parts));
write("lockstep.js", Buffer.from(glue));
console.log(`${short.size} names of functions are short now`);

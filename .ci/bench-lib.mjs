// What the measuring scripts share: a server with a data folder of its own, and how figures are said.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";

export const ROOT = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), "..");
// `LOCKSTEP_BENCH_PROFILE=debug` while a measurement is being written; its figures mean nothing.
const PROFILE = process.env.LOCKSTEP_BENCH_PROFILE ?? "release";
export const PROGRAM = path.join(ROOT, "target", PROFILE, "lockstep");
export const BENCH = path.join(ROOT, "target", PROFILE, "lockstep-bench");
export const TIMES = 5;
export const folder = fs.mkdtempSync(path.join(os.tmpdir(), "lockstep-bench-"));
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
export const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
export const has = (name) => spawnSync("sh", ["-c", `command -v ${name}`]).status === 0;
export const figure = (name, text) => console.log(`${name.padEnd(52)} ${text}`);

export async function until(what, is_met, limit_ms = 60_000) {
  const end = Date.now() + limit_ms;
  for (;;) {
    const value = await is_met();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
    await sleep(10);
  }
}

export function freePort() {
  return new Promise((done) => {
    const server = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

// A server with a data folder of its own.
export class Server {
  static running = new Set();
  constructor(name, ...more) {
    this.data = path.join(folder, name);
    this.program = PROGRAM;
    this.more = more;
  }
  async start() {
    const began = Date.now();
    const log = fs.openSync(path.join(folder, "serve.log"), "a");
    this.process = spawn(PROGRAM, ["serve", "--addr", this.address ?? "127.0.0.1:0", "--data-dir", this.data, ...this.more],
      { stdio: ["ignore", log, log] });
    this.gone = new Promise((done) => this.process.on("exit", done));
    Server.running.add(this);
    const local = path.join(this.data, "local.json");
    await until("the server is there", () => {
      try { this.local = JSON.parse(fs.readFileSync(local)); } catch { return false; }
      return this.local.pid === this.process.pid;
    });
    this.address = this.local.url.replace("http://", "");
    return Date.now() - began;
  }
  async call(endpoint, body) {
    const answer = await fetch(`${this.local.url}/api/v1${endpoint}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${this.local.token}` },
      body: JSON.stringify(body),
    });
    const value = await answer.json();
    if (!answer.ok) throw new Error(`${endpoint}: ${JSON.stringify(value)}`);
    return value;
  }
  async deploy(request) {
    const { id } = await this.call("/deployment/start", request);
    return this.end(id);
  }
  async end(id) {
    for (let after = 0; ;) {
      const view = await this.call("/deployment/wait", { id, after, wait_ms: 20_000 });
      after = view.seq;
      if (["succeeded", "rolled_back", "failed", "cancelled", "superseded", "needs_operator"].includes(view.phase) && view.events.length === 0) {
        return this.call("/deployment/show", { id });
      }
    }
  }
  async kill() {
    this.process.kill("SIGKILL");
    await this.gone;
  }
  async stop() {
    execFileSync(PROGRAM, ["stop", "--all", "--data-dir", this.data]);
    await this.gone;
    Server.running.delete(this);
  }
}

// The smallest value that so many percent do not exceed.
export const percentile = (values, percent) => [...values].sort((a, b) => a - b)[Math.ceil(values.length * percent / 100) - 1];

// Measures Lockstep from outside, beside peers in the same run. Medians of five; these machines are
// noisy, so the ratio with the peer says more than the time.
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { BENCH, PROGRAM, Server, TIMES, figure, folder, freePort, has, median, sleep, until } from "./bench-lib.mjs";
import { access } from "./bench-access.mjs";
import { resume, rollbacks, steps } from "./bench-peers.mjs";

const only = process.argv.slice(2).filter((name) => name !== "pages");
const nothing = process.argv.length > 2 && only.length === 0;
const is_wanted = (name) => only.length === 0 && !nothing || only.includes(name);
const rss = (pid) => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024;
const lockHolder = (name) => Number(execFileSync("pgrep", ["-f", name], { encoding: "utf8" }).split("\n")[0]);

async function plans() {
  const figures = JSON.parse(execFileSync(BENCH, ["plans"]));
  figure("plan of 1,000 services", `${figures.plan_1000_ms} ms (goal 20)`);
  figure("plan of 10,000 services", `${figures.plan_10000_ms} ms (goal 200)`);
}

// 1,000 services in 10 layers that do nothing, each needing two of the layer before.
async function noops() {
  const LAYER = 100, COUNT = 1000;
  const needs = (n) => n < LAYER ? [] : [0, 1].map((k) => Math.floor(n / LAYER) * LAYER - LAYER + (n + k) % LAYER);
  let manifest = "version: 1\nproject: noop\ndefault_environment: bench\nenvironments:\n  bench: {max_parallel: 64}\nwatch: 0s\nservices:\n";
  let ninja = "rule run\n  command = true\n";
  for (let n = 0; n < COUNT; n += 1) {
    const on = needs(n).map((m) => `s${m}: {condition: healthy}`).join(", ");
    manifest += `  s${n}:\n    version: "1"\n${on ? `    depends_on: {${on}}\n` : ""}    target: {type: command, deploy: ["true"]}\n`;
    ninja += `build s${n}: run ${needs(n).map((m) => `s${m}`).join(" ")}\n`;
  }
  const server = new Server("noop");
  await server.start();
  await server.call("/manifest/apply", { file: "noop.yaml", source: manifest });
  const ours = [];
  for (let time = 0; time < TIMES; time += 1) {
    const detail = await server.deploy({ accept_no_rollback: true });
    if (detail.summary.phase !== "succeeded") throw new Error(JSON.stringify(detail.summary.failure));
    ours.push(detail.summary.clocks.finished_at - detail.summary.clocks.requested_at);
  }
  await server.stop();
  if (!has("ninja")) return figure("1,000 no-op services", `${median(ours)} ms (ninja is not there to compare)`);
  const dir = path.join(folder, "ninja");
  const peers = [];
  for (let time = 0; time < TIMES; time += 1) {
    fs.rmSync(dir, { recursive: true, force: true });
    fs.mkdirSync(dir);
    fs.writeFileSync(path.join(dir, "build.ninja"), ninja);
    const began = process.hrtime.bigint();
    execFileSync("ninja", ["-j64", "--quiet"], { cwd: dir });
    peers.push(Number(process.hrtime.bigint() - began) / 1e6);
  }
  const [us, peer] = [median(ours), median(peers)];
  figure("1,000 no-op services, journal durable", `${us} ms; ninja ${peer.toFixed(0)} ms; ${(us / peer).toFixed(1)} × (goals 5, 3)`);
}

function control(socket, request) {
  return new Promise((done, failed) => {
    const client = net.connect(socket, () => client.write(`${JSON.stringify(request)}\n`));
    let answer = "";
    client.on("data", (chunk) => { answer += chunk; if (answer.endsWith("\n")) { client.end(); done(answer); } });
    client.on("error", failed);
  });
}

async function load(port, swap) {
  const SWAPS = 50;
  const wrk = spawn("wrk", ["-t2", "-c64", "-d15s", "--latency", `http://127.0.0.1:${port}/version`]);
  let said = "";
  wrk.stdout.on("data", (chunk) => { said += chunk; });
  const ended = new Promise((done) => wrk.on("exit", done));
  await sleep(500);
  for (let number = 0; number < SWAPS; number += 1) {
    await swap(number % 2 === 0);
    await sleep(250);
  }
  await ended;
  const number = (pattern) => Number(pattern.exec(said)?.[1] ?? 0);
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(said);
  const p99 = /99%\s+([\d.]+)(us|ms|s)/.exec(said);
  const unit = { us: 0.001, ms: 1, s: 1000 };
  return {
    requests: number(/(\d+) requests in/),
    rate: number(/Requests\/sec:\s+([\d.]+)/),
    p99: Number(p99[1]) * unit[p99[2]],
    failed: number(/Non-2xx or 3xx responses: (\d+)/) + (errors ? errors.slice(1).reduce((sum, n) => sum + Number(n), 0) : 0),
  };
}

async function switches() {
  if (!has("wrk")) return figure("50 switches under load", "left out: wrk is not there");
  const ports = [await freePort(), await freePort()];
  const services = ["1.0.0", "1.1.0"].map((version, place) =>
    spawn(PROGRAM, ["demo-service", "--name", "backend", "--version", version, "--port", String(ports[place])], { stdio: "ignore" }));
  const dir = path.join(folder, "gateway");
  const gateway = spawn(PROGRAM, ["gateway", "run", "--dir", dir], { stdio: "ignore" });
  const socket = path.join(dir, "gateway.sock");
  const listen = await freePort();
  const route = (first, second) => control(socket, {
    type: "route", drain: false,
    route: {
      slot: { project: "shop", environment: "bench", service: "backend" },
      listen: `127.0.0.1:${listen}`, host: null, drain_timeout_ms: 5000,
      backends: [
        { revision: "backend-d1-a1", address: `127.0.0.1:${ports[0]}`, weight: first },
        { revision: "backend-d2-a1", address: `127.0.0.1:${ports[1]}`, weight: second },
      ].filter((backend) => backend.weight > 0),
    },
  });
  await until("the gateway answers", () => route(100, 0).catch(() => false));
  await until("the services answer", () => fetch(`http://127.0.0.1:${listen}/version`).then((answer) => answer.ok, () => false));
  const ours = [], peers = [];
  const haproxy = has("haproxy") ? await startHaproxy(ports) : null;
  for (let time = 0; time < TIMES; time += 1) {
    ours.push(await load(listen, (toNew) => toNew ? route(0, 100) : route(100, 0)));
    if (haproxy) peers.push(await load(haproxy.port, haproxy.swap));
  }
  for (const child of [gateway, ...services]) child.kill("SIGTERM");
  haproxy?.process.kill("SIGTERM");
  const sum = (runs, key) => runs.reduce((all, run) => all + run[key], 0);
  const line = (runs) => `${median(runs.map((run) => run.rate)).toFixed(0)} requests/s, p99 ${median(runs.map((run) => run.p99)).toFixed(1)} ms, ${sum(runs, "failed")} of ${sum(runs, "requests")} failed`;
  figure("50 switches, 64 connections: gateway", line(ours));
  if (!haproxy) return figure("50 switches, 64 connections: haproxy", "is not there to compare");
  figure("50 switches, 64 connections: haproxy", line(peers));
  const ratio = median(ours.map((run) => run.rate)) / median(peers.map((run) => run.rate));
  figure("50 switches, 64 connections: ratio", `${ratio.toFixed(2)} × the requests of haproxy`);
}

async function startHaproxy(ports) {
  const port = await freePort();
  const socket = path.join(folder, "haproxy.sock");
  const config = path.join(folder, "haproxy.cfg");
  fs.writeFileSync(config, `global
  stats socket ${socket} level admin
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend in
  bind 127.0.0.1:${port}
  default_backend out
backend out
  server old 127.0.0.1:${ports[0]} weight 100
  server new 127.0.0.1:${ports[1]} weight 0
`);
  const child = spawn("haproxy", ["-f", config, "-db"], { stdio: "ignore" });
  await until("haproxy answers", () => fetch(`http://127.0.0.1:${port}/version`).then((answer) => answer.ok, () => false));
  const weight = (server, value) => new Promise((done, failed) => {
    const client = net.connect(socket, () => client.end(`set weight out/${server} ${value}\n`));
    client.on("data", () => {});
    client.on("close", done);
    client.on("error", failed);
  });
  // The new one is raised before the old one is lowered, or both are at 0 for a moment.
  const swap = async (toNew) => {
    const [up, down] = toNew ? ["new", "old"] : ["old", "new"];
    await weight(up, 100);
    await weight(down, 0);
  };
  return { process: child, port, swap };
}

// The demo: its deployment, a rollback of finished siblings, a killed coordinator, memory at rest.
async function demo() {
  const server = new Server("demo", "--demo");
  const up = await server.start();
  const ended = (id) => server.end(id).then((detail) => detail.summary);
  const first = await until("the demo is deployed", () => server.call("/deployment/list", {}).then((page) => page.deployments.length === 2 && page.deployments));
  const clocks = await Promise.all(first.map((row) => ended(row.id)));
  const took = clocks.map((summary) => summary.clocks.finished_at - summary.clocks.requested_at);
  figure("server up", `${up} ms`);
  figure("whole demo deployment, watch of 3 s included", `${Math.max(...took)} ms (goal 10,000)`);
  const broken = { services: { backend: "1.1.0", web_portal: "1.1.0", frontend: "broken" } };
  // A version that took a release back is held; whoever measures it again says so.
  const release = async () => {
    for (const { id } of (await server.call("/restriction/list", {})).restrictions) {
      await server.call("/restriction/end", { id, reason: "measured again" });
    }
  };
  const back = [];
  for (let time = 0; time < TIMES; time += 1) {
    await release();
    const { summary } = await server.deploy(broken);
    if (summary.phase !== "rolled_back") throw new Error(`the rollback ended as ${summary.phase}`);
    back.push(summary.clocks.stable_at - summary.clocks.detected_at);
  }
  figure("verdict → three services verified back", `${median(back)} ms (goal 10,000)`);
  const agent = lockHolder(`agent --dir ${server.data}`), gateway = lockHolder(`gateway run --dir ${server.data}`);
  await sleep(2000);
  figure("memory at rest", `coordinator ${rss(server.process.pid).toFixed(0)} MiB, agent ${rss(agent).toFixed(0)} MiB, gateway ${rss(gateway).toFixed(0)} MiB`);
  const resumed = [];
  for (let time = 0; time < TIMES; time += 1) {
    await release();
    const { id } = await server.call("/deployment/start", broken);
    const before = await until("it is under way", () => server.call("/deployment/wait", { id, after: 0, wait_ms: 0 }).then((view) => view.seq >= 8 && view.seq));
    await server.kill();
    const began = Date.now();
    await server.start();
    await server.call("/deployment/wait", { id, after: before, wait_ms: 20_000 });
    resumed.push(Date.now() - began);
    await server.end(id);
  }
  figure("kill -9 of the coordinator → deployment goes on", `${median(resumed)} ms, slowest ${Math.max(...resumed)} ms (goal 5,000)`);
  await server.stop();
}

// What a shop of 25 services looks like: enough steps that something happens all the time.
const wide = (count) => {
  let text = "version: 1\nproject: wide\ndefault_environment: bench\nenvironments:\n  bench: {max_parallel: 2}\nwatch: 0s\nservices:\n";
  for (let n = 0; n < count; n += 1) text += `  s${n}:\n    version: "1"\n    target: {type: command, deploy: ["sleep", "0.2"]}\n`;
  return text;
};

// News to many open pages: how old they are when they come, and what listening costs.
async function sockets() {
  const server = new Server("sockets");
  await server.start();
  await server.call("/manifest/apply", { file: "wide.yaml", source: wide(25) });
  await server.deploy({ accept_no_rollback: true });
  const idle = rss(server.process.pid);
  for (const [count, name, goal] of [[50, "news to 50 open pages", "p95 300"], [1000, "news to 1,000 open pages", "p99 1,000"]]) {
    const { id } = await server.call("/deployment/start", { accept_no_rollback: true });
    const url = `${server.local.url.replace("http", "ws")}/live`;
    const client = spawn(BENCH, ["sockets", url, server.local.token, String(count), `deployment/${id}`, "12"], { stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    client.stdout.on("data", (chunk) => { said += chunk; });
    await until("all listen", () => said.includes("ready"));
    const next = server.end(id);
    await sleep(4_000);
    const more = rss(server.process.pid) - idle;
    await new Promise((done) => client.on("exit", done));
    await next;
    const ages = JSON.parse(said.trim().split("\n").at(-1));
    const memory = count === 1000 ? `; ${more.toFixed(0)} MiB more memory (goal 256)` : "";
    figure(name, `p50 ${ages.p50_ms} ms, p95 ${ages.p95_ms} ms, p99 ${ages.p99_ms} ms of ${ages.frames} frames (goal ${goal})${memory}`);
  }
  await server.stop();
}

// A search among as many deployments as years bring.
async function history() {
  const server = new Server("history");
  fs.mkdirSync(server.data, { recursive: true, mode: 0o700 });
  execFileSync(BENCH, ["history", server.data, "100000"]);
  await server.start();
  const searches = [
    {}, { q: "release train 99123" }, { q: "status:rolled_back env:production" }, { q: "error ratio 4.1" }, { q: "by:user7 service:s1" },
    { q: "no such words anywhere" }, { sort: "longest" }, { q: "#77777" }, { environment: "preview", sort: "oldest" }, { q: "s0@512.9" },
    { sort: "environment" }, { sort: "by_down", phase: "failed" }, { sort: "phase", q: "release train" }, { sort: "widest", service: "s0001" },
  ];
  const times = [];
  for (let time = 0; time < 10; time += 1) {
    for (const search of searches) {
      const began = process.hrtime.bigint();
      await server.call("/deployment/list", { ...search, count: true, limit: 25 });
      times.push(Number(process.hrtime.bigint() - began) / 1e6);
    }
  }
  times.sort((a, b) => a - b);
  const at = (percent) => times[Math.ceil(times.length * percent / 100) - 1].toFixed(0);
  figure("search among 100,000 deployments, with counts", `p50 ${at(50)} ms, p95 ${at(95)} ms (goal p95 200)`);
  const began = performance.now();
  const download = await fetch(`${server.local.url}/deployments.csv`, { headers: { authorization: `Bearer ${server.local.token}` } });
  let rows = 0;
  for await (const chunk of download.body) for (const byte of chunk) rows += byte === 10;
  if (rows < 100_001) throw new Error(`the download has ${rows} rows only`);
  figure("all of them as CSV", `${((performance.now() - began) / 1000).toFixed(1)} s for ${rows - 1} rows`);
  await server.stop();
}

try {
  for (const [name, measure] of Object.entries({ plans, noops, steps, switches, demo, rollbacks, resume, sockets, history, access })) {
    if (is_wanted(name)) await measure();
  }
} finally {
  // After an error: nothing that was started is left behind.
  for (const server of Server.running) await server.stop().catch(() => {});
  fs.rmSync(folder, { recursive: true, force: true });
}

// Rollbacks by the hundred, and two peers in the same run: steno for the cost of a step, dbos for going
// on after kill -9.
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { BENCH, ROOT, Server, TIMES, figure, folder, freePort, median, percentile, until } from "./bench-lib.mjs";

const ROLLBACKS = Number(process.env.LOCKSTEP_BENCH_ROLLBACKS ?? 200);
// How long the middle step of the plan takes.
const MIDDLE_S = 0.2;

// Two processes behind the gateway have got the traffic when the third service fails: injected failures,
// each taken back and verified by probing.
export async function rollbacks() {
  const server = new Server("rollbacks");
  await server.start();
  const ports = [await freePort(), await freePort()];
  const process = (name, port) => `  ${name}:
    version: "1.0.0"
    healthcheck: {ready: /health/ready, interval: 100ms, timeout: 2s, retries: 2, start_period: 5s}
    target:
      type: process
      command: [${JSON.stringify(server.program)}, demo-service, --name, ${name}, --version, "\${VERSION}", --port, "\${PORT}"]
      gateway: {listen: "127.0.0.1:${port}", drain_timeout: 5s}
      stop_grace: 2s
      keep_old: 1m
`;
  const source = `version: 1
project: shop
default_environment: bench
environments:
  bench: {}
watch: 0s
services:
${process("backend", ports[0])}${process("web_portal", ports[1])}  migrate:
    version: "1.0.0"
    depends_on: {backend: {condition: healthy}, web_portal: {condition: healthy}}
    rollback: {hold_version: false}
    target: {type: command, deploy: [sh, -c, 'test "$0" != broken', "\${VERSION}"], undo: ["true"]}
`;
  await server.call("/manifest/apply", { file: "shop.yaml", source });
  const first = await server.deploy({ accept_no_rollback: true });
  if (first.summary.phase !== "succeeded") throw new Error(JSON.stringify(first.summary.failure));
  const took = [];
  for (let time = 0; time < ROLLBACKS; time += 1) {
    const { summary } = await server.deploy({ services: { backend: "1.1.0", web_portal: "1.1.0", migrate: "broken" } });
    if (summary.phase !== "rolled_back") throw new Error(`rollback ${time} ended as ${summary.phase}`);
    took.push(summary.clocks.stable_at - summary.clocks.detected_at);
  }
  await server.stop();
  const at = (percent) => percentile(took, percent);
  figure(`${ROLLBACKS} injected failures, verdict → verified back`, `p50 ${at(50)} ms, p95 ${at(95)} ms, p99 ${at(99)} ms (promise 120,000)`);
}

// The same graph of steps that do nothing, by our engine, by steno, and with our journal durable.
export async function steps() {
  const found = JSON.parse(execFileSync(BENCH, ["steps"]));
  const ratio = found.engine_us / found.steno_us;
  figure(`overhead a step, ${found.steps} steps, in memory`, `${found.engine_us.toFixed(1)} µs; steno ${found.steno_us.toFixed(1)} µs; ${ratio.toFixed(2)} ×`);
  figure("the same, every decision durable in SQLite", `${found.durable_us.toFixed(0)} µs a step (steno keeps nothing)`);
}

const lines = (file) => {
  try { return fs.readFileSync(file, "utf8").split("\n").filter(Boolean); } catch { return []; }
};

// A plan of three steps, kill -9 of who carries it out while the middle one runs, started again at once:
// the time until the last step is called, and how often the middle one was.
export async function resume() {
  const ours = [], peers = [];
  const server = new Server("resume");
  const calls = path.join(folder, "calls");
  const step = (name, number, on) => `  ${name}:
    version: "1"
${on ? `    depends_on: {${on}: {condition: healthy}}\n` : ""}    target:
      type: command
      deploy: [sh, -c, 'echo ${number} >> ${calls}; sync ${calls}${number === 2 ? `; sleep ${MIDDLE_S}` : ""}']
`;
  await server.start();
  const source = `version: 1
project: plan
default_environment: bench
environments:
  bench: {}
watch: 0s
services:
${step("first", 1, "")}${step("middle", 2, "first")}${step("last", 3, "middle")}`;
  await server.call("/manifest/apply", { file: "plan.yaml", source });
  let ours_middle = 0, peers_middle = 0;
  // The first one also starts the agent, which is no part of it.
  for (let time = -1; time < TIMES; time += 1) {
    fs.rmSync(calls, { force: true });
    const { id } = await server.call("/deployment/start", { accept_no_rollback: true });
    await until("the middle step runs", () => lines(calls).includes("2"));
    await server.kill();
    const began = Date.now();
    await server.start();
    await until("the last step is called", () => lines(calls).includes("3"));
    if (time >= 0) {
      ours.push(Date.now() - began);
      ours_middle += lines(calls).filter((line) => line === "2").length;
    }
    await server.end(id);
  }
  await server.stop();
  const us = median(ours);
  const python = process.env.DBOS_PYTHON;
  const own = `${us} ms, middle step called ${(ours_middle / TIMES).toFixed(1)} ×`;
  if (!python || !fs.existsSync(python)) {
    return figure("kill -9 in the middle of three steps", `${own} (dbos is not there to compare: PyPI was not reached)`);
  }
  for (let time = 0; time < TIMES; time += 1) {
    const dir = path.join(folder, `dbos-${time}`);
    fs.mkdirSync(dir);
    const file = path.join(dir, "calls");
    const start = () => spawn(python, [path.join(ROOT, ".ci/bench-dbos.py"), dir, String(MIDDLE_S)], { stdio: ["ignore", "ignore", "ignore"] });
    const first = start();
    const gone = new Promise((done) => first.on("exit", done));
    await until("the middle step runs", () => lines(file).includes("2"));
    first.kill("SIGKILL");
    await gone;
    const began = Date.now();
    const second = start();
    const ended = new Promise((done) => second.on("exit", done));
    await until("the last step is called", () => lines(file).includes("3"));
    peers.push(Date.now() - began);
    peers_middle += lines(file).filter((line) => line === "2").length;
    await ended;
  }
  const peer = median(peers);
  figure("kill -9 in the middle of three steps", `${own}; dbos ${peer} ms, ${(peers_middle / TIMES).toFixed(1)} ×; ${(us / peer).toFixed(2)} × its time`);
}

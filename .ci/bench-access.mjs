// What many at once, and those who mean no good, cost everybody else.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { Server, figure, median, percentile, sleep } from "./bench-lib.mjs";

const peak = (pid) => Number(/VmHWM:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024;
const CLIENTS = 50;

// So many clients, each asking again when it has its answer; how long each answer took.
async function load(requests, clients, ask) {
  const took = [];
  let next = 0;
  await Promise.all(Array.from({ length: clients }, async () => {
    while (next < requests) {
      const number = next;
      next += 1;
      const began = performance.now();
      await ask(number);
      took.push(performance.now() - began);
    }
  }));
  return took;
}

const line = (took, goal) => `p50 ${percentile(took, 50).toFixed(0)} ms, p99 ${percentile(took, 99).toFixed(0)} ms of ${took.length} (goal p99 ${goal})`;

// The same read by a client that costs little beside the server; nothing where there is none. In Node, which has
// one of two cores for itself, 50 clients wait for Node.
function wrk(server, endpoint) {
  const script = path.join(server.data, "..", "read.lua");
  fs.writeFileSync(script, `wrk.method = "POST"\nwrk.body = "{}"\nwrk.headers["content-type"] = "application/json"\nwrk.headers["authorization"] = "Bearer ${server.local.token}"\n`);
  const ran = spawnSync("wrk", ["-t1", `-c${CLIENTS}`, "-d2s", "--latency", "-s", script, `${server.local.url}/api/v1${endpoint}`], { encoding: "utf8" });
  fs.rmSync(script);
  if (ran.error || ran.status !== 0) return undefined;
  if (/Non-2xx|Socket errors/.test(ran.stdout)) throw new Error(ran.stdout);
  const [, p50] = /50%\s+(\S+)/.exec(ran.stdout);
  const [, p99] = /99%\s+(\S+)/.exec(ran.stdout);
  const [, count] = /(\d+) requests in/.exec(ran.stdout);
  return `p50 ${p50}, p99 ${p99} of ${count} (goal p99 50 ms)`;
}

// Signs in from an address that the proxy, which is us, names.
async function signIn(server, address, user, password) {
  const answer = await fetch(`${server.local.url}/session/sign_in`, {
    method: "POST",
    redirect: "manual",
    headers: { origin: server.local.url, "x-forwarded-for": address, "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ user, password, next: "/" }),
  });
  await answer.arrayBuffer();
  return answer.headers.get("location") ?? "";
}

async function user(server, name, password) {
  const { path } = await server.call("/user/add", { name, role: "viewer" });
  const answer = await fetch(`${server.local.url}/session/set_password`, {
    method: "POST",
    redirect: "manual",
    headers: { origin: server.local.url, "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ code: path.replace("/link/", ""), password, again: password }),
  });
  if (answer.headers.get("location") !== "/") throw new Error(`${name} could not set a password`);
}

export async function access() {
  const server = new Server("access", "--proxy", "127.0.0.1");
  await server.start();
  const manifest = "version: 1\nproject: shop\ndefault_environment: bench\nenvironments: {bench: {}}\nservices:\n  web:\n    version: \"1\"\n    target: {type: command, deploy: [\"true\"]}\n";
  await server.call("/manifest/apply", { file: "shop.yaml", source: manifest });
  const read = () => server.call("/service/list", {});
  const write = (number) => server.call("/restriction/add", { kind: "hold", service: "web", version: `9.${number}`, reason: "measured" });
  await load(200, CLIENTS, read);
  figure("API: reads, 50 clients", wrk(server, "/service/list") ?? line(await load(3_000, CLIENTS, read), "50"));
  figure("API: durable writes, 50 clients", line(await load(1_000, CLIENTS, write), "100"));

  // Connections that begin a request and never end it.
  const { hostname, port } = new URL(server.local.url);
  const slow = await Promise.all(Array.from({ length: 1_000 }, () => new Promise((done, failed) => {
    const socket = net.connect(Number(port), hostname, () => { socket.write("POST /api/v1/session/show HTTP/1.1\r\nhost: x\r\nx: "); done(socket); });
    socket.on("error", failed);
  })));
  const drip = setInterval(() => { for (const socket of slow) if (!socket.destroyed) socket.write("a"); }, 1_000);
  await sleep(1_000);
  const beside = await load(500, 8, read);
  const open = slow.filter((socket) => !socket.destroyed).length;
  clearInterval(drip);
  for (const socket of slow) socket.on("error", () => {}).destroy();
  figure(`API beside ${open} slow connections`, line(beside, "500"));

  const before = peak(server.process.pid);
  const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => signIn(server, `10.1.0.${n}`, `nobody${n}`, "wrong-wrong-wrong")));
  const looked = answers.filter((at) => at.includes("credentials")).length;
  figure("200 sign-ins at once", `${(peak(server.process.pid) - before).toFixed(0)} MiB more memory (goal 100); ${looked} looked at, ${answers.length - looked} told to wait`);

  // Who guesses learns no names by the time that an answer takes.
  const [wrong, unknown] = [[], []];
  for (let n = 0; n < 40; n += 1) await user(server, `user${n}`, "correct-horse-battery");
  for (let n = 0; n < 200; n += 1) {
    for (const [name, times] of [[`user${n % 40}`, wrong], [`nobody${n}`, unknown]]) {
      const began = performance.now();
      await signIn(server, `10.2.${n % 250}.1`, name, "wrong-wrong-wrong");
      times.push(performance.now() - began);
    }
  }
  const apart = Math.abs(median(wrong) - median(unknown));
  figure("wrong password and unknown user, 200 tries each", `medians ${median(wrong).toFixed(1)} and ${median(unknown).toFixed(1)} ms, ${apart.toFixed(1)} apart (goal 5)`);
  await server.stop();
}

// Starts the demo from the release build in a folder of its own, with one user for each role, and
// ends it with all its services.
const { spawn, execFileSync } = require("node:child_process");
const fs = require("node:fs");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");

const PROGRAM = process.env.LOCKSTEP || path.join(__dirname, "../target/release/lockstep");
const PATIENCE_MS = 60_000;
const COMMAND_MS = 120_000;
const PASSWORD = "correct-horse-battery";

const freePort = () => new Promise((resolve) => {
  const server = net.createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});

// Starts a server over a data folder; the process's number and what it says are kept beside it, so that
// whoever ends it need not be whoever started it.
async function start(data, port, flags = ["--demo"]) {
  const said = path.join(data, "..", "said");
  const log = fs.openSync(said, "w");
  const server = spawn(PROGRAM, ["serve", ...flags, "--addr", `127.0.0.1:${port}`, "--data-dir", data], {
    stdio: ["ignore", log, log],
    env: { PATH: process.env.PATH },
    detached: true,
  });
  fs.closeSync(log);
  const isUp = flags.includes("--demo") ? "^C ends the server" : "Commands on this machine";
  for (let waited = 0; !fs.readFileSync(said, "utf8").includes(isUp); waited += 20) {
    const problem = server.exitCode !== null ? `the server ended with ${server.exitCode}` : "the server was not up in time";
    if (server.exitCode !== null || waited > PATIENCE_MS) {
      // What did not begin well is not left behind: it would hold the ports of the next one.
      try { execFileSync(PROGRAM, ["stop", "--all", "--data-dir", data], { stdio: "ignore" }); } catch { /* It has ended by itself. */ }
      throw new Error(`${problem}:\n${fs.readFileSync(said, "utf8")}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  fs.writeFileSync(path.join(data, "..", "pid"), String(server.pid));
  server.unref();
}

const isAlive = (pid) => {
  try { process.kill(pid, 0); return true; } catch { return false; }
};

// Ends the server of a data folder, by a signal unless told otherwise, and waits until it is gone. What
// a server without the demo has started goes on then.
async function end(data, how = (pid) => process.kill(pid, "SIGTERM")) {
  const pid = Number(fs.readFileSync(path.join(data, "..", "pid"), "utf8"));
  const said = fs.readFileSync(path.join(data, "..", "said"), "utf8");
  if (!isAlive(pid)) throw new Error(`the server of ${data} ended by itself:\n${said.slice(-4000)}`);
  how(pid);
  for (let waited = 0; isAlive(pid) && waited < PATIENCE_MS; waited += 20) {
    // A child of this process stays until it is waited for, which the event loop does.
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  if (said.includes("panicked")) throw new Error(`the server of ${data} panicked:\n${said.slice(-4000)}`);
}

function command(data, ...args) {
  return execFileSync(PROGRAM, args, {
    env: { PATH: process.env.PATH, LOCKSTEP_DATA_DIR: data, CI: "true" },
    encoding: "utf8",
    // It holds everything up while it waits: what a failed test left behind must not make that for ever.
    timeout: COMMAND_MS,
  });
}

// Makes a user and signs them in; returns the cookie.
async function enter(url, data, name, role) {
  const { path: link } = JSON.parse(command(data, "user", "add", name, "--role", role, "--json"));
  const answer = await fetch(`${url}/session/set_password`, {
    method: "POST",
    redirect: "manual",
    headers: { origin: url, "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ code: link.replace("/link/", ""), password: PASSWORD, again: PASSWORD }),
  });
  return answer.headers.get("set-cookie").match(/lockstep=([^;]+)/)[1];
}

module.exports = async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "lockstep-end2end-"));
  const data = path.join(folder, "data");
  const port = await freePort();
  await start(data, port);
  const said = fs.readFileSync(path.join(folder, "said"), "utf8");
  const url = `http://127.0.0.1:${port}`;
  process.env.LOCKSTEP_URL = url;
  process.env.LOCKSTEP_LINK = said.match(/Sign in .*: (\S+)/)[1];
  process.env.LOCKSTEP_DATA_DIR = data;
  process.env.LOCKSTEP_PROGRAM = PROGRAM;
  for (const role of ["viewer", "operator", "deployer", "admin"]) {
    process.env[`LOCKSTEP_COOKIE_${role.toUpperCase()}`] = await enter(url, data, `e2e-${role}`, role);
  }
  return async () => {
    await end(data);
    try {
      fs.rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 });
    } catch (error) {
      console.warn(`${folder} is left behind: ${error.message}`);
    }
  };
};
Object.assign(module.exports, { start, end, command, enter, freePort, PASSWORD });

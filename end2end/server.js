// Starts the demo from the release build in a folder of its own, and ends it with all its services.
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const PROGRAM = process.env.LOCKSTEP || path.join(__dirname, "../target/release/lockstep");
const PATIENCE_MS = 60_000;

module.exports = async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "lockstep-end2end-"));
  const data = path.join(folder, "data");
  const server = spawn(PROGRAM, ["serve", "--demo", "--addr", "127.0.0.1:0", "--data-dir", data], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH },
  });
  let said = "";
  const ready = new Promise((resolve, reject) => {
    const hear = (chunk) => {
      said += chunk;
      if (said.includes("^C ends the server")) resolve();
    };
    server.stdout.on("data", hear);
    server.stderr.on("data", hear);
    server.on("exit", (code) => reject(new Error(`the server ended with ${code}:\n${said}`)));
    setTimeout(() => reject(new Error(`the demo was not up in time:\n${said}`)), PATIENCE_MS).unref();
  });
  await ready;
  const link = said.match(/Sign in .*: (\S+)/)[1];
  process.env.LOCKSTEP_URL = new URL(link).origin;
  process.env.LOCKSTEP_LINK = link;
  process.env.LOCKSTEP_DATA_DIR = data;
  process.env.LOCKSTEP_PROGRAM = PROGRAM;
  return async () => {
    const ended = new Promise((resolve) => server.on("exit", resolve));
    server.removeAllListeners("exit");
    server.on("exit", () => {});
    server.kill("SIGTERM");
    await Promise.race([ended, new Promise((resolve) => {
      const look = setInterval(() => {
        if (server.exitCode !== null || server.signalCode !== null) { clearInterval(look); resolve(); }
      }, 50);
    })]);
    fs.rmSync(folder, { recursive: true, force: true });
  };
};

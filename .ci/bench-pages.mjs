// Measures the pages in Chromium: how long after it happened something is seen, how long a large
// overview takes to take a change up, and what Lighthouse says. Medians of three. With words it
// measures only those parts: painted, first, lighthouse, cells.
import { createRequire } from "node:module";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

const ROOT = path.resolve(path.dirname(new URL(import.meta.url).pathname), "..");
const require = createRequire(path.join(ROOT, "end2end/"));
const { chromium } = require("@playwright/test");
const { start, end, enter, freePort, command } = require("./server.js");
const PARTS = process.argv.slice(2);
const isWanted = (part) => PARTS.length === 0 || PARTS.includes(part);
const CHROMIUM = process.env.CHROMIUM;
const LIGHTHOUSE = process.env.LIGHTHOUSE;
const figure = (name, text) => console.log(`${name.padEnd(52)} ${text}`);
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const rank = (values, percent) => [...values].sort((a, b) => a - b)[Math.ceil(values.length * percent / 100) - 1];

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "lockstep-bench-pages-"));
const data = path.join(folder, "data");
const port = await freePort();
const url = `http://127.0.0.1:${port}`;
await start(data, port);
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
try {
  const cookie = await enter(url, data, "bench", "admin");
  const context = await browser.newContext();
  await context.addCookies([{ name: "lockstep", value: cookie, url }]);

  if (isWanted("painted")) {
    // When a step begins or ends, the server notes the time; the page notes when it was painted. As many
    // as are in the document all at once, and slow enough that the page is there before they are over.
    let wide = "version: 1\nproject: wide\ndefault_environment: bench\nenvironments:\n  bench: {max_parallel: 1}\nwatch: 0s\nservices:\n";
    for (let n = 0; n < 12; n += 1) wide += `  s${n}:\n    version: "1"\n    target: {type: command, deploy: ["sleep", "0.5"]}\n`;
    fs.writeFileSync(path.join(folder, "wide.yaml"), wide);
    command(data, "apply", path.join(folder, "wide.yaml"));
    const painted = [];
    for (let time = 0; time < 3; time += 1) {
      const page = await context.newPage();
      const { id } = JSON.parse(command(data, "deploy", "--project", "wide", "--accept-no-rollback", "--json"));
      await page.goto(`${url}/deployments/${id}`);
      await page.waitForSelector("html[data-hydrated]");
      await page.waitForFunction(() => document.querySelector(".live")?.textContent.includes("Live"));
      const since = await page.evaluate(() => {
        window.seen = [];
        new MutationObserver((changes) => {
          const what = changes.map((change) => [change.target.dataset.step, change.target.dataset.state]);
          requestAnimationFrame(() => setTimeout(() => window.seen.push(...what.map((one) => [...one, Date.now()]))));
        }).observe(document.body, { subtree: true, attributes: true, attributeFilter: ["data-state"] });
        return Date.now();
      });
      await page.waitForFunction(() => document.querySelector(".head .pill")?.textContent === "Succeeded", null, { timeout: 60_000 });
      await page.waitForTimeout(300);
      const seen = await page.evaluate(() => window.seen);
      const detail = JSON.parse(command(data, "status", String(id), "--json"));
      for (const [name, state, at] of seen) {
        const step = detail.steps.find((one) => one.id === name)?.tries.at(-1);
        const when = state === "running" ? step?.started_at : state === "succeeded" ? step?.finished_at : undefined;
        if (when > since) painted.push(at - when);
      }
      await page.close();
    }
    if (painted.length < 30) throw new Error(`only ${painted.length} changes were seen being painted`);
    figure("it happens → it is painted", `p50 ${rank(painted, 50)} ms, p95 ${rank(painted, 95)} ms of ${painted.length} (goal p95 300)`);
  }

  if (isWanted("first")) {
    // As it comes over the line to a browser that was never here; dialogs come when a page has settled.
    const fresh = await browser.newContext();
    await fresh.addCookies([{ name: "lockstep", value: cookie, url }]);
    const page = await fresh.newPage();
    const line = await fresh.newCDPSession(page);
    const came = { bytes: 0, requests: 0 };
    await line.send("Network.enable");
    line.on("Network.loadingFinished", (end) => { came.bytes += end.encodedDataLength; came.requests += 1; });
    await page.goto(url);
    await page.waitForSelector("html[data-hydrated]");
    await page.waitForLoadState("networkidle");
    const first = { ...came };
    await page.waitForTimeout(6_000);
    const kib = (bytes) => (bytes / 1024).toFixed(0);
    figure("first visit of the overview", `${kib(first.bytes)} KiB in ${first.requests} requests (goal 450 in 12); ${kib(came.bytes)} in ${came.requests} with the dialogs that come later`);
    await fresh.close();
  }
  if (isWanted("lighthouse") && LIGHTHOUSE) {
    for (const [name, more] of [["desktop", ["--preset=desktop"]], ["mobile", []]]) {
      const runs = [];
      for (let time = 0; time < 3; time += 1) {
        const file = path.join(folder, `${name}-${time}.json`);
        const headers = path.join(folder, "headers.json");
        fs.writeFileSync(headers, JSON.stringify({ Cookie: `lockstep=${cookie}` }));
        const look = () => execFileSync(LIGHTHOUSE, [url, "--quiet", "--output=json", `--output-path=${file}`, `--extra-headers=${headers}`,
          "--only-categories=performance,accessibility,best-practices", "--chrome-flags=--headless=new --no-sandbox", ...more],
        { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, CHROME_PATH: CHROMIUM } });
        // Now and then it fails to record a trace and asks to be run again (NO_NAVSTART).
        for (let again = 2; ; again -= 1) {
          try { look(); break; } catch (error) { if (again === 0) throw error; }
        }
        runs.push(JSON.parse(fs.readFileSync(file)));
      }
      const score = (category) => median(runs.map((run) => Math.round(run.categories[category].score * 100)));
      const audit = (id) => median(runs.map((run) => run.audits[id].numericValue));
      figure(`Lighthouse, ${name}`, `performance ${score("performance")}, accessibility ${score("accessibility")}, best practices ${score("best-practices")}`);
      figure(`  LCP, CLS, TBT`, `${audit("largest-contentful-paint").toFixed(0)} ms, ${audit("cumulative-layout-shift").toFixed(3)}, ${audit("total-blocking-time").toFixed(0)} ms`);
    }
  } else if (isWanted("lighthouse")) {
    figure("Lighthouse", "not there; left out");
  }
  if (isWanted("cells")) {
    // 200 services in 4 environments; a change of all of them at once.
    let manifest = "version: 1\nproject: big\ndefault_environment: e0\nenvironments: {e0: {}, e1: {}, e2: {}, e3: {}}\nservices:\n";
    for (let n = 0; n < 200; n += 1) manifest += `  s${String(n).padStart(3, "0")}:\n    version: "1"\n    target: {type: command, deploy: ["true"]}\n`;
    fs.writeFileSync(path.join(folder, "big.yaml"), manifest);
    command(data, "apply", path.join(folder, "big.yaml"));
    const page = await context.newPage();
    let send;
    await page.routeWebSocket(/\/live$/, (socket) => {
      const server = socket.connectToServer();
      send = (text) => socket.send(text);
      server.onMessage((message) => {
        const frame = JSON.parse(message);
        if (frame.snapshot) page.snapshot = frame.snapshot;
        socket.send(message);
      });
    });
    await page.goto(url);
    await page.waitForSelector("html[data-hydrated]");
    await page.waitForFunction(() => document.querySelectorAll(".cell").length >= 800);
    const overview = await (await context.request.post(`${url}/api/v1/deployment/monitor`, { data: { topics: [{ topic: "overview" }] }, headers: { origin: url } })).json();
    const { place, body } = overview.frames[0].snapshot;
    const cells = body.overview.cells;
    // What the page's main thread works at a stretch, in its own time: others on the machine do not
    // count, and no frame comes before it is done.
    const tasks = async (act) => {
      await browser.startTracing(page, { categories: ["toplevel", "devtools.timeline"] });
      await act();
      const { traceEvents } = JSON.parse((await browser.stopTracing()).toString());
      const main = traceEvents.find((event) => event.name === "FireAnimationFrame");
      const ours = traceEvents.filter((event) => event.ph === "X" && event.name.endsWith("RunTask") && event.pid === main?.pid && event.tid === main?.tid);
      return Math.max(...ours.map((event) => (event.tdur ?? event.dur) / 1_000));
    };
    const longest = async (name, goal, change) => {
      const [took, worked] = [[], []];
      for (let time = 1; time <= 7; time += 1) {
        const patch = cells.map((cell, n) => change(cell, n, time)).filter(Boolean);
        longest.seq = (longest.seq ?? place.seq + 1_000) + 1;
        const frame = JSON.stringify({ patch: { topic: "overview", place: { ...place, seq: longest.seq }, body: { overview: { cells: patch } } } });
        await page.evaluate(() => {
          window.frames = [];
          let last = performance.now();
          const tick = () => {
            const now = performance.now();
            window.frames.push(now - last);
            last = now;
            if (window.frames.length < 60) requestAnimationFrame(tick);
          };
          requestAnimationFrame(tick);
        });
        worked.push(await tasks(async () => {
          send(frame);
          await page.waitForFunction(() => window.frames.length >= 60);
        }));
        took.push(await page.evaluate(() => Math.max(...window.frames)));
      }
      return figure(name, `longest task ${median(worked).toFixed(1)} ms${goal}, longest frame ${median(took).toFixed(1)} ms`);
    };
    const health = ["healthy", "degraded", "unhealthy"];
    const check = (n, time) => ({ at: Date.now() + time, health: health[(n + time) % 3], latency_ms: n % 90 });
    // A frame on an idle page is the peer: nothing can be within less.
    await longest("800 cells, nothing changes", "", (cell, n, time) => n === 0 && { cell: n, checks: [check(n, time)] });
    await longest("a look at each of 800 cells", " (goal 16)", (cell, n, time) => ({ cell: n, checks: [check(n, time)] }));
    await longest("each of 800 cells changes its state", " (goal 16)", (cell, n, time) => ({
      cell: n, checks: [check(n, time)],
      service: { ...cell.service, version: `1.${time}`, health: health[(n + time) % 3], since: Date.now() },
    }));
    await longest("the same, and all 200 rows change places", " (goal 16)", (cell, n, time) => ({
      cell: n, checks: [check(n, time)],
      service: { ...cell.service, version: `2.${time}`, health: health[(Number(cell.service.service.slice(1)) + time) % 3] },
    }));
    await page.close();
  }
} finally {
  await browser.close();
  await end(data);
  fs.rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 });
}

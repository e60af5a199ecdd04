// The timeline and the log in the hands of somebody: zoomed by wheel, pointer and keys, filtered, walked
// through by arrows, followed. Large ones stay light.
const { test, expect } = require("@playwright/test");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const server = require("../server.js");
const { start, as, complaints, open, isLive, lastId, url } = require("../support.js");

// A server of its own with one reader; the demo's has one project, which other tests rely on.
async function own(browser, manifest, act) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "lockstep-timeline-"));
  const data = path.join(folder, "data");
  const port = await server.freePort();
  const address = `http://127.0.0.1:${port}`;
  const run = (...args) => server.command(data, ...args);
  try {
    await server.start(data, port, []);
    const value = await server.enter(address, data, "operator", "operator");
    const file = path.join(folder, "lockstep.yaml");
    fs.writeFileSync(file, manifest);
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    await context.addCookies([{ name: "lockstep", value, url: address }]);
    const page = await context.newPage();
    const heard = complaints(page);
    const goto = async (to) => {
      await page.goto(address + to);
      await expect(page.locator("html[data-hydrated]")).toBeAttached();
    };
    await act({ page, goto, run, file });
    expect(heard).toEqual([]);
    await context.close();
  } finally {
    await server.end(data, () => run("stop", "--all"));
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 });
  }
}

const windowOf = (page) => {
  const text = new URL(page.url()).searchParams.get("tl");
  return text ? text.split("-").map(Number) : null;
};
const length = (page) => { const [from, to] = windowOf(page); return to - from; };

test.describe.serial("timeline", () => {
  test("the window is chosen by wheel, by drawing and by keys, and stands in the address", async ({ browser }) => {
    start("--set", "web_portal=1.0.0", "--wait");
    const context = await as(browser, "viewer", { viewport: { width: 1280, height: 800 } });
    const page = await context.newPage();
    const heard = complaints(page);
    await open(page, `/deployments/${lastId()}`);
    await isLive(page);
    const row = page.locator("[data-step='web_portal.verify']");
    await row.hover();
    await page.keyboard.down("Control");
    await page.mouse.wheel(0, -240);
    await page.keyboard.up("Control");
    await expect(page).toHaveURL(/tl=\d+-\d+/);
    const wheeled = length(page);
    await page.locator("h1").click();
    await page.keyboard.press("+");
    await expect.poll(() => length(page)).toBeLessThan(wheeled);
    await page.keyboard.press("0");
    await expect(page).not.toHaveURL(/tl=/);

    // The same time stands at the same place on the strip and below it, and no time is cut off.
    const strip = await page.locator(".brush").boundingBox();
    const track = await page.locator(".gantt-axis .track").boundingBox();
    expect(Math.abs(strip.x - track.x)).toBeLessThan(1);
    expect(Math.abs(strip.width - track.width)).toBeLessThan(1);
    const ends = await page.locator(".axis-text").evaluateAll((all) => all.filter((one) => one.textContent).map((one) => one.getBoundingClientRect().right));
    expect(Math.max(...ends)).toBeLessThanOrEqual(track.x + track.width);
    // Drawn on the strip, also when the pointer leaves it on the way.
    const y = strip.y + strip.height / 2;
    await page.mouse.move(strip.x + strip.width * 0.2, y);
    await page.mouse.down();
    await page.mouse.move(strip.x + strip.width * 0.4, y + 120, { steps: 4 });
    await page.mouse.move(strip.x + strip.width * 0.6, y + 120, { steps: 4 });
    await page.mouse.up();
    await expect(page).toHaveURL(/tl=\d+-\d+/);
    const [from, to] = windowOf(page);
    await page.locator(".brush").dblclick();
    await expect(page).not.toHaveURL(/tl=/);
    const whole = await page.locator(".brush").evaluate((brush) => brush.viewBox.baseVal.width);
    expect(from / whole).toBeCloseTo(0.2, 1);
    expect(to / whole).toBeCloseTo(0.6, 1);
    expect(heard).toEqual([]);
    await context.close();
  });

  test("comparison, critical path and filters stand in the address", async ({ browser }) => {
    // Compared with the one before.
    start("--set", "web_portal=1.0.0", "--wait");
    start("--set", "web_portal=1.0.0", "--wait");
    const context = await as(browser, "viewer", { viewport: { width: 1280, height: 800 } });
    const page = await context.newPage();
    await open(page, `/deployments/${lastId()}`);
    await expect(page.locator(".bar-median")).toHaveCount(0);
    await page.getByRole("link", { name: "Compare" }).click();
    await expect(page).toHaveURL(/compare=median/);
    await expect(page.locator(".bar-median").first()).toBeAttached();
    await page.getByRole("link", { name: "Critical path" }).click();
    await expect(page).toHaveURL(/path=critical/);
    await expect(page.locator(".bar-critical").first()).toBeAttached();
    await page.getByLabel("Filter the timeline").last().fill("portal.verify");
    await expect(page.locator("[data-step$='.watch']")).toHaveCount(0);
    await expect(page.locator("[data-step='web_portal.verify']")).toBeVisible();
    await expect(page).toHaveURL(/q=portal.verify/);
    const other = await context.newPage();
    await open(other, page.url().replace(url(), ""));
    await expect(other.locator(".bar-critical").first()).toBeAttached();
    await expect(other.locator(".bar-median").first()).toBeAttached();
    await expect(other.locator("[data-step$='.watch']")).toHaveCount(0);
    await other.getByLabel("Filter the timeline").last().fill("no such step");
    await other.getByRole("link", { name: "Show all steps" }).click();
    await expect(other.locator("[data-step='web_portal.watch']")).toBeVisible();
    await context.close();
  });

  test("arrows go through the steps, and Enter shows one", async ({ browser }) => {
    const context = await as(browser, "viewer", { viewport: { width: 1280, height: 800 } });
    const page = await context.newPage();
    await open(page, `/deployments/${lastId()}`);
    const stops = page.locator(".gantt [tabindex='0']");
    await expect(stops).toHaveCount(1);
    const steps = await page.locator("[data-step]").evaluateAll((all) => all.map((one) => one.dataset.step));
    await stops.focus();
    await page.keyboard.press("ArrowDown");
    await expect(page.locator(`[data-step='${steps[1]}']`)).toBeFocused();
    await page.keyboard.press("End");
    await expect(page.locator(`[data-step='${steps.at(-1)}']`)).toBeFocused();
    await expect(stops).toHaveCount(1);
    await page.keyboard.press("Enter");
    await expect(page.locator("#chosen-step")).toContainText(steps.at(-1));
    await expect(page).toHaveURL(new RegExp(`stage=${steps.at(-1)}`));
    await page.getByRole("link", { name: `Close ${steps.at(-1)}` }).click();
    await expect(page.locator("#chosen-step")).toBeEmpty();
    // What waits is drawn with its pattern, not with a plain colour.
    await expect(page.locator(".gantt-drawing .bar-waits").first()).toBeAttached();
    const fill = await page.locator(".gantt-drawing .bar-waits").first().evaluate((bar) => getComputedStyle(bar).fill);
    expect(fill).toContain("#wait");
    await context.close();
  });

  test("output is followed until somebody reads, and errors are gone through by key", async ({ browser }) => {
    test.setTimeout(120_000);
    const manifest = `
version: 1
project: talk
default_environment: staging
environments: {staging: {}}
services:
  talker:
    version: "1"
    target:
      type: command
      deploy: ["sh", "-c", "i=0; while [ $i -lt 160 ]; do i=$((i+1)); echo line $i; [ $((i % 40)) = 0 ] && echo ERROR number $((i / 40)); sleep 0.05; done; true"]
`;
    await own(browser, manifest, async ({ page, goto, run, file }) => {
      const begun = JSON.parse(run("deploy", "-f", file, "--json"));
      const id = begun.id ?? begun.summary.id;
      await goto(`/deployments/${id}`);
      const log = page.locator(".log");
      const follow = page.getByRole("button", { name: "Follow" });
      await expect(follow).toHaveAttribute("aria-pressed", "true");
      await expect.poll(() => page.locator(".log-line").count(), { timeout: 30_000 }).toBeGreaterThan(30);
      await log.scrollIntoViewIfNeeded();
      await expect(page.locator(".log-line").last()).toBeInViewport();
      await log.hover();
      await page.mouse.wheel(0, -2_000);
      await expect(follow).toHaveAttribute("aria-pressed", "false");
      await expect(page).toHaveURL(/follow=0/);
      await page.getByRole("button", { name: /Jump to latest \(\d+ new\)/ }).click({ timeout: 20_000 });
      await expect(follow).toHaveAttribute("aria-pressed", "true");
      await expect(page).not.toHaveURL(/follow=/);
      await expect(page.locator(".head .pill").first()).toHaveText("Succeeded", { timeout: 30_000 });
      await expect(page.getByText("ERROR number 4")).toBeInViewport();
      // From the top: next, next, one back.
      await log.evaluate((log) => { log.scrollTop = 0; });
      await expect(follow).toHaveAttribute("aria-pressed", "false");
      await page.locator("h1").click();
      for (const [key, number] of [["e", 1], ["e", 2], ["E", 1]]) {
        await page.keyboard.press(key);
        await expect(page.locator(".log-here")).toContainText(`ERROR number ${number}`);
        await expect(page.locator(".log-here")).toBeInViewport();
      }
      await page.keyboard.press("w");
      await expect(page.getByRole("button", { name: "Wrap" })).toHaveAttribute("aria-pressed", "true");
      await page.keyboard.press("f");
      await expect(follow).toHaveAttribute("aria-pressed", "true");
    });
  });

  test("hundreds of rows stay light", async ({ browser }) => {
    test.setTimeout(240_000);
    const SERVICES = 120;
    const service = (n) => `  s${n}: {version: "1", target: {type: command, deploy: ["true"], undo: ["true"]}}`;
    const manifest = `
version: 1
project: many
default_environment: staging
environments: {staging: {}}
watch: 0s
services:
${Array.from({ length: SERVICES }, (_, n) => service(n)).join("\n")}
`;
    await own(browser, manifest, async ({ page, goto, run, file }) => {
      const { summary: { id } } = JSON.parse(run("deploy", "-f", file, "--wait", "--json"));
      await goto(`/deployments/${id}`);
      const rows = page.locator("[data-step]");
      expect(await rows.count()).toBeLessThan(80);
      const slowest = await page.locator(".gantt").evaluate(async (gantt) => {
        let [slowest, before] = [0, performance.now()];
        for (let step = 0; step < 40; step += 1) {
          gantt.scrollTop = (gantt.scrollHeight * step) / 40;
          const { left, width } = gantt.getBoundingClientRect();
          const at = { clientX: left + width / 2, deltaY: step % 2 ? 100 : -100, ctrlKey: true, cancelable: true, bubbles: true };
          gantt.dispatchEvent(new WheelEvent("wheel", at));
          await new Promise(requestAnimationFrame);
          slowest = Math.max(slowest, performance.now() - before);
          before = performance.now();
        }
        return slowest;
      });
      console.log(`zooming and scrolling ${SERVICES} services: slowest frame ${slowest.toFixed(0)} ms`);
      // Generous: a busy machine must not fail.
      expect(slowest).toBeLessThan(1_000);
      expect(await rows.count()).toBeLessThan(80);
      // The last one is reached by key, and by its name.
      // Bringing it into view makes other rows come, and must not take the focus away.
      await page.locator(".gantt [tabindex='0']").focus();
      await expect(page.locator("[data-step]:focus")).toBeInViewport();
      await page.keyboard.press("End");
      const isAtEnd = () => page.evaluate(() => {
        const rows = [...document.querySelectorAll("[data-row]")].map((row) => Number(row.dataset.row));
        const after = [...document.querySelectorAll(".gantt-space")].at(-1).getAttribute("height");
        return after === "0" && document.activeElement.dataset.row === String(Math.max(...rows));
      });
      await expect.poll(isAtEnd).toBe(true);
      await expect(page.locator("[data-step]:focus")).toBeInViewport();
      const last = await page.locator("[data-step]:focus").getAttribute("data-step");
      await page.getByLabel("Show the steps of").selectOption(last.split(".")[0]);
      await expect(page).toHaveURL(new RegExp(`service=${last.split(".")[0]}`));
      await expect(page.locator(`[data-step='${last}']`)).toBeVisible();
      expect(await rows.count()).toBeLessThan(8);
    });
  });

  test("a stuck way back is tried again, and another one resolved", async ({ browser }) => {
    test.setTimeout(120_000);
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "lockstep-schema-"));
    const manifest = `
version: 1
project: shop
default_environment: staging
environments: {staging: {}}
watch: 0s
services:
  schema:
    version: "1"
    target:
      type: command
      deploy: ["sh", "-c", "echo \${VERSION} > schema"]
      observe: ["sh", "-c", "cat schema 2>/dev/null || true"]
      undo: ["sh", "-c", "test -e may-undo || { echo locked; exit 7; }; echo $LOCKSTEP_CHECKPOINT_VERSION > schema"]
      workdir: "${folder}"
  web:
    depends_on: [schema]
    version: "1"
    target: {type: command, deploy: ["sh", "-c", "test \${VERSION} != broken"], undo: ["true"]}
    rollback: {hold_version: false}
`;
    const breaks = (run, ...args) => {
      try { run("deploy", ...args, "--set", "web=broken", "--wait"); } catch { /* It needs an operator: exit 3. */ }
    };
    try {
      await own(browser, manifest, async ({ page, goto, run, file }) => {
        run("deploy", "-f", file, "--wait");
        breaks(run, "--set", "schema=2");
        const id = Number(JSON.parse(run("history", "--json")).deployments[0].id);
        await goto(`/deployments/${id}`);
        const pill = page.locator(".head .pill").first();
        await expect(pill).toHaveText("Needs an operator");
        fs.writeFileSync(path.join(folder, "may-undo"), "");
        await page.getByRole("button", { name: "Try again" }).click();
        const dialog = page.getByRole("dialog");
        await expect(dialog).toContainText("schema is taken back once more");
        await dialog.getByRole("button", { name: "Try again" }).click();
        await expect(pill).toHaveText("Rolled back", { timeout: 30_000 });

        fs.rmSync(path.join(folder, "may-undo"));
        breaks(run, "--set", "schema=3");
        const next = Number(JSON.parse(run("history", "--json")).deployments[0].id);
        await goto(`/deployments/${next}`);
        await expect(pill).toHaveText("Needs an operator");
        await page.getByRole("button", { name: "Resolve…" }).click();
        await page.getByRole("button", { name: /It was taken back by hand/ }).click();
        const question = page.getByRole("dialog", { name: /Resolve #/ });
        await question.getByRole("button", { name: "Resolve" }).click();
        await expect(question.getByRole("alert")).toContainText("Say why");
        await question.getByLabel(/Why/).fill("restored from the backup");
        await question.getByRole("button", { name: "Resolve" }).click();
        await expect(pill).toHaveText("Rolled back", { timeout: 30_000 });
        // Who did it stands in the audit without the page being asked for again.
        await page.getByRole("link", { name: "Audit" }).click();
        await expect(page.getByRole("table")).toContainText("restored from the backup");
      });
    } finally {
      fs.rmSync(folder, { recursive: true, force: true });
    }
  });

  test("the last change is taken back at a word, an older one by typing the name", async ({ browser }) => {
    test.setTimeout(120_000);
    const manifest = `
version: 1
project: shop
default_environment: production
environments: {production: {rollback: {required: true}}}
watch: 0s
services:
  backend: {version: "1", target: {type: command, deploy: ["true"], undo: ["true"]}}
  web: {version: "1", depends_on: [backend], target: {type: command, deploy: ["true"], undo: ["true"]}}
`;
    await own(browser, manifest, async ({ page, goto, run, file }) => {
      const deploy = (...args) => JSON.parse(run("deploy", ...args, "--wait", "--json")).summary.id;
      deploy("-f", file);
      const older = deploy("--set", "backend=2");
      const last = deploy("--set", "backend=3");
      await goto(`/deployments/${last}`);
      await isLive(page);
      const dialog = page.getByRole("dialog");
      await page.getByRole("button", { name: "Take back" }).click();
      await expect(dialog).toContainText("backend: 3 → 2");
      await expect(dialog).toContainText("web needs backend, stays at 1 and will meet 2");
      await expect(dialog.getByLabel(/Type/)).toHaveCount(0);
      await page.keyboard.press("Escape");

      await goto(`/deployments/${older}`);
      await isLive(page);
      await page.getByRole("button", { name: "Take back" }).click();
      await expect(dialog).toContainText("backend: 3 → 1");
      await dialog.getByRole("button", { name: "Take back" }).click();
      await expect(dialog.getByRole("alert")).toContainText("Type production to confirm");
      await dialog.getByLabel(/Type production/).fill("staging");
      await dialog.getByRole("button", { name: "Take back" }).click();
      await expect(dialog.getByRole("alert")).toContainText("That is not production");
      await dialog.getByLabel(/Type production/).fill("production");
      await dialog.getByRole("button", { name: "Take back" }).click();
      await expect(page).toHaveURL(new RegExp(`/deployments/${Number(last) + 1}`));
      await expect(page.locator(".head .pill").first()).toHaveText("Succeeded", { timeout: 30_000 });
    });
  });
});

// A hundred thousand lines of output: the end first, then all of it, searched and linked.
const { test, expect } = require("@playwright/test");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { start, end, enter, freePort, command: run } = require("../server.js");
const { complaints } = require("../support.js");

const LINES = 100_000;
const MANIFEST = `
version: 1
project: talk
default_environment: staging
environments: {staging: {}}
services:
  talker:
    version: "1"
    target:
      type: command
      deploy: ["sh", "-c", "seq -f 'line %.0f of output' ${LINES}; printf '\\\\033[31mERROR <b>pool</b>\\\\033[0m exhausted\\\\n'"]
`;

test("a hundred thousand lines stay smooth", async ({ browser }) => {
  test.setTimeout(180_000);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "lockstep-log-"));
  const data = path.join(folder, "data");
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  try {
    // A server of its own: the demo's has one project, which other tests rely on.
    await start(data, port, []);
    const cookie = await enter(url, data, "reader", "viewer");
    fs.writeFileSync(path.join(folder, "talk.yaml"), MANIFEST);
    const { summary: { id } } = JSON.parse(run(data, "deploy", "-f", path.join(folder, "talk.yaml"), "--wait", "--json"));
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    await context.addCookies([{ name: "lockstep", value: cookie, url }]);
    const page = await context.newPage();
    const heard = complaints(page);
    await page.goto(`${url}/deployments/${id}`);
    await expect(page.locator("html[data-hydrated]")).toBeAttached();
    // The end comes first, with its colours, and what it says is text.
    const last = page.locator(".log-line").last();
    await expect(last).toContainText("ERROR <b>pool</b> exhausted");
    await page.locator(".log").scrollIntoViewIfNeeded();
    await expect(last).toBeInViewport();
    await expect(last).toHaveClass(/log-error/);
    await expect(last.locator(".ansi-red")).toHaveCount(1);
    const rows = () => page.locator(".log-line").count();
    expect(await rows()).toBeLessThan(400);

    await page.getByRole("button", { name: "Load all" }).click();
    await expect(page.getByRole("button", { name: "Load all" })).toHaveCount(0, { timeout: 90_000 });
    expect(await rows()).toBeLessThan(400);
    // Scrolling through all of it keeps the page answering.
    const slowest = await page.locator(".log").evaluate(async (log) => {
      let [slowest, before] = [0, performance.now()];
      for (let step = 0; step <= 60; step += 1) {
        log.scrollTop = (log.scrollHeight * step) / 60;
        await new Promise(requestAnimationFrame);
        slowest = Math.max(slowest, performance.now() - before);
        before = performance.now();
      }
      return slowest;
    });
    console.log(`scrolling through ${LINES} lines: slowest frame ${slowest.toFixed(0)} ms`);
    // Generous: what is built by a busy machine must not fail, a list that is drawn whole must.
    expect(slowest).toBeLessThan(500);
    expect(await rows()).toBeLessThan(400);

    await page.getByLabel("Search the log").last().fill("line 77777 of");
    await expect(page.getByText("1 of 1")).toBeVisible();
    await page.keyboard.press("Enter");
    const found = page.locator(".log-line", { hasText: "line 77777 of output" });
    await expect(found).toBeInViewport();
    // Its address leads there in another tab, which has the end of the log only at first.
    await found.getByRole("link").first().click();
    await expect(page).toHaveURL(/[?&]l=\d+/);
    const other = await context.newPage();
    await other.goto(page.url());
    await expect(other.locator(".log-here")).toContainText("line 77777 of output", { timeout: 60_000 });
    await expect(other.locator(".log-here")).toBeInViewport();

    // A pattern, hits alone, and the lines around them; all of it in the address.
    const field = page.getByLabel("Search the log").last();
    await page.getByRole("link", { name: "Regular expression" }).click();
    await expect(page).toHaveURL(/[?&]re=1/);
    await field.fill("LINE 7777\\d of");
    await expect(page.getByText("1 of 10", { exact: true })).toBeVisible();
    await page.getByRole("link", { name: "Only lines with hits" }).click();
    await expect(page.locator(".log-line")).toHaveCount(10);
    await expect(page.locator(".log-line mark").first()).toHaveText("line 77770 of");
    await page.getByRole("link", { name: "Five lines before and after each" }).click();
    await expect(page.locator(".log-line")).toHaveCount(20);
    await expect(page.locator(".log-line").first()).toContainText("line 77765 of output");
    await expect(page).toHaveURL(/hits=1.*around=5|around=5.*hits=1/);
    await page.getByRole("link", { name: "Only lines with hits" }).click();
    await field.fill("line (");
    await expect(page.getByText("Not a pattern: a ( has no )")).toBeVisible();
    await expect(field).toHaveAttribute("aria-invalid", "true");
    // What would take other programs for ever.
    await field.fill("^(([a-z0-9 ]+)+)+!$");
    await expect(page.getByText("not found", { exact: true })).toBeVisible();
    await field.fill("");
    await expect(field).not.toHaveAttribute("aria-invalid", "true");

    // A step that said nothing is no matter of the filter.
    await other.goto(`${url}/deployments/${id}?stage=nothing.verify`);
    await expect(other.getByText(/It has no output/)).toBeVisible();

    const text = await (await context.request.get(`${url}/deployments/${id}/log.txt`)).text();
    const downloaded = text.trimEnd().split("\n").filter((line) => line.includes("of output"));
    expect(downloaded.length).toBe(LINES);
    expect(heard).toEqual([]);
    await context.close();
  } finally {
    await end(data, () => run(data, "stop", "--all"));
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 });
  }
});

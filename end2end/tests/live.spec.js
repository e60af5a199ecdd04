// Watching live: a good deployment, a broken one that comes back, a server that goes away, a network
// without sockets, two tabs, and what an address brings back.
const { test, expect } = require("@playwright/test");
const { url, command, start, breakIt, end, as, complaints, open, isLive, lastId, link } = require("../support.js");

const cell = (page, service, environment = "staging") =>
  page.locator("tr", { has: page.locator("th", { hasText: new RegExp(`^${service}`) }) }).locator(`td[data-label=${environment}]`);

test.describe.serial("live", () => {
  test("a good deployment is watched from the start to the end", async ({ browser }) => {
    const context = await as(browser, "viewer");
    const page = await context.newPage();
    const heard = complaints(page);
    await open(page, "/");
    await isLive(page);
    const done = new Promise((resolve) => setImmediate(() => resolve(start("--set", "web_portal=1.1.0"))));
    const id = await done;
    await expect(page.getByLabel(`Deployment ${id}`, { exact: true })).toBeVisible();
    await expect(page).toHaveTitle(new RegExp(`#${id} .*Overview`));
    await expect(page.locator("link[rel=icon]")).toHaveAttribute("href", /icon-running/);
    await expect(cell(page, "web_portal")).toContainText("Deploying");
    await page.getByRole("link", { name: `Open deployment ${id}` }).click();
    await expect(page.getByRole("heading", { name: `#${id} staging` })).toBeVisible();
    await expect(page.locator("[data-step='web_portal.watch']")).toHaveAttribute("data-state", "running");
    await expect(page.locator(".head .pill").first()).toHaveText("Succeeded", { timeout: 20_000 });
    await expect(page.locator("[data-step='web_portal.watch']")).toHaveAttribute("data-state", "succeeded");
    await page.getByRole("link", { name: "Overview" }).first().click();
    await expect(cell(page, "web_portal")).toContainText("1.1.0");
    await expect(cell(page, "web_portal")).toContainText("Healthy");
    await expect(page).toHaveTitle("Overview – Lockstep");
    await expect(page.locator("link[rel=icon]")).toHaveAttribute("href", /icon\.svg/);
    expect(heard).toEqual([]);
    await context.close();
  });

  test("a broken one is seen coming back, and two tabs agree", async ({ browser }) => {
    const context = await as(browser, "viewer");
    const [one, two] = [await context.newPage(), await context.newPage()];
    await open(one, "/");
    const id = lastId() + 1;
    await isLive(one);
    breakIt("--set", "backend=1.1.0");
    await open(two, `/deployments/${id}`);
    for (const page of [one, two]) {
      await expect(page.getByText("Rolled back").first()).toBeVisible({ timeout: 30_000 });
    }
    for (const clock of ["Detected", "Decided", "Traffic back", "Verified stable"]) {
      await expect(two.locator(".fact", { hasText: clock })).toContainText(/\d/);
    }
    await expect(two.locator("[data-step='backend.shift']")).toHaveAttribute("data-state", "undone");
    await expect(two.locator(".why")).toContainText("frontend");
    await expect(two).toHaveTitle(new RegExp(`↺ #${id} rolled back`));
    await expect(cell(one, "backend")).toContainText("1.0.0");
    await expect(cell(one, "backend")).toContainText("Healthy", { timeout: 15_000 });
    await context.close();
  });

  test("those who listen hear what changed, not each tick, and at most every five seconds", async ({ browser }) => {
    const context = await as(browser, "viewer");
    const page = await context.newPage();
    await open(page, "/");
    const id = lastId() + 1;
    await isLive(page);
    // What is read are the regions that were there when the page came.
    await page.evaluate(() => {
      window.read = [];
      const region = document.querySelector("p.sr-only[role=status]");
      const note = () => window.read.push([performance.now(), region.textContent]);
      new MutationObserver(note).observe(region, { childList: true, characterData: true, subtree: true });
    });
    breakIt("--set", "backend=1.1.0");
    const read = () => page.evaluate(() => window.read);
    await expect.poll(async () => (await read()).map(([, words]) => words).join(" "), { timeout: 40_000 })
      .toMatch(new RegExp(`Deployment ${id} rolled back\\.|\\d+ changes\\.`));
    const times = (await read()).map(([at]) => at);
    // Clocks of pages are not exact; a tick would come every second.
    for (let one = 1; one < times.length; one += 1) expect(times[one] - times[one - 1]).toBeGreaterThan(4_500);
    await context.close();
  });

  test("a server that goes away is noticed, and what happened meanwhile is there afterwards", async ({ browser }) => {
    const context = await as(browser, "viewer");
    const page = await context.newPage();
    await open(page, "/");
    await isLive(page);
    const data = process.env.LOCKSTEP_DATA_DIR;
    await end(data);
    await expect(link(page)).toContainText("Reconnecting", { timeout: 15_000 });
    await require("../server.js").start(data, new URL(url()).port);
    await isLive(page);
    start("--set", "web_portal=1.0.0");
    await expect(cell(page, "web_portal")).toContainText("1.0.0", { timeout: 20_000 });
    await context.close();
  });

  test("what is old says so, and its clocks stand", async ({ browser }) => {
    test.setTimeout(90_000);
    const context = await as(browser, "viewer");
    const page = await context.newPage();
    // A network that takes everything and answers nothing.
    let isDeaf = false;
    await context.routeWebSocket(/\/live$/, (socket) => {
      const server = socket.connectToServer();
      socket.onMessage((message) => { if (!isDeaf) server.send(message); });
      server.onMessage((message) => { if (!isDeaf) socket.send(message); });
    });
    await context.route("**/api/**", (route) => (isDeaf ? undefined : route.continue()));
    await open(page, "/");
    await isLive(page);
    const deployment = await context.newPage();
    await open(deployment, `/deployments/${lastId()}`);
    await isLive(deployment);
    await expect(deployment.locator(".as-of")).toHaveCount(0);
    await expect(page.locator(".cell.is-stale")).toHaveCount(0);
    isDeaf = true;
    await expect(page.locator(".cell.is-stale").first()).toBeVisible({ timeout: 40_000 });
    await expect(page.getByText("No word from the server since")).toBeVisible();
    await expect(deployment.locator(".as-of").first()).toHaveText(/as of \d\d:\d\d:\d\d/, { timeout: 40_000 });
    await expect(page.locator(".as-of").first()).toContainText("as of");
    // It is marked, and as readable as before.
    expect(await page.locator(".cell.is-stale").first().evaluate((cell) => getComputedStyle(cell).opacity)).toBe("1");
    await expect(link(page)).not.toContainText("Live");
    await expect(page.getByRole("button", { name: "Retry now" })).toBeVisible();
    isDeaf = false;
    await expect(page.locator(".cell.is-stale")).toHaveCount(0, { timeout: 40_000 });
    await isLive(page);
    await context.close();
  });

  test("without sockets the page asks, and shows the same", async ({ browser }) => {
    const context = await as(browser, "viewer");
    const page = await context.newPage();
    // As a proxy does that knows no sockets: the upgrade fails.
    await page.routeWebSocket(/\/live$/, (socket) => socket.close({ code: 1011 }));
    await page.addInitScript(() => {
      const Real = window.WebSocket;
      window.WebSocket = function (address, ...more) { return new Real(address.replace("/live", "/nowhere"), ...more); };
      Object.assign(window.WebSocket, { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 });
    });
    await open(page, "/");
    await expect(link(page)).toContainText("Live (polling)", { timeout: 30_000 });
    const id = start("--set", "web_portal=1.1.0");
    await expect(page.getByText(`#${id}`).first()).toBeVisible({ timeout: 25_000 });
    await context.close();
  });

  test("an address brings back window, step, line and view", async ({ browser }) => {
    const context = await as(browser, "viewer");
    const page = await context.newPage();
    const id = lastId();
    await open(page, `/deployments/${id}`);
    await page.getByRole("button", { name: "Closer" }).click();
    await expect(page).toHaveURL(/tl=\d+-\d+/);
    await page.locator("[data-step='web_portal.verify']").click();
    await expect(page).toHaveURL(/stage=web_portal.verify/);
    const address = page.url();
    const marks = await page.locator(".axis-text").allTextContents();
    const other = await context.newPage();
    await open(other, address.replace(url(), ""));
    await expect(other.locator("[data-step='web_portal.verify']")).toHaveAttribute("aria-pressed", "true");
    await expect(other.locator(".axis-text")).toHaveText(marks);
    await other.getByRole("link", { name: "As list" }).click();
    await expect(other.getByRole("table")).toContainText("web_portal.verify");
    await other.goBack();
    await context.close();
  });

  test("somebody who is switched off hears nothing more within five seconds", async ({ browser }) => {
    const value = await require("../server.js").enter(url(), process.env.LOCKSTEP_DATA_DIR, "leaver", "viewer");
    const context = await browser.newContext();
    await context.addCookies([{ name: "lockstep", value, url: url() }]);
    const page = await context.newPage();
    await open(page, "/");
    await isLive(page);
    command("user", "change", "leaver", "--enabled", "false");
    await expect(link(page)).toContainText("Signed out", { timeout: 6_000 });
    await expect(page.getByRole("link", { name: "Sign in again" })).toHaveAttribute("href", /\/login\?next=\//);
    await context.close();
  });
});

// What preferences and media change: print, contrast, density, time zone; and where the focus goes.
const { test, expect } = require("@playwright/test");
const { url, start, as, complaints, open, isLive, lastId } = require("../support.js");

const colour = (page, selector, property = "color") =>
  page.locator(selector).first().evaluate((element, property) => getComputedStyle(element)[property], property);

const prefs = (context, value) => context.addCookies([{ name: "lockstep_prefs", value, url: url() }]);

test("what is printed is dark on white, whatever the theme", async ({ browser }) => {
  for (const scheme of ["light", "dark"]) {
    for (const cookie of ["t:system", "t:dark"]) {
      const context = await as(browser, "viewer", { colorScheme: scheme });
      await prefs(context, cookie);
      const page = await context.newPage();
      await open(page, "/");
      await page.emulateMedia({ media: "print", colorScheme: scheme });
      expect(await colour(page, "body", "backgroundColor"), cookie).toBe("rgb(255, 255, 255)");
      expect(await colour(page, "body"), cookie).toBe("rgb(0, 0, 0)");
      expect(await colour(page, ".pill.tone-ok"), cookie).toBe("rgb(25, 121, 101)");
      await context.close();
    }
  }
});

test("who wants more contrast has it, in both themes", async ({ browser }) => {
  for (const colorScheme of ["light", "dark"]) {
    const context = await as(browser, "viewer", { colorScheme });
    const page = await context.newPage();
    await open(page, "/");
    const before = await colour(page, ".text-subtle");
    await page.emulateMedia({ contrast: "more", colorScheme });
    expect(await colour(page, ".text-subtle")).toBe(await colour(page, ".text-muted, .tile-name"));
    expect(await colour(page, ".text-subtle")).not.toBe(before);
    await context.close();
  }
});

test("rows closer together make the matrix shorter", async ({ browser }) => {
  const context = await as(browser, "viewer", { viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  const height = () => page.locator(".matrix").first().evaluate((table) => table.getBoundingClientRect().height);
  await open(page, "/");
  const comfortable = await height();
  await prefs(context, "d:compact");
  await open(page, "/");
  expect(await height()).toBeLessThan(comfortable - 20);
  await context.close();
});

test("times are of the zone that somebody chose, with the year where it helps", async ({ browser }) => {
  const context = await as(browser, "viewer", { timezoneId: "Asia/Tokyo" });
  const page = await context.newPage();
  const heard = complaints(page);
  const id = lastId();
  const asked = async () => (await page.locator(".fact time").first().textContent()).trim();
  const clock = (at, timeZone) => new Date(at).toLocaleTimeString("en-GB", { timeZone, hourCycle: "h23" });
  await open(page, `/deployments/${id}`);
  await isLive(page);
  const at = await page.locator(".fact time").first().getAttribute("datetime");
  for (const [cookie, zone] of [["z:utc", "UTC"], ["t:system", "Asia/Tokyo"], ["z:America/New_York", "America/New_York"]]) {
    await prefs(context, cookie);
    await open(page, `/deployments/${id}`);
    await expect.poll(asked, { message: zone }).toContain(clock(at, zone));
    const title = await page.locator(".fact time").first().getAttribute("title");
    expect(title).toContain(String(new Date(at).getFullYear()));
  }
  expect(heard).toEqual([]);
  await context.close();
});

test("nothing moves when the browser takes the page over", async ({ browser }) => {
  const context = await as(browser, "viewer", { timezoneId: "Asia/Tokyo", viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  await page.addInitScript(() => {
    window.shift = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) window.shift += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
  });
  for (const path of ["/", "/deployments", "/services"]) {
    await open(page, path);
    await isLive(page);
    expect(await page.evaluate(() => window.shift), path).toBeLessThan(0.02);
  }
  await context.close();
});

test("who goes to another page is at its heading", async ({ browser }) => {
  const context = await as(browser, "viewer", { viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  const heard = complaints(page);
  await open(page, "/");
  await isLive(page);
  for (const [name, heading] of [["Deployments", "Deployments"], ["Services", "Services"], ["Locks and freezes", "Locks, holds and freezes"], ["Settings", "Settings"], ["Overview", "Overview"]]) {
    await page.getByRole("navigation", { name: "Pages", exact: true }).getByRole("link", { name, exact: true }).click();
    await expect(page.getByRole("heading", { level: 1, name: heading, exact: true })).toBeFocused();
  }
  // The first page leaves the focus where the browser puts it.
  await open(page, "/services");
  expect(await page.evaluate(() => document.activeElement === document.body)).toBe(true);
  expect(heard).toEqual([]);
  await context.close();
});

test("the bar says where one is", async ({ browser }) => {
  const context = await as(browser, "viewer", { viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  await open(page, `/deployments/${lastId()}`);
  const crumbs = page.getByRole("navigation", { name: "Breadcrumb" });
  await expect(crumbs).toContainText(`Deployments/#${lastId()}`);
  await crumbs.getByRole("link", { name: "Deployments" }).click();
  await expect(page).toHaveURL(/\/deployments$/);
  await expect(crumbs).toHaveCount(0);
  await context.close();
});

test("tiles lead to what they count", async ({ browser }) => {
  const context = await as(browser, "viewer");
  const page = await context.newPage();
  await open(page, "/");
  await isLive(page);
  const of = async (name) => page.locator(".tile", { hasText: name });
  const ended = Number((await (await of("Success, 30 d")).textContent()).match(/of (\d+)/)[1]);
  const back = Number((await (await of("Success, 30 d")).textContent()).match(/(\d+) taken back/)[1]);
  await (await of("Detection to stable")).click();
  await expect(page).toHaveURL(/phase=rolled_back&range=30d/);
  await expect(page.getByText(`${back} found`)).toBeVisible();
  expect(back).toBeLessThanOrEqual(ended);
  await context.close();
});

test("what a service was in the last day is told bar by bar", async ({ browser }) => {
  const context = await as(browser, "viewer", { viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  const heard = complaints(page);
  await open(page, "/services/backend?project=shop&environment=staging");
  await isLive(page);
  const bars = page.getByRole("slider", { name: /Quarter of an hour/ });
  await bars.focus();
  await expect(bars).toHaveAttribute("aria-valuenow", "95");
  const first = await bars.getAttribute("aria-valuetext");
  await page.keyboard.press("ArrowLeft");
  await expect(bars).toHaveAttribute("aria-valuenow", "94");
  await expect(bars).not.toHaveAttribute("aria-valuetext", first);
  await page.keyboard.press("Home");
  await expect(bars).toHaveAttribute("aria-valuetext", /not looked at/);
  await page.getByText("As a table").click();
  await expect(page.locator("details tbody tr")).toHaveCount(96);
  await expect(page).toHaveURL(/day=table/);
  await expect(page.getByRole("button", { name: "Deploy…" })).toHaveAttribute("aria-disabled", "true");
  await expect(page.getByRole("button", { name: "Deploy…" })).toHaveAttribute("title", /needs the role deployer/);
  expect(heard).toEqual([]);
  await context.close();
});

test("the last looks at a service are told one by one", async ({ browser }) => {
  const context = await as(browser, "viewer", { viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  const heard = complaints(page);
  await open(page, "/");
  await isLive(page);
  await page.getByRole("link", { name: /^backend in staging/ }).focus();
  await page.keyboard.press("ArrowLeft");
  const told = page.locator(".cell-told");
  await expect(told).toHaveText(/^backend in staging, look (\d+) of \1: \w+ at \d\d:\d\d:\d\d, /);
  const last = await told.textContent();
  await page.keyboard.press("ArrowLeft");
  await expect(told).not.toHaveText(last);
  await expect(page.getByRole("link", { name: /^backend in staging/ })).toBeFocused();
  expect(heard).toEqual([]);
  await context.close();
});

test("a service's page asks for that service only when it is looked at", async ({ browser }) => {
  test.setTimeout(90_000);
  const context = await as(browser, "viewer");
  const page = await context.newPage();
  await open(page, "/services/web_portal?project=shop&environment=staging");
  await isLive(page);
  const asked = [];
  page.on("request", (request) => { if (request.url().includes("/api/v1/")) asked.push(request.url().split("/api/v1/")[1]); });
  await expect.poll(() => asked.filter((path) => path === "service/show").length, { timeout: 40_000 }).toBeGreaterThan(1);
  expect([...new Set(asked)]).toEqual(["service/show"]);
  start("--set", "web_portal=1.1.0", "--wait");
  await expect.poll(() => asked.includes("deployment/list"), { timeout: 20_000 }).toBe(true);
  await context.close();
});

test("a freeze can be made for later", async ({ browser }) => {
  const context = await as(browser, "operator");
  const page = await context.newPage();
  const heard = complaints(page);
  await open(page, "/restrictions");
  await isLive(page);
  await page.getByRole("button", { name: /Freeze/ }).first().click();
  const local = new Date(Date.now() + 3 * 86_400_000 - new Date().getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  await page.getByLabel("From (empty: now)").fill(local);
  await page.getByLabel(/^Why/).fill("the move of the data centre");
  await page.getByRole("button", { name: "Make it" }).click();
  const row = page.getByRole("row", { name: /the move of the data centre/ });
  await expect(row).toContainText(/in [23] d/);
  // It holds nothing up yet.
  start("--set", "web_portal=1.0.0", "--wait");
  await row.getByRole("button", { name: /End the freeze/ }).click();
  await page.getByRole("dialog").getByLabel(/Why/).fill("it was a test");
  await page.getByRole("dialog").getByRole("button", { name: "End" }).click();
  await expect(row).toBeHidden();
  expect(heard).toEqual([]);
  await context.close();
});

test("what is not there answers so", async ({ browser }) => {
  const context = await as(browser, "viewer", { javaScriptEnabled: false });
  const page = await context.newPage();
  for (const path of ["/deployments/99999", "/services/nobody?project=shop&environment=staging", "/nowhere"]) {
    expect((await page.goto(url() + path)).status(), path).toBe(404);
    await expect(page.locator("h1")).toBeVisible();
  }
  await context.close();
});

// History: filters that are seen and go away one by one, sorting, pages, downloads. On a server of its
// own with many short deployments, and with hostile words wherever they can come in.
const { test, expect } = require("@playwright/test");
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { start, end, enter, freePort, command: run } = require("../server.js");
const { complaints } = require("../support.js");

// More than a page has.
const COUNT = 27;
const EAST = 8;
const EVIL = `<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>`;
const manifest = (port) => `
version: 1
project: many
default_environment: staging
environments: {staging: {}, qa: {}, preview: {}, east: {}}
watch: 0s
services:
  talker:
    version: "1"
    target: {type: command, deploy: ["true"], undo: ["true"]}
  speaker:
    version: "1"
    healthcheck: {ready: /health, interval: 100ms, timeout: 2s, retries: 3}
    target: {type: command, deploy: ["true"], undo: ["true"], address: "http://127.0.0.1:${port}"}
`;
// Answers that it is well, in hostile words.
const SPEAKER = `require("node:http").createServer((_, answer) => {
  answer.setHeader("content-type", "application/json");
  answer.end(JSON.stringify({ status: "ok", note: process.argv[2] }));
}).listen(Number(process.argv[1]), "127.0.0.1")`;

test.describe.serial("history", () => {
  let folder, data, url, cookie, speaker;

  test.beforeAll(async () => {
    test.setTimeout(180_000);
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "lockstep-history-"));
    data = path.join(folder, "data");
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    await start(data, port, []);
    cookie = await enter(url, data, "reader", "operator");
    const speaks = await freePort();
    // In a process of its own: commands keep this one busy.
    speaker = spawn(process.execPath, ["-e", SPEAKER, String(speaks), EVIL], { stdio: "ignore" });
    fs.writeFileSync(path.join(folder, "many.yaml"), manifest(speaks));
    run(data, "apply", path.join(folder, "many.yaml"));
    run(data, "deploy", "--set", "speaker=1", "--wait");
    for (let number = 1; number < COUNT; number += 1) {
      // Labels, authors and CI runs come from outside.
      run(data, "deploy", "--env", number % 3 === 0 ? "east" : "staging", "--set", `talker=${number}`, "--reason", `round ${number} ${EVIL}`, "--author", EVIL, "--ci-run", EVIL, "--wait");
    }
  });

  test.afterAll(async () => {
    speaker?.kill();
    await end(data, () => run(data, "stop", "--all"));
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 });
  });

  const enterPage = async (browser, address, options = {}) => {
    const context = await browser.newContext(options);
    await context.addCookies([{ name: "lockstep", value: cookie, url }]);
    const page = await context.newPage();
    const heard = complaints(page);
    await page.goto(url + address);
    await expect(page.locator("html[data-hydrated]")).toBeAttached();
    return { context, page, heard };
  };

  test("pages lead through all deployments and none comes twice", async ({ browser }) => {
    const { context, page, heard } = await enterPage(browser, "/deployments");
    await expect(page.getByText(`${COUNT} found`)).toBeVisible();
    const ids = () => page.locator("tbody th").allTextContents();
    const first = await ids();
    expect(first.length).toBe(25);
    await page.getByRole("link", { name: "Next page" }).click();
    await expect(page).toHaveURL(/cursor=/);
    await expect(page.locator("tbody th")).toHaveCount(COUNT - 25);
    expect([...new Set([...first, ...(await ids())])].length).toBe(COUNT);
    await page.getByRole("link", { name: "First page" }).click();
    await expect(page.locator("tbody th")).toHaveCount(25);
    expect(heard).toEqual([]);
    await context.close();
  });

  test("filters are seen, go away one by one, and clearing them can be undone", async ({ browser }) => {
    const { context, page, heard } = await enterPage(browser, "/deployments?environment=east&service=talker&project=many&range=7d&q=round");
    const active = page.getByRole("group", { name: "Active filters" });
    await expect(active.getByRole("link")).toHaveCount(5);
    await expect(page.getByText(`${EAST} found`)).toBeVisible();
    await active.getByRole("link", { name: "Remove the filter environment: east" }).click();
    await expect(page).not.toHaveURL(/environment=/);
    await expect(page.getByText(`${COUNT - 1} found`)).toBeVisible();
    await page.getByRole("link", { name: "Clear filters" }).first().click();
    await expect(active).toHaveCount(0);
    await page.getByRole("button", { name: "Undo" }).click();
    await expect(page).toHaveURL(/q=round/);
    await expect(active.getByRole("link")).toHaveCount(4);
    expect(heard).toEqual([]);
    await context.close();
  });

  test("a begin and an end of one's own stand in the address in UTC", async ({ browser }) => {
    const { context, page, heard } = await enterPage(browser, "/deployments", { timezoneId: "Asia/Tokyo" });
    await page.getByLabel("Time", { exact: true }).selectOption("custom");
    await page.getByLabel("From", { exact: true }).fill("2020-01-02T09:00");
    await expect(page).toHaveURL(/from=2020-01-02T00%3A00%3A00Z|from=2020-01-02T00:00:00Z/);
    await expect(page.getByText(`${COUNT} found`)).toBeVisible();
    await page.getByLabel("Until", { exact: true }).fill("2020-01-03T09:00");
    await expect(page.getByText("No deployment fits")).toBeVisible();
    const other = await context.newPage();
    await other.goto(page.url());
    await expect(other.locator("html[data-hydrated]")).toBeAttached();
    await expect(other.getByLabel("From", { exact: true })).toHaveValue("2020-01-02T09:00");
    expect(heard).toEqual([]);
    await context.close();
  });

  test("columns sort, and say how", async ({ browser }) => {
    const { context, page, heard } = await enterPage(browser, "/deployments");
    await expect(page.getByRole("columnheader", { name: "Asked for" })).toHaveAttribute("aria-sort", "descending");
    await page.getByRole("columnheader", { name: "Took" }).getByRole("link").click();
    await expect(page).toHaveURL(/sort=longest/);
    await expect(page.getByRole("columnheader", { name: "Took" })).toHaveAttribute("aria-sort", "descending");
    await page.getByRole("columnheader", { name: "Took" }).getByRole("link").click();
    await expect(page.getByRole("columnheader", { name: "Took" })).toHaveAttribute("aria-sort", "ascending");
    await page.getByRole("columnheader", { name: "Asked for" }).getByRole("link").click();
    await expect(page.getByRole("columnheader", { name: "Asked for" })).toHaveAttribute("aria-sort", "descending");
    await page.getByRole("columnheader", { name: "Asked for" }).getByRole("link").click();
    await expect(page).toHaveURL(/sort=oldest/);
    await expect(page.locator("tbody th").first()).toHaveText("#1");
    expect(heard).toEqual([]);
    await context.close();
  });

  test("every column sorts, and pages and neighbours go on in its order", async ({ browser }) => {
    const { context, page, heard } = await enterPage(browser, "/deployments?per=25");
    for (const [name, first, second] of [
      ["Status", "ascending", "descending"], ["Environment", "ascending", "descending"], ["Services", "descending", "ascending"], ["User", "ascending", "descending"],
    ]) {
      const head = page.getByRole("columnheader", { name, exact: true });
      await head.getByRole("link").click();
      await expect(head).toHaveAttribute("aria-sort", first);
      await head.getByRole("link").click();
      await expect(head).toHaveAttribute("aria-sort", second);
    }
    await page.getByRole("columnheader", { name: "Environment" }).getByRole("link").click();
    await expect(page).toHaveURL(/sort=environment(&|$)/);
    const ids = () => page.locator("tbody th").allTextContents();
    const places = () => page.locator("tbody td[data-label=Environment]").allTextContents();
    await expect.poll(async () => (await places())[0]).toBe("east");
    const [firstIds, firstPlaces] = [await ids(), await places()];
    await page.getByRole("link", { name: "Next page" }).click();
    await expect(page.locator("tbody th")).toHaveCount(COUNT - 25);
    const allIds = [...firstIds, ...(await ids())];
    const allPlaces = [...firstPlaces, ...(await places())];
    expect(new Set(allIds).size).toBe(COUNT);
    expect(allPlaces).toEqual([...allPlaces].sort());
    // In each environment the newest come first.
    const east = allIds.slice(0, EAST).map((id) => Number(id.slice(1)));
    expect(east).toEqual([...east].sort((a, b) => b - a));
    // From one deployment to the next of the same list.
    await page.getByRole("link", { name: "First page" }).click();
    await expect(page.locator("tbody th")).toHaveCount(25);
    await page.locator("tbody th a").nth(EAST - 1).click();
    await page.getByRole("link", { name: `Next in the list: ${allIds[EAST]}` }).click();
    await expect(page.locator("h1")).toContainText(allIds[EAST]);
    await expect(page.getByRole("link", { name: `Previous in the list: ${allIds[EAST - 1]}` })).toBeVisible();
    expect(heard).toEqual([]);
    await context.close();
  });

  test("a facet of services narrows the list, also without scripts", async ({ browser }) => {
    const { context, page, heard } = await enterPage(browser, "/deployments");
    const facet = page.getByRole("group", { name: "Service", exact: true });
    await expect(facet.getByRole("link", { name: `talker ${COUNT - 1}` })).toBeVisible();
    await facet.getByRole("link", { name: "speaker 1" }).click();
    await expect(page).toHaveURL(/service=speaker/);
    await expect(page.getByText("1 found")).toBeVisible();
    // What choosing the other one would find is still seen.
    await expect(facet.getByRole("link", { name: `talker ${COUNT - 1}` })).toBeVisible();
    expect(heard).toEqual([]);
    await context.close();
    const plain = await browser.newContext({ javaScriptEnabled: false });
    await plain.addCookies([{ name: "lockstep", value: cookie, url }]);
    const still = await plain.newPage();
    await still.goto(`${url}/deployments`);
    await still.getByRole("group", { name: "Service", exact: true }).getByRole("link", { name: /speaker/ }).click();
    await expect(still.getByText("1 found")).toBeVisible();
    await plain.close();
  });

  test("facets have names that are seen; on a phone they are in a sheet that stays open", async ({ browser }) => {
    const wide = await enterPage(browser, "/deployments");
    for (const name of ["Status", "Environment", "User", "Service", "Version", "Trigger"]) {
      await expect(wide.page.locator(".sheet .chips-name", { hasText: name })).toBeVisible();
    }
    await expect(wide.page.locator(".sheet > summary")).toBeHidden();
    await wide.context.close();
    const { context, page, heard } = await enterPage(browser, "/deployments", { viewport: { width: 360, height: 800 }, hasTouch: true, isMobile: true });
    const facet = page.getByRole("group", { name: "Service", exact: true });
    await expect(facet).toBeHidden();
    await page.locator(".sheet > summary").tap();
    await facet.getByRole("link", { name: "speaker 1" }).tap();
    await expect(page.getByText("1 found")).toBeVisible();
    await expect(facet).toBeVisible();
    expect(heard).toEqual([]);
    await context.close();
  });

  test("versions and what began a deployment are found by facet and by word", async ({ browser }) => {
    const { context, page, heard } = await enterPage(browser, "/deployments");
    const triggers = page.getByRole("group", { name: "Trigger", exact: true });
    await expect(triggers.getByRole("link")).toHaveText([`local ${COUNT}`]);
    // Of two services, each with a version of that name.
    const versions = page.getByRole("group", { name: "Version", exact: true });
    await versions.getByText(/\d+ more/).click();
    await versions.getByRole("link", { name: "1 2", exact: true }).click();
    await expect(page).toHaveURL(/version=1(&|$)/);
    await expect(page.getByText("2 found")).toBeVisible();
    await page.getByRole("group", { name: "Service", exact: true }).getByRole("link", { name: /^speaker/ }).click();
    await expect(page.getByText("1 found")).toBeVisible();
    await expect(page.getByRole("group", { name: "Active filters" }).getByRole("link")).toHaveCount(2);
    await page.goto(`${url}/deployments?q=${encodeURIComponent("version:1 trigger:local")}`);
    await expect(page.getByText("2 found")).toBeVisible();
    await page.goto(`${url}/deployments?trigger=browser`);
    await expect(page.getByText("No deployment fits")).toBeVisible();
    expect(heard).toEqual([]);
    await context.close();
  });

  test("a view is saved under a name, found again, removed, and that undone", async ({ browser }) => {
    const { context, page, heard } = await enterPage(browser, "/deployments?environment=east&sort=longest");
    const views = page.getByRole("group", { name: "Saved views" });
    await page.getByLabel("Name of this view").fill("slow in the east");
    await page.getByRole("button", { name: "Save view" }).click();
    await expect(views.getByRole("link", { name: "slow in the east" })).toHaveAttribute("aria-current", "true");
    await page.goto(`${url}/deployments`);
    await expect(page.locator("html[data-hydrated]")).toBeAttached();
    await views.getByRole("link", { name: "slow in the east" }).click();
    await expect(page).toHaveURL(/environment=east&sort=longest/);
    await expect(page.getByText(`${EAST} found`)).toBeVisible();
    // How long each took, beside the median of the page.
    await expect(page.locator("tbody .spark").first()).toHaveAttribute("aria-label", /median of this page/);
    await page.getByRole("button", { name: "Remove the view slow in the east" }).click();
    await expect(views.getByRole("link")).toHaveCount(0);
    await page.getByRole("button", { name: "Undo" }).click();
    await expect(views.getByRole("link", { name: "slow in the east" })).toBeVisible();
    expect(heard).toEqual([]);
    await context.close();
  });

  test("without scripts the page says that it is not live, and how to get what is new", async ({ browser }) => {
    for (const colorScheme of ["light", "dark"]) {
      const plain = await browser.newContext({ javaScriptEnabled: false, colorScheme, viewport: { width: 360, height: 800 } });
      await plain.addCookies([{ name: "lockstep", value: cookie, url }]);
      const page = await plain.newPage();
      await page.goto(`${url}/deployments?environment=east`);
      const banner = page.locator(".banner.no-scripts");
      await expect(banner).toBeVisible();
      expect(await banner.evaluate((one) => one.textContent)).toContain("This page is not live");
      await banner.locator("a").click();
      await expect(page).toHaveURL(/environment=east/);
      await expect(page.getByText(`${EAST} found`)).toBeVisible();
      await plain.close();
    }
    const { context, page } = await enterPage(browser, "/deployments");
    await expect(page.locator(".banner.no-scripts")).toBeHidden();
    await context.close();
  });

  test("a deployment that is not there is said to be so, and shown once it is", async ({ browser }) => {
    test.setTimeout(90_000);
    const next = COUNT + 1;
    const { context, page } = await enterPage(browser, `/deployments/${next}`);
    await expect(page.getByText("There is no such deployment")).toBeVisible();
    await expect(page.getByRole("link", { name: "Try again" })).toHaveCount(0);
    await expect(page.getByRole("link", { name: "All deployments" })).toBeVisible();
    await expect(page.locator(".live")).toContainText("Live", { timeout: 15_000 });
    run(data, "deploy", "--env", "qa", "--set", "talker=99", "--wait");
    await expect(page.locator("h1")).toHaveText(`#${next} qa`, { timeout: 15_000 });
    await expect(page.locator(".head .pill").first()).toHaveText("Succeeded", { timeout: 15_000 });
    expect((await context.request.get(`${url}/deployments/999`)).status()).toBe(404);
    await page.goto(`${url}/deployments/x`);
    await expect(page.getByText("Deployments have numbers")).toBeVisible();
    await context.close();
  });

  test("typing asks once, when somebody has stopped", async ({ browser }) => {
    const { context, page } = await enterPage(browser, "/deployments");
    let asked = 0;
    page.on("request", (request) => { if (request.url().includes("/deployment/list")) asked += 1; });
    await page.getByLabel("Search deployments").pressSequentially("nothing-has-this", { delay: 20 });
    await expect(page.getByText("No deployment fits")).toBeVisible();
    expect(asked).toBeLessThan(4);
    await context.close();
  });

  test("downloads hold what the list finds", async ({ browser }) => {
    const { context, page } = await enterPage(browser, "/deployments?environment=east");
    const get = async (name) => (await context.request.get(url + (await page.getByRole("link", { name, exact: true }).getAttribute("href")))).text();
    const lines = (await get("CSV")).trimEnd().split("\n");
    expect(lines[0]).toContain("id,project,environment");
    expect(lines.length).toBe(1 + EAST);
    const rows = JSON.parse(await get("JSON"));
    expect(rows.length).toBe(EAST);
    expect(rows.every((row) => row.environment === "east")).toBe(true);
    await context.close();
  });

  test("four environments are seen side by side at 1280 px", async ({ browser }) => {
    const { context, page, heard } = await enterPage(browser, "/", { viewport: { width: 1280, height: 800 } });
    const heads = page.locator(".matrix thead th");
    await expect(heads).toHaveCount(5);
    const edges = await heads.evaluateAll((all) => all.map((head) => head.getBoundingClientRect().right));
    expect(Math.max(...edges)).toBeLessThanOrEqual(1280);
    const cells = await page.locator(".matrix td .cell").evaluateAll((all) => all.filter((cell) => cell.scrollWidth > cell.clientWidth + 1).length);
    expect(cells).toBe(0);
    // The head stays when one goes down, the services when one goes aside.
    await page.setViewportSize({ width: 1280, height: 300 });
    await page.locator(".matrix tbody tr").last().evaluate((row) => row.scrollIntoView({ block: "end" }));
    const head = await heads.first().boundingBox();
    expect(head.y).toBeGreaterThan(0);
    expect(head.y).toBeLessThan(100);
    await page.setViewportSize({ width: 900, height: 800 });
    const service = page.locator(".matrix tbody th").first();
    const before = await service.boundingBox();
    await page.locator(".matrix-scroll").first().evaluate((scroller) => { scroller.scrollLeft = 60; });
    expect(await page.locator(".matrix-scroll").first().evaluate((scroller) => scroller.scrollLeft)).toBe(60);
    expect((await service.boundingBox()).x).toBe(before.x);
    expect(heard).toEqual([]);
    await context.close();
  });

  test("hostile answers, authors and reasons stay words", async ({ browser }) => {
    test.setTimeout(150_000);
    run(data, "hold", "add", "talker", "99", "--env", "staging", "--reason", EVIL);
    for (const address of ["/", "/deployments", "/deployments/1", "/deployments/1?tab=audit", "/services", "/services/speaker?project=many&environment=staging", "/restrictions"]) {
      const { context, page, heard } = await enterPage(browser, address);
      await expect(page.locator("h1")).toBeVisible();
      expect(await page.evaluate(() => window.hurt), address).toBeUndefined();
      expect(await page.locator("img").count(), address).toBe(0);
      expect(heard, address).toEqual([]);
      await context.close();
    }
    const { context, page } = await enterPage(browser, "/services/speaker?project=many&environment=staging");
    await expect(page.locator(".raw")).toContainText("<script>window.hurt=1</script>", { timeout: 90_000 });
    // A field a line, and what is copied is what came.
    await expect(page.locator(".raw")).toHaveText(/^{\n {2}"status": "ok",\n {2}"note": /);
    await page.goto(url + "/restrictions");
    await expect(page.getByRole("row", { name: /Hold/ })).toContainText("<script>window.hurt=1</script>");
    await context.close();
  });
});

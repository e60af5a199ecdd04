// What a first visit loads, as it comes over the line: the budget that the size of the WASM alone does
// not keep.
const { test, expect } = require("@playwright/test");
const { as, open, lastId, url } = require("../support.js");

const KB = 1000;
// A page that comes in a piece brings that beside the first; its text is there before. The list brings the page
// that compares two as well. A deployment needs three pieces: its budget keeps them from growing.
const BUDGET = {
  overview: { bytes: 450 * KB, requests: 12 },
  list: { bytes: 565 * KB, requests: 14 },
  deployment: { bytes: 765 * KB, requests: 18 },
};

for (const [name, path, budget] of [
  ["the overview", () => "/", BUDGET.overview],
  ["the list of deployments", () => "/deployments", BUDGET.list],
  ["a deployment", () => `/deployments/${lastId()}`, BUDGET.deployment],
]) {
  test(`${name} is small on the first visit and smaller on the next`, async ({ browser }) => {
    const context = await as(browser, "viewer");
    const page = await context.newPage();
    const line = await context.newCDPSession(page);
    let bytes = 0;
    let requests = 0;
    await line.send("Network.enable");
    line.on("Network.loadingFinished", (end) => { bytes += end.encodedDataLength; requests += 1; });
    await open(page, path());
    await page.waitForLoadState("networkidle");
    console.log(`${name}: ${(bytes / KB).toFixed(0)} KB in ${requests} requests (at most ${budget.bytes / KB} in ${budget.requests})`);
    expect(bytes).toBeLessThanOrEqual(budget.bytes);
    expect(requests).toBeLessThanOrEqual(budget.requests);
    bytes = 0;
    await page.reload();
    await expect(page.locator("html[data-hydrated]")).toBeAttached();
    // Nothing but the page itself and what it asks for; the list brings 25 rows.
    expect(bytes).toBeLessThan(64 * KB);
    await context.close();
  });
}

// Each header comes with every part of a page: only what says something of a part comes with it. Whatever can be opened as a page has them all.
test("parts of pages have the headers that are about parts, and the icon has those of a page", async ({ request, page }) => {
  await page.goto(`${url()}/login`);
  const found = (selector) => page.locator(selector).first().getAttribute("href");
  const part = await request.get(url() + await found("link[rel=modulepreload], link[rel=stylesheet]"));
  expect(part.headers()).toMatchObject({ "x-content-type-options": "nosniff", "cross-origin-resource-policy": "same-origin" });
  expect(part.headers()["cache-control"]).toContain("immutable");
  expect(part.headers()["content-security-policy"]).toBeUndefined();
  const icon = await request.get(url() + await found("link[rel=icon]"));
  expect(icon.headers()).toMatchObject({ "x-frame-options": "DENY", "x-content-type-options": "nosniff" });
  expect(icon.headers()["content-security-policy"]).toContain("default-src 'none'");
});

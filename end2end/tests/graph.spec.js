// What needs what: drawn, in a table, around one service, and what fails first.
const { test, expect } = require("@playwright/test");
const { as, complaints, open, fits } = require("../support.js");

test("a service's surroundings are chosen in the drawing, stand in the address, and lead to its page", async ({ browser }) => {
  const context = await as(browser, "viewer");
  const page = await context.newPage();
  const heard = complaints(page);
  await open(page, "/services");
  await page.getByRole("link", { name: "Dependencies" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Dependencies" })).toBeVisible();
  await page.getByRole("navigation", { name: "Environments" }).getByRole("link", { name: "staging" }).click();
  const drawing = page.getByRole("region", { name: /Drawing/ });
  await expect(drawing.getByRole("link")).toHaveCount(3);
  await expect(page.locator(".edge")).not.toHaveCount(0);
  // What is needed stands left of what needs it.
  const left = async (name) => (await drawing.getByRole("link", { name: new RegExp(`^${name}`) }).boundingBox()).x;
  expect(await left("backend")).toBeLessThan(await left("frontend"));
  // A click shows what stands around; the whole page follows the address.
  await drawing.getByRole("link", { name: /^backend/ }).click();
  await expect(page).toHaveURL(/focus=backend/);
  await expect(page.locator("[data-focus]")).toContainText("Needed by:");
  await page.goBack();
  await expect(page.locator("[data-focus]")).toHaveCount(0);
  await page.goForward();
  await page.getByRole("link", { name: "Open the service" }).click();
  await expect(page).toHaveURL(/\/services\/backend\?project=shop&environment=staging/);
  // And back from there.
  await page.getByRole("link", { name: "Drawing" }).click();
  await expect(page.locator("[data-focus]")).toContainText("backend");
  expect(heard).toEqual([]);
  await context.close();
});

test("the drawing grows and shrinks by buttons, keys and wheel", async ({ browser }) => {
  const context = await as(browser, "viewer");
  const page = await context.newPage();
  await open(page, "/graph?env=staging");
  const svg = page.locator(".graph > svg");
  const width = () => svg.evaluate((element) => element.getBoundingClientRect().width);
  const first = await width();
  await page.getByRole("button", { name: "Larger" }).click();
  await expect.poll(width).toBeGreaterThan(first);
  await page.keyboard.press("-");
  await page.keyboard.press("-");
  await expect.poll(width).toBeLessThan(first);
  await page.keyboard.press("0");
  await expect.poll(width).toBeLessThanOrEqual(await page.locator(".graph").evaluate((element) => element.clientWidth));
  await svg.hover();
  await page.keyboard.down("Control");
  const before = await width();
  await page.mouse.wheel(0, 100);
  await expect.poll(width).toBeLessThan(before);
  await page.keyboard.up("Control");
  // How large it is stands in the address.
  await expect(page).toHaveURL(/zoom=\d+/);
  const last = await width();
  await page.reload();
  await expect.poll(width).toBe(last);
  await context.close();
});

test("on a phone the table comes first, and the drawing where it is asked for", async ({ browser }) => {
  const context = await as(browser, "viewer", { viewport: { width: 360, height: 800 } });
  const page = await context.newPage();
  await open(page, "/graph?env=staging");
  await expect(page.locator(".graph")).toBeHidden();
  await expect(page.getByRole("table")).toBeVisible();
  await fits(page);
  await page.getByRole("link", { name: "Drawing" }).click();
  await expect(page).toHaveURL(/view=graph/);
  await expect(page.locator(".graph")).toBeVisible();
  await expect(page.getByRole("table")).toBeHidden();
  await fits(page);
  await context.close();
});

test("without scripts drawing, table and filters are there", async ({ browser }) => {
  const context = await as(browser, "viewer", { javaScriptEnabled: false });
  const page = await context.newPage();
  const { url } = require("../support.js");
  await page.goto(`${url()}/graph?env=staging&show=failing`);
  await expect(page.getByText("Nothing fails here.")).toBeVisible();
  await page.getByRole("link", { name: "Show all" }).click();
  await expect(page.locator(".node")).toHaveCount(3);
  await expect(page.locator(".graph-table tbody tr")).toHaveCount(3);
  await context.close();
});

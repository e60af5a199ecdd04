// Every page, in both themes, wide and on a phone: nothing is cut off, the browser has no complaint,
// axe finds nothing, and what it shows is there without JavaScript. SCREENSHOTS names a folder for
// pictures.
const { test, expect } = require("@playwright/test");
const { AxeBuilder } = require("@axe-core/playwright");
const { url, breakIt, as, complaints, open, fits, lastId } = require("../support.js");

const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
let broken;

test.beforeAll(() => {
  try { breakIt("--wait"); } catch { /* It is taken back: exit 1. */ }
  broken = lastId();
});

const pages = () => [
  ["overview", "/"],
  ["overview-list", "/?view=list&sort=name"],
  ["deployments", "/deployments"],
  ["deployment", `/deployments/${broken}`],
  ["deployment-list", `/deployments/${broken}?view=list&stage=frontend.verify`],
  ["deployment-checks", `/deployments/${broken}?tab=checks`],
  ["deployment-plan", `/deployments/${broken}?tab=plan`],
  ["deployment-checkpoints", `/deployments/${broken}?tab=checkpoints`],
  ["deployment-rollback", `/deployments/${broken}?tab=rollback`],
  ["deployment-audit", `/deployments/${broken}?tab=audit`],
  ["start", "/deployments/new?environment=staging"],
  ["compare", "/deployments/compare?a=1&b=2"],
  ["services", "/services"],
  ["graph", "/graph?env=staging&focus=backend"],
  ["service", "/services/backend?project=shop&environment=staging"],
  ["restrictions", "/restrictions"],
  ["settings", "/settings"],
  ["people", "/admin/users"],
  ["person", "/admin/users?user=e2e-viewer"],
  ["tokens", "/admin/tokens"],
  ["programs", "/admin/programs"],
  ["secrets", "/admin/secrets"],
  ["sessions", "/admin/sessions"],
  ["sign-in", "/admin/sign-in"],
  ["audit", "/audit"],
  ["nothing-found", "/deployments?q=no-such-thing"],
  ["no-such-deployment", "/deployments/99999"],
  ["no-such-service", "/services/nobody?project=shop&environment=staging"],
  ["no-such-page", "/nowhere"],
  ["login", "/login?error=1"],
  ["link", "/link/nothing?error=1"],
];

// A picture of the whole page: the window grows to its length, so that bars that stand at the edge of the
// window stand at the edge of the picture.
async function picture(page, name) {
  if (!process.env.SCREENSHOTS) return;
  const { width, height } = page.viewportSize();
  const whole = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ width, height: Math.max(height, Math.min(whole, 2_400)) });
  await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png` });
  await page.setViewportSize({ width, height });
}

// The browser says of such a page itself that it is not there.
const said = (name, heard) => heard.filter((text) => !(name.startsWith("no-such") && text.includes("status of 404")));

for (const [width, scheme] of [[1280, "light"], [1280, "dark"], [360, "light"], [360, "dark"]]) {
  test(`all pages at ${width} px, ${scheme}`, async ({ browser }) => {
    test.setTimeout(240_000);
    const context = await as(browser, "admin", { viewport: { width, height: 800 }, colorScheme: scheme });
    const page = await context.newPage();
    const heard = complaints(page);
    for (const [name, path] of pages()) {
      await test.step(name, async () => {
        await open(page, path);
        await expect(page.locator("h1").first()).toBeVisible();
        await expect(page.locator("h1")).toHaveCount(1);
        await fits(page);
        const { violations } = await new AxeBuilder({ page }).withTags(TAGS).analyze();
        expect.soft(violations.map((v) => `${name}: ${v.id}: ${v.nodes[0].html.slice(0, 200)} ${v.nodes[0].failureSummary}`)).toEqual([]);
        await picture(page, `${name}-${width}-${scheme}`);
        expect(said(name, heard.splice(0)), name).toEqual([]);
      });
    }
    await context.close();
  });
}

// What opens on top of a page.
const states = [
  ["palette", "/", async (page) => { await page.keyboard.press("Control+k"); await expect(page.getByRole("combobox")).toBeVisible(); }],
  ["keys", "/", async (page) => { await page.keyboard.press("?"); await expect(page.getByRole("dialog", { name: "Keys" })).toBeVisible(); }],
  ["question", () => `/deployments/${broken}?tab=checkpoints`, async (page) => {
    await page.getByRole("button", { name: "Restore these" }).first().click();
    await expect(page.getByRole("dialog")).toBeVisible();
  }],
  ["toast", "/deployments?q=nothing-has-this", async (page) => {
    await page.getByRole("link", { name: "Clear filters" }).first().click();
    await expect(page.getByRole("button", { name: "Undo" })).toBeVisible();
  }],
  ["between", "/deployments?range=custom&from=2026-01-01", (page) => expect(page.getByLabel("From", { exact: true })).toBeVisible()],
  ["plan", "/deployments/new?environment=staging", async (page) => {
    await page.getByRole("button", { name: "Show the plan" }).click();
    await expect(page.getByText("Steps in their order")).toBeVisible();
  }],
  ["day", "/services/backend?project=shop&environment=staging", (page) => page.getByText("As a table").click()],
  ["offline", "/", async (page) => {
    await page.context().setOffline(true);
    await expect(page.locator(".live")).toContainText("Offline");
  }],
];

for (const [width, scheme] of [[1280, "light"], [360, "dark"]]) {
  test(`what opens on top of pages at ${width} px, ${scheme}`, async ({ browser }) => {
    test.setTimeout(180_000);
    const context = await as(browser, "admin", { viewport: { width, height: 800 }, colorScheme: scheme });
    for (const [name, path, act] of states) {
      await test.step(name, async () => {
        const page = await context.newPage();
        await open(page, typeof path === "function" ? path() : path);
        await act(page);
        await fits(page);
        const { violations } = await new AxeBuilder({ page }).withTags(TAGS).analyze();
        expect.soft(violations.map((v) => `${name}: ${v.id}: ${v.nodes[0].html.slice(0, 200)} ${v.nodes[0].failureSummary}`)).toEqual([]);
        await page.close();
      });
    }
    await context.close();
  });
}

// 1280 px at 200 % are 640, at 400 % 320 (WCAG 1.4.10).
test("nothing is lost when everything is larger", async ({ browser }) => {
  test.setTimeout(120_000);
  const context = await as(browser, "admin");
  const page = await context.newPage();
  for (const [name, path] of pages()) {
    await open(page, path);
    for (const width of [640, 320]) {
      await test.step(`${name} at ${width} px`, async () => {
        await page.setViewportSize({ width, height: 512 });
        await fits(page);
        await expect(page.locator("h1").first()).toBeVisible();
      });
    }
  }
  await context.close();
});

test("what pages show is there without JavaScript", async ({ browser }) => {
  const context = await as(browser, "viewer", { javaScriptEnabled: false });
  const page = await context.newPage();
  for (const [path, text] of [
    ["/", "web_portal"],
    ["/deployments", `#${broken}`],
    [`/deployments/${broken}`, "Rolled back"],
    [`/deployments/${broken}?tab=checks`, "frontend.verify"],
    ["/deployments?q=status:rolled_back", "Rolled back"],
    ["/services", "127.0.0.1:4101"],
    ["/services/backend", "What it answered last"],
    ["/deployments/compare?a=1&b=2", "Versions"],
    ["/deployments/new", "web_portal"],
  ]) {
    const answer = await page.goto(url() + path);
    expect(answer.status(), path).toBe(200);
    await expect(page.locator("main"), path).toContainText(text);
  }
  await context.close();
});

test("every stop of the Tab key is seen and not covered", async ({ browser }) => {
  const context = await as(browser, "operator", { viewport: { width: 1280, height: 700 } });
  const page = await context.newPage();
  for (const path of ["/", `/deployments/${broken}`]) {
    await open(page, path);
    for (let stop = 0; stop < 45; stop += 1) {
      await page.keyboard.press("Tab");
      const seen = await page.evaluate(() => {
        const here = document.activeElement;
        if (!here || here === document.body) return "end";
        const box = here.getBoundingClientRect();
        const style = getComputedStyle(here);
        const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
        const x = box.left + box.width / 2;
        const y = box.top + Math.min(box.height / 2, 20);
        const top = document.elementFromPoint(x, y);
        const covered = !(top && (here.contains(top) || top.contains(here)));
        return outlined && !covered ? "fine" : `${here.outerHTML.slice(0, 120)}: ${outlined ? "covered" : "no outline"}`;
      });
      if (seen === "end") break;
      expect(seen, path).toBe("fine");
    }
  }
  await context.close();
});

test("motion, contrast, forced colours and print are heeded", async ({ browser }) => {
  const context = await as(browser, "viewer", { reducedMotion: "reduce", forcedColors: "active" });
  const page = await context.newPage();
  await open(page, "/");
  const moving = await page.evaluate(() => document.getAnimations().filter((one) => one.playState === "running").length);
  expect(moving).toBe(0);
  await page.emulateMedia({ media: "print" });
  await expect(page.locator(".side")).toBeHidden();
  await expect(page.locator(".bar")).toBeHidden();
  await context.close();
});

// People, tokens, sessions and the audit: by an admin.
const { test, expect } = require("@playwright/test");
const { url, as, complaints, open, isLive } = require("../support.js");

test.describe.serial("administration", () => {
  test("somebody is invited, sets a password, is given more, and is switched off", async ({ browser }) => {
    const context = await as(browser, "admin");
    const page = await context.newPage();
    const heard = complaints(page);
    await open(page, "/admin/users");
    await isLive(page);
    await page.getByLabel("Name").fill("not a name!");
    await page.getByRole("button", { name: "Invite" }).click();
    await expect(page.locator(".complaint", { hasText: "not a name!" })).toBeVisible();
    await page.getByLabel("Name").fill("invited");
    await page.getByRole("button", { name: "Invite" }).click();
    const link = await page.getByRole("status").filter({ hasText: "Send invited this link" }).locator(".mono").textContent();
    expect(link).toContain(`${url()}/link/`);
    await expect(page.getByRole("row", { name: /^invited \w+ on everything/ })).toContainText("has not set a password yet");

    const other = await browser.newContext();
    const guest = await other.newPage();
    await guest.goto(link);
    for (const field of await guest.locator("input[type=password]").all()) await field.fill("a-horse-with-no-name-at-all");
    await guest.locator("button[type=submit]").click();
    await expect(guest.getByRole("heading", { name: "Overview" })).toBeVisible();
    await guest.goto(link);
    await expect(guest.locator("main")).toContainText(/used already|too old|sign in/i);

    await page.reload();
    await page.getByRole("row", { name: /^invited \w+ on everything/ }).getByRole("link").click();
    await expect(page).toHaveURL(/user=invited/);
    const card = page.locator("section", { has: page.getByRole("heading", { name: "invited" }) });
    await card.getByLabel("Role").selectOption("operator");
    await card.getByRole("button", { name: "What would follow?" }).click();
    await expect(card.getByRole("table")).toContainText("operator (changes)");
    await card.getByRole("button", { name: "Give this role" }).click();
    await expect(card.getByRole("list")).toContainText("operator");

    await open(guest, "/");
    await card.getByRole("button", { name: "Switch off…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Switch off" }).click();
    await expect(card).toContainText("switched off");
    await guest.goto(url());
    await expect(guest).toHaveURL(/\/login/);
    expect(heard).toEqual([]);
    await other.close();
    await context.close();
  });

  test("a token is made, shown once, used, and revoked", async ({ browser, request }) => {
    const context = await as(browser, "admin");
    const page = await context.newPage();
    await open(page, "/admin/tokens");
    await page.getByLabel("What it is for").fill("ci of a test");
    await page.locator("select[name=token-role]").selectOption("viewer");
    await page.getByRole("button", { name: "Make it" }).click();
    const shown = page.getByRole("status").filter({ hasText: "It is shown only now" });
    const secret = await shown.locator(".mono").textContent();
    const ask = () => request.post(`${url()}/api/v1/session/show`, { data: {}, headers: { authorization: `Bearer ${secret}` } });
    expect((await ask()).status()).toBe(200);
    await shown.getByRole("button", { name: "I have kept it" }).click();
    await expect(page.getByText(secret)).toHaveCount(0);
    await page.getByRole("button", { name: "Revoke ci of a test" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke it" }).click();
    await expect(page.getByRole("row", { name: /ci of a test/ })).toContainText("revoked");
    expect((await ask()).status()).toBe(401);
    await context.close();
  });

  test("one's own sessions are seen in the settings, and another one is ended", async ({ browser }) => {
    const context = await as(browser, "viewer");
    const page = await context.newPage();
    await open(page, "/settings");
    const mine = page.locator("section", { has: page.getByRole("heading", { name: "Your sessions" }) });
    await expect(mine.getByText("this one")).toBeVisible();
    await page.goto(url() + "/audit");
    await expect(page.locator("body")).not.toContainText("/session/sign_in");
    await context.close();
  });

  test("the audit is searched, a line has an address of its own, and it is taken along", async ({ browser }) => {
    const context = await as(browser, "admin");
    const page = await context.newPage();
    await open(page, "/audit");
    await expect(page.getByText("The record is whole")).toBeVisible();
    await page.getByLabel("To what").fill("user invited");
    await page.getByRole("button", { name: "Search", exact: true }).click();
    await expect(page).toHaveURL(/target=user/);
    const rows = page.locator("tbody tr");
    await expect(rows.filter({ hasText: "/user/change" })).toHaveCount(1);
    const csv = await (await context.request.get(url() + (await page.getByRole("link", { name: "CSV" }).getAttribute("href")))).text();
    expect(csv.split("\r\n")[0]).toBe("id,at,user,via,address,action,target,reason,allowed");
    expect(csv).toContain("user invited");
    expect(csv).not.toContain("deployment 1,");
    await rows.filter({ hasText: "/user/change" }).getByRole("link", { name: /^#/ }).click();
    await expect(page).toHaveURL(/line=\d+/);
    await expect(rows).toHaveCount(1);
    await context.close();
  });
});

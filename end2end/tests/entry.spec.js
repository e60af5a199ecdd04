// Coming in: by invitation, by password, by the demo's link; without JavaScript, too.
const { test, expect } = require("@playwright/test");
const { url, command, complaints, PASSWORD } = require("../support.js");

test.describe.serial("coming in", () => {
  test("an invited user sets a password without JavaScript and sees the services", async ({ browser }) => {
    const made = JSON.parse(command("user", "add", "vera", "--role", "viewer", "--json"));
    const context = await browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    await page.goto(url() + made.path);
    await page.getByLabel("Password, 15 characters or more").fill(PASSWORD);
    await page.getByLabel("The same again").fill(PASSWORD);
    await page.getByRole("button", { name: "Set and sign in" }).click();
    await expect(page.getByRole("heading", { name: "Overview" })).toBeVisible();
    await expect(page.getByRole("table").getByRole("row")).toHaveCount(4);
    await expect(page.getByRole("row", { name: /backend/ }).first()).toContainText("1.0.0");
    await context.close();
  });

  test("a wrong password is refused and the page leads back to where one wanted to go", async ({ page }) => {
    await page.goto(url() + "/?q=back");
    await expect(page).toHaveURL(/\/login\?next=/);
    await page.getByLabel("Name").fill("vera");
    await page.getByLabel("Password").fill("wrong-wrong-wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page.getByRole("alert").first()).toContainText("Name or password is wrong");
    await page.getByLabel("Name").fill("vera");
    await page.getByLabel("Password").fill(PASSWORD);
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page).toHaveURL(url() + "/?q=back");
  });

  test("the demo's link signs in once", async ({ page }) => {
    const heard = complaints(page);
    await page.goto(process.env.LOCKSTEP_LINK);
    await expect(page.getByRole("heading", { name: "Overview" })).toBeVisible();
    expect(heard).toEqual([]);
    await page.getByRole("button", { name: "Sign out" }).first().click();
    await expect(page).toHaveURL(/\/login/);
    await page.goto(process.env.LOCKSTEP_LINK);
    await expect(page.getByRole("alert").first()).toContainText("used already");
  });
});

// What the tests share.
const { expect } = require("@playwright/test");
const server = require("./server.js");

const url = () => process.env.LOCKSTEP_URL;
const command = (...args) => server.command(process.env.LOCKSTEP_DATA_DIR, ...args);

// Starts a command and does not wait for it; its number is the last deployment's.
const start = (...args) => {
  const out = JSON.parse(command("deploy", ...args, "--json"));
  return out.id ?? out.summary?.id;
};

// Breaks a service, also when it was broken before: such a version is held until somebody releases it.
function breakIt(...args) {
  for (const { id } of JSON.parse(command("hold", "list", "--json")).restrictions) {
    command("hold", "release", String(id), "--reason", "broken on purpose");
  }
  return start("--set", "frontend=broken", ...args);
}

// A context in which somebody with a role is signed in already.
async function as(browser, role, options = {}) {
  const context = await browser.newContext(options);
  const value = process.env[`LOCKSTEP_COOKIE_${role.toUpperCase()}`];
  await context.addCookies([{ name: "lockstep", value, url: url(), httpOnly: true, sameSite: "Lax" }]);
  return context;
}

// Whatever the browser complains about is a fault of the page.
function complaints(page, allowed = []) {
  const heard = [];
  const add = (text) => { if (!allowed.some((part) => text.includes(part))) heard.push(text); };
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) add(message.text());
  });
  page.on("pageerror", (error) => add(String(error)));
  return heard;
}

// Goes to a page and waits until it answers.
async function open(page, path) {
  await page.goto(url() + path);
  await expect(page.locator("html[data-hydrated]")).toBeAttached({ timeout: 20_000 });
}

const link = (page) => page.locator(".live");
const isLive = (page) => expect(link(page)).toContainText("Live", { timeout: 15_000 });

// Nothing sticks out to the side.
async function fits(page) {
  const out = await page.evaluate(() => {
    if (document.documentElement.scrollWidth <= innerWidth) return [];
    return [...document.body.querySelectorAll("*")]
      .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
      .map((element) => `${element.tagName}.${element.className}: ${element.textContent.slice(0, 40)}`);
  });
  expect(out).toEqual([]);
}

const lastId = () => Number(JSON.parse(command("history", "--json")).deployments[0].id);

module.exports = { ...server, url, command, start, breakIt, as, complaints, open, isLive, fits, lastId, link };

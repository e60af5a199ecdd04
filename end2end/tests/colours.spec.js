// The colours themselves: they can be read, and they can be told apart by people who see fewer of
// them. Shapes and words say the same; this is for the look from far away.
const { test, expect } = require("@playwright/test");
const fs = require("node:fs");
const path = require("node:path");
const { wcagContrast, interpolate, differenceEuclidean, filterDeficiencyDeuter, filterDeficiencyProt, filterDeficiencyTrit } = require("culori");

const CSS = fs.readFileSync(path.join(__dirname, "../../style/tailwind.css"), "utf8");
const STATES = ["ok", "warn", "bad", "run", "back", "idle"];

function tokens(selector) {
  const block = CSS.slice(CSS.indexOf(selector) + selector.length).match(/\{([^}]*)\}/)[1];
  return Object.fromEntries([...block.matchAll(/--([\w-]+):\s*([^;]+);/g)].map(([, name, value]) => [name, value]));
}

const light = tokens("\n:root ");
const dark = tokens('\n  :root[data-theme="dark"] ');
const themes = Object.entries({ light, dark: { ...light, ...dark } });

test("dark by choice and dark by the system are the same", () => {
  expect(tokens(':root:not([data-theme="light"]) ')).toEqual(dark);
});

for (const [theme, one] of themes) {
  test(`what is written can be read, ${theme}`, () => {
    const wanted = [];
    const pair = (what, front, back, least) => wanted.push([what, wcagContrast(front, back), least]);
    for (const back of ["bg", "surface", "surface-2"]) {
      for (const front of ["fg", "muted", "subtle"]) pair(`${front} on ${back}`, one[front], one[back], 4.5);
    }
    pair("on-accent on accent", one["on-accent"], one.accent, 4.5);
    pair("focus on bg", one.focus, one.bg, 3);
    pair("line-strong on surface", one["line-strong"], one.surface, 3);
    const share = parseFloat(one.tint) / 100;
    for (const state of STATES) {
      const tint = interpolate([one.surface, one[state]], "rgb")(share);
      for (const back of [one.surface, one["surface-2"], tint]) pair(`${state} on ${JSON.stringify(back)}`, one[state], back, 4.5);
      pair(`${state}-f on surface`, one[`${state}-f`], one.surface, 3);
    }
    for (const state of ["ok", "run", "bad", "back"]) pair(`on-${state} on its fill`, one[`on-${state}`], one[`${state}-f`], 3);
    expect(wanted.filter(([, ratio, least]) => ratio < least)).toEqual([]);
  });

  test(`states differ for everybody, ${theme}`, () => {
    const far = differenceEuclidean("oklab");
    const kinds = { deutan: [filterDeficiencyDeuter(1), 0.1], protan: [filterDeficiencyProt(1), 0.1], tritan: [filterDeficiencyTrit(1), 0.06] };
    const close = [];
    for (const [kind, [seen, least]] of Object.entries(kinds)) {
      for (const end of ["", "-f"]) {
        for (const [place, a] of STATES.entries()) {
          for (const b of STATES.slice(place + 1)) {
            const distance = far(seen(one[a + end]), seen(one[b + end]));
            if (distance < least) close.push(`${kind}: ${a}${end} and ${b}${end} are ${distance.toFixed(3)} apart`);
          }
        }
      }
    }
    expect(close).toEqual([]);
  });
}

// Pieces of the program are asked for until they come: the server may be away for a moment, and what
// waits for a piece cannot ask again.
const plain = window.fetch.bind(window);
const patient = async (ask) => {
    for (let wait = 500; ; wait = Math.min(wait * 2, 3000)) {
        try {
            const answer = await ask();
            if (!(answer.status >= 500)) {
                return answer;
            }
        } catch {
            // Nobody answers.
        }
        await new Promise((again) => setTimeout(again, wait));
    }
};
// A release has several pieces in one file (.ci/join.mjs), each in a section that has its name.
const files = {};
const open = async (answer) => (answer.ok ? WebAssembly.compileStreaming(answer) : answer);
window.fetch = async (what, how) => {
    const { pathname: file, hash } = new URL(what instanceof Request ? what.url : what, document.baseURI);
    if (!/^\/pkg\/.+\.wasm$/.test(file)) {
        // What the page asks by itself while nobody is at it keeps no session alive.
        if (what instanceof Request && Date.now() - touched > 60000) {
            what.headers.set("x-lockstep-unattended", "1");
        }
        return plain(what, how);
    }
    if (!hash) {
        return patient(() => plain(what, how));
    }
    const found = await (files[file] ??= patient(async () => open(await plain(file))));
    if (found instanceof Response) {
        delete files[file];
        return found;
    }
    const [piece] = WebAssembly.Module.customSections(found, hash.slice(1));
    return new Response(piece, { headers: { "content-type": "application/wasm" } });
};
let touched = Date.now();
for (const kind of ["pointerdown", "keydown", "wheel", "touchmove"]) {
    addEventListener(kind, () => (touched = Date.now()), { capture: true, passive: true });
}
// Before what was typed into a marked form is lost, by a link or by closing the page, it is asked. A form
// that was sent and took what was typed has emptied its first field.
let isLeaving = false;
const isTyped = () =>
    [...document.querySelectorAll("[data-typed]")].some((form) => {
        const fields = [...form.querySelectorAll("input:not([type=checkbox]), textarea")];
        return fields.some((one) => one.typed && one.value) && !(form.sent && !fields[0].value);
    });
addEventListener(
    "input",
    ({ target }) => {
        const form = target.closest("[data-typed]");
        if (form) {
            target.typed = true;
            form.sent = false;
        }
    },
    true,
);
addEventListener("submit", ({ target }) => (target.sent = true), true);
addEventListener("beforeunload", (event) => isTyped() && !isLeaving && event.preventDefault());
addEventListener(
    "click",
    (event) => {
        const link = event.target.closest?.("a[href]");
        const isElsewhere =
            link?.target || link?.hasAttribute("download") || event.ctrlKey || event.metaKey || event.shiftKey;
        isLeaving = false;
        if (!link || isElsewhere || link.pathname === location.pathname || !isTyped()) {
            return;
        }
        isLeaving = confirm("What you typed is not sent yet. Leave this page and lose it?");
        if (!isLeaving) {
            event.preventDefault();
            event.stopImmediatePropagation();
        }
    },
    true,
);
const begin = () => {
    const wasm = fetch("{wasm}");
    import("{js}").then(async (glue) => {
        await glue.default({ module_or_path: wasm });
        // In a task of its own: the page stays responsive.
        setTimeout(glue.hydrate);
    });
};
if (document.hidden) {
    begin();
} else {
    let begun = false;
    const once = () => {
        if (!begun) {
            begun = true;
            begin();
        }
    };
    new PerformanceObserver(once).observe({ type: "paint", buffered: true });
    // A tab that is put away before it was painted.
    setTimeout(once, 2000);
}

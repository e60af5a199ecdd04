// Pieces of the program are asked for until they come: the server may be away for a moment, and what
// waits for a piece cannot ask again.
const plain = window.fetch.bind(window);
const patient = async (ask) => {
    // Whoever pressed something sees that it was taken, also where what answers is not there yet.
    const isWaitedFor = () => touched > loaded && document.documentElement.hasAttribute("data-hydrated");
    let isTold = false;
    const say = (words) => {
        isTold = true;
        tell(words);
    };
    const slow = setTimeout(() => isWaitedFor() && say(LOADING), 500);
    for (let wait = 500, damaged = 0; ; wait = Math.min(wait * 2, damaged ? 60000 : 3000)) {
        try {
            // What came damaged is in the browser's cache, which is asked no more then.
            const answer = await ask(damaged ? { cache: "reload" } : {});
            if (!(answer.status >= 500)) {
                clearTimeout(slow);
                if (isTold) {
                    tell();
                }
                return answer;
            }
        } catch (error) {
            // Nobody answers, or what came is no program.
            if (error instanceof WebAssembly.CompileError) {
                damaged += 1;
            }
        }
        clearTimeout(slow);
        if (damaged > 1) {
            say(DAMAGED);
        } else if (!damaged && isWaitedFor()) {
            say(AWAY);
        }
        await new Promise((again) => setTimeout(again, wait));
    }
};
// Says that a part of the page is missing, behind everything that the program has taken over; nothing = it
// is there.
const LOADING = "Loading this part of the page…";
const AWAY = "A part of this page cannot be loaded: the server does not answer. It is asked for again by itself; if that does not help, look at your connection.";
const DAMAGED = "A part of this page arrived damaged. It is asked for again, less and less often. ";
let torn;
const tell = (words) => {
    if (torn?.words === words) {
        return;
    }
    torn?.remove();
    torn = undefined;
    if (words) {
        const box = Object.assign(document.createElement("p"), { className: "toast", textContent: words });
        if (words === LOADING) {
            box.ariaLive = "polite";
        } else {
            box.setAttribute("role", "alert");
            box.classList.add("toast-bad");
        }
        if (words === DAMAGED) {
            const link = Object.assign(document.createElement("a"), { className: "link", rel: "external", textContent: "Reload the page" });
            link.href = location.pathname + location.search;
            box.append(link);
        }
        torn = Object.assign(document.createElement("div"), { className: "torn", words });
        torn.append(box);
        document.body.append(torn);
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
    const found = await (files[file] ??= patient(async (how) => open(await plain(file, how))));
    if (found instanceof Response) {
        delete files[file];
        return found;
    }
    const [piece] = WebAssembly.Module.customSections(found, hash.slice(1));
    return new Response(piece, { headers: { "content-type": "application/wasm" } });
};
const loaded = Date.now();
let touched = loaded;
for (const kind of ["pointerdown", "keydown", "wheel", "touchmove"]) {
    addEventListener(kind, () => (touched = Date.now()), { capture: true, passive: true });
}
// Before what was typed into a marked form is lost, by a link or by closing the page, it is asked. A form
// that was sent and took what was typed has emptied its first field.
let isLeaving = false;
const mayLeave = () => confirm("What you typed is not sent yet. Leave this page and lose it?");
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
        isLeaving = mayLeave();
        if (!isLeaving) {
            event.preventDefault();
            event.stopImmediatePropagation();
        }
    },
    true,
);
// Going back and forward between pages, where the browser lets it be asked; to another site and by closing
// the page it asks by itself.
window.navigation?.addEventListener("navigate", (event) => {
    const { url, sameDocument } = event.destination;
    const isElsewhere = sameDocument && new URL(url).pathname !== location.pathname;
    if (event.navigationType === "traverse" && event.cancelable && isElsewhere && isTyped() && !mayLeave()) {
        event.preventDefault();
    }
});
const begin = () => {
    const wasm = fetch("{wasm}");
    const all = import("{js}").then(async (glue) => {
        await glue.default({ module_or_path: wasm });
        // In a task of its own: the page stays responsive.
        setTimeout(glue.hydrate);
    });
    all.catch((error) => {
        tell(DAMAGED);
        throw error;
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

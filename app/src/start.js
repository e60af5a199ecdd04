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

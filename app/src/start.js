// Pieces of the program are asked for until they come: the server may be away for a moment, and what
// waits for a piece cannot ask again.
const plain = window.fetch.bind(window);
window.fetch = async (what, how) => {
    const path = new URL(what instanceof Request ? what.url : what, document.baseURI).pathname;
    if (!/^\/pkg\/.+\.wasm$/.test(path)) {
        return plain(what, how);
    }
    for (let wait = 500; ; wait = Math.min(wait * 2, 3000)) {
        try {
            const answer = await plain(what, how);
            if (answer.status < 500) {
                return answer;
            }
        } catch {
            // Nobody answers.
        }
        await new Promise((again) => setTimeout(again, wait));
    }
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

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

//! Parts of the WASM that come later, in pieces. Functions of one piece come together: what two pieces use is a
//! file of its own for each combination of them, so that few pieces of middle size are quicker than many
//! small ones (`.ci/sizes.sh`; which function is in which piece was chosen by measuring).

/// `piece!(plans: fn start_view() -> … , loaded by load_start_view)`: a function that the browser loads with
/// its piece when it is called for the first time, and another one that only loads it. On the server both
/// are there at once, and the head of the page names what the browser will need.
macro_rules! piece {
    ($piece:ident, $load:ident: fn $name:ident($($value:ident: $type:ty),*) $body:block) => {
        #[cfg(feature = "hydrate")]
        #[::leptos::wasm_split::wasm_split(
            $piece,
            wasm_split_path = ::leptos::wasm_split,
            preload($load)
        )]
        fn $name($($value: $type),*) -> ::leptos::prelude::AnyView $body

        #[cfg(not(feature = "hydrate"))]
        async fn $name($($value: $type),*) -> ::leptos::prelude::AnyView {
            ::leptos::prefetch_lazy_fn_on_server(stringify!($piece));
            $body
        }
    };
}
pub(crate) use piece;

//! Few kinds of views, attributes and handlers. What is generic over a closure costs kilobytes of code
//! for each closure that a page has, and a page has hundreds: here each kind is behind one pointer.

use leptos::{ev::MouseEvent, prelude::*};
use wasm_bindgen::JsCast;

/// A text that may be missing.
pub(crate) trait Words {
    /// The text, empty when it is missing.
    fn words(self) -> String;
}

impl Words for String {
    fn words(self) -> String {
        self
    }
}

impl Words for &'static str {
    fn words(self) -> String {
        self.to_owned()
    }
}

impl<T: Words> Words for Option<T> {
    fn words(self) -> String {
        self.map(T::words).unwrap_or_default()
    }
}

/// A text that changes.
pub(crate) fn text<T: Words>(of: impl Fn() -> T + Send + 'static) -> AnyView {
    value(of).into_any()
}

/// A part of the page that changes.
pub(crate) fn part<V: IntoView + 'static>(of: impl Fn() -> V + Send + 'static) -> AnyView {
    let boxed: Box<dyn FnMut() -> AnyView + Send> = Box::new(move || of().into_any());
    boxed.into_any()
}

/// The value of an attribute that changes.
pub(crate) fn value<T: Words>(of: impl Fn() -> T + Send + 'static) -> Box<dyn FnMut() -> String + Send> {
    Box::new(move || of().words())
}

/// An attribute that is there at times.
pub(crate) fn at_times(
    word: &'static str,
    when: impl Fn() -> bool + Send + 'static,
) -> Box<dyn FnMut() -> Option<&'static str> + Send> {
    Box::new(move || when().then_some(word))
}

/// Something that holds at times: a class, an attribute without a value.
pub(crate) fn flag(when: impl Fn() -> bool + Send + 'static) -> Box<dyn FnMut() -> bool + Send> {
    Box::new(when)
}

/// What a click does.
pub(crate) fn click(act: impl Fn() + 'static) -> Box<dyn FnMut(MouseEvent)> {
    Box::new(move |_| act())
}

/// Whether the `<details>` that an event tells of is open now.
pub(crate) fn is_open(event: &leptos::ev::Event) -> bool {
    event
        .target()
        .and_then(|target| target.dyn_into::<web_sys::Element>().ok())
        .is_some_and(|details| details.has_attribute("open"))
}

/// A view for each number, in order, each of them once; one that stays keeps its view.
#[component]
pub(crate) fn Each(
    /// The numbers.
    #[prop(into)]
    of: Signal<Vec<u64>>,
    /// What is shown for one.
    #[prop(into)]
    show: Callback<u64, AnyView>,
) -> impl IntoView {
    view! { <For each=move || of.get() key=|one| *one children=move |one| show.run(one)/> }
}

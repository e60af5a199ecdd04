//! The keyboard's place where buttons are drawn anew: after an act others stand where the pressed one
//! stood, and whoever pressed it must not begin at the top of the page again.

use crate::ui::focus_heading;
use leptos::{html, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

/// The buttons that are seen; those of a dialog that is shut are not.
fn buttons(within: &Element) -> Vec<HtmlElement> {
    let Ok(found) = within.query_selector_all("button") else { return Vec::new() };
    let all = (0..found.length()).filter_map(|place| found.get(place)?.dyn_into::<HtmlElement>().ok());
    all.filter(|button| button.offset_parent().is_some()).collect()
}

fn words(button: &Element) -> Option<String> {
    button.get_attribute("aria-label").or_else(|| button.text_content())
}

/// Called while new buttons are made: if one of the old has the focus, then that of the same words gets it,
/// else that which stands at its place, else the last, else the heading of the page.
pub(super) fn keep_focus(within: NodeRef<html::Div>) {
    // The server has no node.
    let Some(within) = within.get_untracked() else { return };
    let here = document().active_element().filter(|here| within.contains(Some(here)));
    let Some(here) = here else { return };
    let place = buttons(&within).iter().position(|button| here.is_same_node(Some(button))).unwrap_or(0);
    let named = words(&here);
    queue_microtask(move || {
        if here.is_connected() {
            return;
        }
        let now = buttons(&within);
        let same = now.iter().find(|button| words(button) == named);
        match same.or_else(|| now.get(place)).or_else(|| now.last()) {
            Some(button) => drop(button.focus()),
            None => focus_heading(),
        }
    });
}

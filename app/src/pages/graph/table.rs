//! The same as the drawing in words: every service with what it needs and what needs it.

use super::{Node, Seen};
use crate::ui::boxed::{part, value};
use crate::ui::{Glyph, Icon, Pill};
use leptos::prelude::*;

fn path(seen: Seen, place: usize) -> String {
    seen.graph.with_value(|graph| {
        format!(
            "/services/{}?project={}&environment={}",
            graph.nodes[place].service, graph.project, graph.environment
        )
    })
}

/// Links that show what stands around others.
fn links(seen: Seen, places: &[usize]) -> AnyView {
    if places.is_empty() {
        return "–".into_any();
    }
    let link = |place: &usize| {
        let place = *place;
        view! { <a class="link" href=value(move || seen.around(place))>{seen.name(place)}</a>" " }
    };
    places.iter().map(link).collect_view().into_any()
}

/// What is known of the service that was chosen.
#[component]
pub(super) fn Focused(seen: Seen, place: usize) -> impl IntoView {
    let node = Memo::new(move |_| seen.nodes.with(|all| all[place].clone()));
    let look = Signal::derive(move || node.with(|node| node.state).look());
    view! {
        <div class="graph-focus" data-focus="">
            <p class="flex flex-wrap items-center gap-2">
                <strong>{seen.name(place)}</strong><Pill look/>
                <span class="mono">{move || node.with(|node| node.version.clone())}</span>
                {part(move || node.with(|node| node.is_cause).then_some("Fails, and nothing that it needs does: look here first."))}
                <a class="link ml-auto" href=path(seen, place)>"Open the service"</a>
                <a class="btn btn-small" href=value(move || seen.query.with(&[("focus", ""), ("depth", "")])) aria-label="Close"><Icon glyph=Glyph::Close/></a>
            </p>
            <p class="text-meta">"Needs: "{part(move || node.with(|node| links(seen, &node.needs)))}</p>
            <p class="text-meta">"Needed by: "{part(move || node.with(|node| links(seen, &node.needed_by)))}</p>
        </div>
    }
}

#[component]
pub(super) fn Table(seen: Seen) -> impl IntoView {
    let row = move |(place, node): (usize, Node)| {
        view! {
            <tr>
                <th scope="row"><a class="link font-medium" href=path(seen, place)>{seen.name(place)}</a></th>
                <td data-label="State"><Pill look=node.state.look()/>{node.is_cause.then_some(" cause")}</td>
                <td data-label="Version" class="mono">{node.version}</td>
                <td data-label="Needs">{links(seen, &node.needs)}</td>
                <td data-label="Needed by">{links(seen, &node.needed_by)}</td>
            </tr>
        }
    };
    let rows = move || {
        let shown: Vec<(usize, Node)> =
            seen.nodes.get().into_iter().enumerate().filter(|(_, node)| node.is_shown).collect();
        match shown.is_empty() {
            true => view! { <tr><td colspan="5">"Nothing fails here."</td></tr> }.into_any(),
            false => shown.into_iter().map(row).collect_view().into_any(),
        }
    };
    view! {
        <div class="graph-table table-scroll">
            <table class="table">
                <caption class="sr-only">"Services with what they need and what needs them"</caption>
                <thead><tr>
                    <th scope="col">"Service"</th><th scope="col">"State"</th><th scope="col">"Version"</th>
                    <th scope="col">"Needs"</th><th scope="col">"Needed by"</th>
                </tr></thead>
                <tbody>{part(rows)}</tbody>
            </table>
        </div>
    }
}

//! Icons as strokes on a field of 16 by 16.

use leptos::prelude::*;

/// An icon; what it means is always said in words beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glyph {
    /// Four fields.
    Overview,
    /// A graph.
    Services,
    /// A rocket's path.
    Deployments,
    /// Sliders.
    Settings,
    /// A lens.
    Search,
    /// Two sheets.
    Copy,
    /// A tick in a circle.
    Ok,
    /// A triangle.
    Warn,
    /// A cross in an octagon.
    Bad,
    /// A half circle.
    Run,
    /// An arrow that goes back.
    Back,
    /// A question in a dashed circle.
    Unknown,
    /// A crossed circle.
    Cancelled,
    /// Two bars in a circle.
    Paused,
    /// A clock.
    Waiting,
    /// A plus.
    Plus,
    /// A minus.
    Minus,
    /// Arrows that meet.
    Fit,
    /// A cross.
    Close,
    /// An arrow into a tray.
    Download,
    /// A link's chain.
    Link,
    /// Three dots.
    More,
    /// A wave that is broken.
    Offline,
    /// An arrow to the left.
    Left,
    /// An arrow to the right.
    Right,
    /// A hand.
    Hand,
    /// Head and shoulders.
    Person,
    /// Lines of writing.
    Lines,
}

impl Glyph {
    const fn path(self) -> &'static str {
        match self {
            Self::Overview => "M2 2h5v5H2Z M9 2h5v5H9Z M2 9h5v5H2Z M9 9h5v5H9Z",
            Self::Services => {
                "M8 5.5v2 M4 10.5V9q0-1.5 1.5-1.5h5Q12 7.5 12 9v1.5 M6.2 1.8h3.6v3.6H6.2Z M2.2 10.6h3.6v3.6H2.2Z M10.2 10.6h3.6v3.6h-3.6Z"
            }
            Self::Deployments => "M8 14V4 M4 7.5 8 3.5l4 4 M3 1.5h10",
            Self::Settings => "M2 4.5h7 M12 4.5h2 M2 11.5h2 M7 11.5h7 M9 2.7h3v3.6H9Z M4 9.7h3v3.6H4Z",
            Self::Search => "M7 2a5 5 0 1 0 .1 0Z M10.8 10.8 14 14",
            Self::Copy => "M6 5.5h7.5V14H6Z M10 5.5V2H2.5v8.5H6",
            Self::Ok => "M8 1.5a6.5 6.5 0 1 0 .1 0Z M5 8.2l2.1 2.1L11 6",
            Self::Warn => "M8 2 14.5 13.5h-13Z M8 6.5v3 M8 11.6v.1",
            Self::Bad => "M5 1.5h6L14.5 5v6L11 14.5H5L1.5 11V5Z M5.5 5.5l5 5 M10.5 5.5l-5 5",
            Self::Run => "M8 1.5A6.5 6.5 0 1 1 1.5 8",
            Self::Back => "M3 3v4h4 M3.4 6.6A5.5 5.5 0 1 1 3 10",
            Self::Unknown => {
                "M8 1.5a6.5 6.5 0 0 1 4.6 1.9 M14.2 6.2a6.5 6.5 0 0 1-1 5.6 M10.6 13.9a6.5 6.5 0 0 1-5.6-.2 M2.6 11.6A6.5 6.5 0 0 1 2 5.6 M6.4 6.2a1.7 1.7 0 1 1 2.4 1.7c-.6.3-.8.6-.8 1.2 M8 11.4v.1"
            }
            Self::Cancelled => "M8 1.5a6.5 6.5 0 1 0 .1 0Z M3.5 12.5l9-9",
            Self::Paused => "M8 1.5a6.5 6.5 0 1 0 .1 0Z M6.2 5.5v5 M9.8 5.5v5",
            Self::Waiting => "M8 1.5a6.5 6.5 0 1 0 .1 0Z M8 4.5V8l2.5 1.5",
            Self::Plus => "M8 3v10 M3 8h10",
            Self::Minus => "M3 8h10",
            Self::Fit => "M2 6V2h4 M14 6V2h-4 M2 10v4h4 M14 10v4h-4",
            Self::Close => "M3.5 3.5l9 9 M12.5 3.5l-9 9",
            Self::Download => "M8 2v8 M4.5 7 8 10.5 11.5 7 M2.5 13.5h11",
            Self::Link => {
                "M6.5 9.5l3-3 M7 4.5 9 2.6a3.2 3.2 0 0 1 4.4 4.4L11.5 9 M9 11.5l-2 1.9A3.2 3.2 0 0 1 2.6 9L4.5 7"
            }
            Self::More => "M3 8h.1 M8 8h.1 M13 8h.1",
            Self::Offline => {
                "M2 2l12 12 M5 8.5a5 5 0 0 1 2-1 M10.5 8a5 5 0 0 1 .8.6 M2.5 5.7A9 9 0 0 1 4.4 4.4 M7.5 3.4a9 9 0 0 1 6 2.3 M8 12v.1"
            }
            Self::Left => "M10 3 5 8l5 5",
            Self::Right => "M6 3l5 5-5 5",
            Self::Person => "M8 2a3 3 0 1 0 .1 0Z M2.5 14a5.5 5.5 0 0 1 11 0",
            Self::Lines => "M3 3h10 M3 6.5h10 M3 10h10 M3 13.5h6",
            Self::Hand => "M8 1.5 14.5 8 8 14.5 1.5 8Z M8 5v3.5 M8 10.8v.1",
        }
    }
}

/// An icon; left out for those who listen.
#[component]
pub fn Icon(
    /// Which.
    #[prop(into)]
    glyph: Signal<Glyph>,
) -> impl IntoView {
    view! {
        <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" class="icon">
            <path d=move || glyph.get().path()/>
        </svg>
    }
}

//! Acts: what is pressed is asked for once, however often it is pressed and whatever is drawn anew
//! meanwhile, and how far it is stands on the page until it is known what came of it.

use crate::{
    AppError,
    session::{At, Session},
    ui::{Glyph, Icon, Questions, Toasts, boxed::part},
};
use leptos::{prelude::*, task::spawn_local};
use lockstep_model::{DeploymentId, Seq, access::Permission, view::DeploymentSummary};
use std::{pin::Pin, time::Duration};

/// How long it stays said how far an act is that was accepted.
const SAID: Duration = Duration::from_secs(20);

type Work = Pin<Box<dyn Future<Output = Result<DeploymentSummary, AppError>>>>;
/// What takes something back, by what came of it.
type Undo = Box<dyn Fn(&DeploymentSummary) + Send + Sync>;

/// An act: the words of its button, and its own name where several share one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Act {
    button: String,
    name: String,
}

impl Act {
    /// Something that has a button of its own.
    pub(crate) fn of(button: &str) -> Self {
        Self::under(button, button)
    }

    /// Something that is chosen from what a button opens.
    pub(crate) fn under(button: &str, name: impl Into<String>) -> Self {
        Self { button: button.to_owned(), name: name.into() }
    }
}

/// How far the last act of the page is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Nothing,
    /// On its way to the server.
    Requested,
    /// The server has written it down, as this event of that deployment.
    Accepted(DeploymentId, Seq),
    /// The server does not do it.
    Refused,
}

/// What is being done on a page; in its context, so that it outlives the buttons.
#[derive(Clone, Copy)]
pub(crate) struct Doing {
    pub(crate) toasts: Toasts,
    pub(crate) questions: Questions,
    going: RwSignal<(Act, Stage)>,
}

impl Doing {
    /// Puts it into the context of a page.
    pub(crate) fn provide() -> Self {
        let going = RwSignal::new((Act::default(), Stage::Nothing));
        let doing = Self { toasts: Toasts::here(), questions: Questions::here(), going };
        provide_context(doing);
        doing
    }

    /// From the context.
    pub(crate) fn here() -> Self {
        expect_context()
    }

    /// Begins an act; false while one is on its way, which is waited for.
    pub(crate) fn begin(self, act: &Act) -> bool {
        // A page that was left has nothing on its way; what was offered there may be pressed still.
        let before = self.going.try_get_untracked().unwrap_or_default();
        if before.1 == Stage::Requested {
            if before.0 != *act {
                self.toasts.done(format!("{}: the answer is waited for", before.0.name));
            }
            return false;
        }
        let _ = self.going.try_set((act.clone(), Stage::Requested));
        true
    }

    /// What the server wrote down.
    pub(crate) fn accepted(self, row: &DeploymentSummary) {
        let stage = Stage::Accepted(row.id, row.seq);
        self.become_now(stage);
        let over = move || {
            let _ = self.going.try_update(|going| {
                if going.1 == stage {
                    going.1 = Stage::Nothing;
                }
            });
        };
        set_timeout(over, SAID);
    }

    /// The server does not do it.
    pub(crate) fn refused(self) {
        self.become_now(Stage::Refused);
    }

    /// Nothing came of it, or it was not yet to be done.
    pub(crate) fn dropped(self) {
        self.become_now(Stage::Nothing);
    }

    fn become_now(self, stage: Stage) {
        let _ = self.going.try_update(|going| going.1 = stage);
    }

    /// Whether the act of a button is on its way, and whether any is. Tracked.
    fn is_going(self, button: &str) -> (bool, bool) {
        self.going.with(|(act, stage)| {
            let any = *stage == Stage::Requested;
            (any && act.button == button, any)
        })
    }

    /// Asks for something, then says what came of it.
    pub(crate) fn run<F>(self, act: Act, what: &'static str, work: F)
    where
        F: Future<Output = Result<DeploymentSummary, AppError>> + 'static,
    {
        self.run_boxed(act, what, "", Box::pin(work), None);
    }

    /// The same for what can be taken back at once, and so asked nothing before: the words about it
    /// offer to.
    pub(crate) fn run_undoable<F>(
        self,
        act: Act,
        what: &'static str,
        work: F,
        undo: impl Fn(&DeploymentSummary) + Send + Sync + 'static,
    ) where
        F: Future<Output = Result<DeploymentSummary, AppError>> + 'static,
    {
        self.run_boxed(act, what, "", Box::pin(work), Some(Box::new(undo)));
    }

    /// Takes something back; where that is no longer possible, says so and why.
    pub(crate) fn undo<F>(self, what: &'static str, work: F)
    where
        F: Future<Output = Result<DeploymentSummary, AppError>> + 'static,
    {
        let sorry = "It cannot be undone any more: ";
        self.run_boxed(Act::of("Undo"), what, sorry, Box::pin(work), None);
    }

    /// One piece of code for all of them.
    fn run_boxed(self, act: Act, what: &'static str, sorry: &'static str, work: Work, undo: Option<Undo>) {
        if !self.begin(&act) {
            return;
        }
        spawn_local(async move {
            match work.await {
                Ok(row) => {
                    self.accepted(&row);
                    let text = format!("{what}: #{} is {}", row.id, row.phase);
                    // What has ended meanwhile cannot be taken back.
                    match undo.filter(|_| !row.phase.is_final()) {
                        Some(undo) => self.toasts.undoable(text, move || undo(&row)),
                        None => self.toasts.done(text),
                    }
                }
                Err(error) => {
                    self.refused();
                    self.toasts.failed(format!("{sorry}{error}"));
                }
            }
        });
    }
}

/// The button of an act. While it is on its way the button says so, and none acts; without the permission
/// it stays there and says why not.
#[component]
pub(crate) fn ActButton(
    /// What stands on it, by which acts name it too.
    #[prop(into)]
    words: String,
    /// What stands on it meanwhile.
    going: &'static str,
    /// What it needs.
    permission: Permission,
    /// Another reason why not, whatever the role.
    #[prop(into, optional)]
    refusal: Signal<Option<String>>,
    #[prop(default = "btn")] class: &'static str,
    glyph: Glyph,
    on_click: Callback<()>,
) -> impl IntoView {
    let (doing, session, at) = (Doing::here(), Session::here(), use_context::<At>());
    let why = Memo::new(move |_| {
        session.refusal(permission, at.as_ref().map(|at| &at.0)).or_else(|| refusal.get())
    });
    let button = words.clone();
    let goes = Memo::new(move |_| doing.is_going(&button));
    let press = move |_| match why.get_untracked() {
        _ if goes.get_untracked().1 => {}
        None => on_click.run(()),
        // A finger cannot hover.
        Some(why) => doing.toasts.failed(why),
    };
    view! {
        <button type="button" class=class title=move || why.get() on:click=press
            aria-busy=move || goes.get().0.then_some("true")
            aria-disabled=move || (goes.get().1 || why.with(Option::is_some)).then_some("true")>
            <Icon glyph/>{move || if goes.get().0 { going.to_owned() } else { words.clone() }}
        </button>
    }
}

/// How far the last act is: requested, accepted as which event, and what the deployment does since then.
#[component]
pub(crate) fn Trail(row: RwSignal<DeploymentSummary>) -> impl IntoView {
    let doing = Doing::here();
    let words = Memo::new(move |_| {
        doing.going.with(|(act, stage)| {
            let name = act.name.trim_end_matches('…');
            match stage {
                Stage::Nothing => None,
                Stage::Requested => Some(format!("{name}: requested")),
                Stage::Refused => Some(format!("{name}: requested → refused")),
                Stage::Accepted(id, seq) => {
                    let now = row.with(|row| match (row.id == *id, row.seq >= *seq) {
                        (true, true) => format!(" → {}", row.phase),
                        (true, false) => " → on its way".to_owned(),
                        (false, _) => String::new(),
                    });
                    Some(format!("{name}: requested → accepted as event {seq} of #{id}{now}"))
                }
            }
        })
    });
    part(move || words.get().map(|words| view! { <p class="trail-of-act">{words}</p> }))
}

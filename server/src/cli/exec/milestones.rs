//! Steps out of the lines of a script that knows nothing of steps: its headings, its `[INFO]` and
//! `[SUCCESS]` lines, and the `time | START | id | environment | service` lines of others.

use lockstep_model::{
    Timestamp,
    script::{STEPS_MAX, ScriptStep, ScriptStepState, TEXT_CHARS_MAX},
};

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
enum Milestone<'a> {
    /// A part begins.
    Heading(&'a str),
    /// Something begins, or is told.
    Info(&'a str),
    Success(&'a str),
    Warning(&'a str),
    Error(&'a str),
}

/// The steps that were heard of.
#[derive(Debug, Default)]
pub(super) struct Milestones {
    steps: Vec<ScriptStep>,
    /// The step that runs was begun by a heading: what is told below belongs to it.
    is_part: bool,
    /// The script said of the step that runs that something is done.
    is_done: bool,
}

impl Milestones {
    /// All steps until now.
    pub(super) fn steps(&self) -> &[ScriptStep] {
        &self.steps
    }

    /// Hears a line; true when it changed something.
    pub(super) fn hear(&mut self, line: &str, at: Timestamp) -> bool {
        let line = plain(line);
        let Some(milestone) = milestone(&line) else { return false };
        match milestone {
            Milestone::Heading(name) => self.begin(name, true, at),
            Milestone::Info(text) if self.is_part && self.running().is_some() => self.say(text),
            Milestone::Info(name) => self.begin(name, false, at),
            Milestone::Success(text) => {
                if self.running().is_none() {
                    self.begin(text, false, at);
                }
                self.say(text);
                self.is_done = true;
                if !self.is_part {
                    self.close(at);
                }
            }
            Milestone::Warning(text) => {
                if self.running().is_none() {
                    self.begin(text, false, at);
                }
                self.say(text);
                if let Some(step) = self.running() {
                    step.warnings += 1;
                }
            }
            Milestone::Error(text) => {
                if self.running().is_none() {
                    self.begin(text, false, at);
                }
                self.say(text);
                if let Some(step) = self.running() {
                    step.state = ScriptStepState::Failed;
                    step.finished_at = Some(at);
                }
            }
        }
        true
    }

    /// The script has ended; a step that runs ends with it.
    pub(super) fn end(&mut self, is_well: bool, at: Timestamp) {
        if is_well {
            self.close(at);
        } else if let Some(step) = self.running() {
            step.state = ScriptStepState::Failed;
            step.finished_at = Some(at);
        }
    }

    fn running(&mut self) -> Option<&mut ScriptStep> {
        self.steps.last_mut().filter(|step| step.state == ScriptStepState::Running)
    }

    fn begin(&mut self, name: &str, is_part: bool, at: Timestamp) {
        // The last one takes in all that is said after it.
        if self.steps.len() == STEPS_MAX {
            return self.say(name);
        }
        self.close(at);
        self.is_part = is_part;
        self.steps.push(ScriptStep {
            name: short(name),
            state: ScriptStepState::Running,
            said: String::new(),
            warnings: 0,
            started_at: at,
            finished_at: None,
        });
    }

    fn say(&mut self, text: &str) {
        if let Some(step) = self.steps.last_mut() {
            step.said = short(text);
        }
    }

    fn close(&mut self, at: Timestamp) {
        let state = if std::mem::take(&mut self.is_done) {
            ScriptStepState::Succeeded
        } else {
            ScriptStepState::Passed
        };
        if let Some(step) = self.running() {
            step.state = state;
            step.finished_at = Some(at);
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

/// A line without colours and other control sequences.
pub(super) fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            if chars.next_if_eq(&'[').is_some() {
                // Parameters, then one letter.
                while chars.next_if(|c| !('@'..='~').contains(c)).is_some() {}
                chars.next();
            }
        } else if c == '\t' || !c.is_control() {
            text.push(if c == '\t' { ' ' } else { c });
        }
    }
    text
}

fn milestone(line: &str) -> Option<Milestone<'_>> {
    let line = line.trim();
    if let Some((word, text)) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        return match word.trim().to_ascii_uppercase().as_str() {
            "INFO" | "STEP" => Some(Milestone::Info(text)),
            "SUCCESS" | "OK" | "DONE" => Some(Milestone::Success(text)),
            "WARNING" | "WARN" => Some(Milestone::Warning(text)),
            "ERROR" | "FAILED" | "FAIL" | "FATAL" => Some(Milestone::Error(text)),
            _ => None,
        };
    }
    if let Some(name) = line.strip_prefix("::group::") {
        return Some(Milestone::Heading(name.trim())).filter(|_| !name.trim().is_empty());
    }
    let fields: Vec<&str> = line.split('|').map(str::trim).collect();
    if let [_, word, .., what] = fields[..]
        && fields.len() >= 3
        && !what.is_empty()
    {
        return match word {
            "START" => Some(Milestone::Heading(what)),
            "SUCCESS" => Some(Milestone::Success(what)),
            "FAILED" => Some(Milestone::Error(what)),
            _ => None,
        };
    }
    // `=== Deploy ===`, `## Deploy`, `--- Deploy ---`; a row of the same sign is a line, no heading.
    let sign = line.chars().next().filter(|c| "=#-".contains(*c))?;
    let name = line.trim_matches(sign);
    let is_heading = line.len() - line.trim_start_matches(sign).len() >= 2
        && name.starts_with(' ')
        && name.contains(char::is_alphanumeric);
    is_heading.then(|| Milestone::Heading(name.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ScriptStepState::{Failed, Passed, Running, Succeeded};

    fn heard(lines: &[&str]) -> Milestones {
        let mut milestones = Milestones::default();
        for (at, line) in (0..).zip(lines) {
            milestones.hear(line, Timestamp(at));
        }
        milestones
    }

    fn states(milestones: &Milestones) -> Vec<(&str, ScriptStepState)> {
        milestones.steps().iter().map(|step| (step.name.as_str(), step.state)).collect()
    }

    #[test]
    fn coloured_lines_with_a_word_in_brackets_become_steps() {
        let mut steps = heard(&[
            "\u{1b}[0;34m[INFO]\u{1b}[0m Checking secrets...",
            "\u{1b}[0;32m[SUCCESS]\u{1b}[0m Secrets are there",
            "noise",
            "[INFO] Deploying",
            "[WARNING] slow",
            "[INFO] Probing",
            "[ERROR] 503",
        ]);
        let expected = [("Checking secrets...", Succeeded), ("Deploying", Passed), ("Probing", Failed)];
        assert_eq!(states(&steps), expected);
        assert_eq!((steps.steps()[1].warnings, steps.steps()[2].said.as_str()), (1, "503"));
        steps.end(true, Timestamp(9));
        assert_eq!(states(&steps), expected, "what has failed stays so");
    }

    #[test]
    fn what_is_told_below_a_heading_belongs_to_it() {
        let mut steps =
            heard(&["=== Build ===", "[INFO] compiling", "[SUCCESS] built", "====", "## Ship", "[INFO] x"]);
        assert_eq!(states(&steps), [("Build", Succeeded), ("Ship", Running)]);
        steps.end(false, Timestamp(9));
        assert_eq!(states(&steps)[1], ("Ship", Failed));
    }

    #[test]
    fn lines_with_columns_become_steps() {
        let steps =
            heard(&["12:00 | START | 7 | staging | backend", "12:01 | FAILED | 7 | staging | backend"]);
        assert_eq!(states(&steps), [("backend", Failed)]);
        assert!(heard(&["a | b", "| table | of | things |", "--force", "-----"]).steps().is_empty());
    }

    #[test]
    fn there_is_an_end_to_steps() {
        let lines: Vec<String> = (0..STEPS_MAX + 9).map(|number| format!("[INFO] {number}")).collect();
        let steps = heard(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(steps.steps().len(), STEPS_MAX);
        assert_eq!(steps.steps()[STEPS_MAX - 1].said, (STEPS_MAX + 8).to_string());
    }
}

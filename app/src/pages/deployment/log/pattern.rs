//! Regular expressions for the log. All ways through a pattern are gone at the same time, so that a line
//! takes time by its length and by the pattern's, and no pattern holds the page up, whatever it repeats.

/// So long may a pattern be, and so many instructions may it become.
const LENGTH_MAX: usize = 200;
const CODE_MAX: usize = 1_000;
/// So deep may groups stand in each other.
const DEEP_MAX: usize = 20;

/// A pattern, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Code>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Code {
    /// One character of these, or with `true` none of these.
    One(Vec<(char, char)>, bool),
    /// Both ways, the nearer one first.
    Split(usize, usize),
    Jump(usize),
    Begin,
    End,
    /// Between a word and what is none; `false` = not there.
    Edge(bool),
    Found,
}

impl Pattern {
    /// Reads a pattern; the words say what is wrong with one.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if text.chars().count() > LENGTH_MAX {
            return Err(format!("it is longer than {LENGTH_MAX} characters"));
        }
        let mut reader = Reading { rest: text.chars().collect(), at: 0, deep: 0 };
        let mut code = reader.any()?;
        if reader.at < reader.rest.len() {
            return Err("there is a ) without its (".to_owned());
        }
        code.push(Code::Found);
        Ok(Self(code))
    }

    /// Where the first stretch that fits begins and ends, the longest one from there.
    pub(super) fn find(&self, text: &str) -> Option<(usize, usize)> {
        let mut best = None::<(usize, usize)>;
        let mut now = Threads::of(self);
        let (mut here, mut onward) = (Vec::new(), Vec::new());
        let mut before = None::<char>;
        let places = text.char_indices().map(|(at, c)| (at, Some(c))).chain([(text.len(), None)]);
        for (at, c) in places {
            let edge = before.is_some_and(is_word) != c.is_some_and(is_word);
            let place = Place { is_begin: before.is_none(), is_end: c.is_none(), is_edge: edge };
            if best.is_none() {
                now.add(&self.0, 0, at, place);
            }
            std::mem::swap(&mut here, &mut now.all);
            for (state, start) in here.drain(..) {
                if best.is_some_and(|(first, _)| start > first) {
                    continue;
                }
                match &self.0[state] {
                    Code::Found if best.is_none_or(|(first, _)| start <= first) => best = Some((start, at)),
                    Code::One(of, not) if c.is_some_and(|c| holds(of, c) != *not) => {
                        onward.push((state + 1, start));
                    }
                    _ => {}
                }
            }
            let Some(c) = c else { break };
            let ends = at + c.len_utf8();
            let coming = text[ends..].chars().next();
            let edge = is_word(c) != coming.is_some_and(is_word);
            let place = Place { is_begin: false, is_end: coming.is_none(), is_edge: edge };
            now.clear();
            for (state, start) in onward.drain(..) {
                now.add(&self.0, state, start, place);
            }
            if best.is_some() && now.all.is_empty() {
                break;
            }
            before = Some(c);
        }
        best
    }
}

#[derive(Clone, Copy)]
struct Place {
    is_begin: bool,
    is_end: bool,
    is_edge: bool,
}

/// Where in the pattern one can be at once, and where each way began; each place once, the earliest first.
struct Threads {
    all: Vec<(usize, usize)>,
    seen: Vec<bool>,
    open: Vec<usize>,
}

impl Threads {
    fn of(pattern: &Pattern) -> Self {
        Self { all: Vec::new(), seen: vec![false; pattern.0.len()], open: Vec::new() }
    }

    fn clear(&mut self) {
        self.all.clear();
        self.seen.fill(false);
    }

    fn add(&mut self, code: &[Code], state: usize, start: usize, place: Place) {
        let open = &mut self.open;
        open.push(state);
        while let Some(state) = open.pop() {
            if std::mem::replace(&mut self.seen[state], true) {
                continue;
            }
            match &code[state] {
                Code::Jump(to) => open.push(*to),
                Code::Split(near, far) => open.extend([*far, *near]),
                Code::Begin if place.is_begin => open.push(state + 1),
                Code::End if place.is_end => open.push(state + 1),
                Code::Edge(wanted) if place.is_edge == *wanted => open.push(state + 1),
                Code::Begin | Code::End | Code::Edge(_) => {}
                Code::One(..) | Code::Found => self.all.push((state, start)),
            }
        }
    }
}

const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Whether a character is one of these, whatever the case of ASCII letters.
fn holds(of: &[(char, char)], c: char) -> bool {
    let within = |c: char| of.iter().any(|(from, to)| (*from..=*to).contains(&c));
    within(c) || within(c.to_ascii_lowercase()) || within(c.to_ascii_uppercase())
}

struct Reading {
    rest: Vec<char>,
    at: usize,
    deep: usize,
}

impl Reading {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn takes(&mut self, c: char) -> bool {
        let is = self.peek() == Some(c);
        self.at += usize::from(is);
        is
    }

    /// Ways to choose from. Addresses count from the begin of what is returned.
    fn any(&mut self) -> Result<Vec<Code>, String> {
        let mut code = self.row()?;
        while self.takes('|') {
            let other = self.row()?;
            let mut both = vec![Code::Split(1, code.len() + 2)];
            append(&mut both, code);
            both.push(Code::Jump(both.len() + 1 + other.len()));
            append(&mut both, other);
            code = both;
        }
        Ok(code)
    }

    fn row(&mut self) -> Result<Vec<Code>, String> {
        let mut code = Vec::new();
        while let Some(c) = self.peek().filter(|c| !['|', ')'].contains(c)) {
            self.at += 1;
            let one = self.one(c)?;
            let one = self.repeated(one)?;
            append(&mut code, one);
            if code.len() > CODE_MAX {
                return Err("it repeats too much".to_owned());
            }
        }
        Ok(code)
    }

    fn one(&mut self, c: char) -> Result<Vec<Code>, String> {
        Ok(match c {
            '.' => vec![Code::One(Vec::new(), true)],
            '^' => vec![Code::Begin],
            '$' => vec![Code::End],
            '[' => vec![self.set()?],
            '(' => {
                self.deep += 1;
                if self.deep > DEEP_MAX {
                    return Err("its groups are too deep".to_owned());
                }
                if self.takes('?') && !self.takes(':') {
                    return Err("of groups with a ? only (?: ) is known".to_owned());
                }
                let inner = self.any()?;
                if !self.takes(')') {
                    return Err("a ( has no )".to_owned());
                }
                self.deep -= 1;
                inner
            }
            '*' | '+' | '?' => return Err(format!("there is nothing before {c} to repeat")),
            '\\' => {
                let c = self.peek().ok_or("it ends with a \\")?;
                self.at += 1;
                match c {
                    'b' => vec![Code::Edge(true)],
                    'B' => vec![Code::Edge(false)],
                    c => {
                        let (of, not) = escaped(c)?;
                        vec![Code::One(of, not)]
                    }
                }
            }
            c => vec![Code::One(vec![(c, c)], false)],
        })
    }

    fn repeated(&mut self, one: Vec<Code>) -> Result<Vec<Code>, String> {
        let (least, most) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') if self.rest.get(self.at + 1).is_some_and(char::is_ascii_digit) => self.counts()?,
            _ => return Ok(one),
        };
        self.at += 1;
        // What takes little first finds the same lines.
        let _ = self.takes('?');
        if self.peek().is_some_and(|c| ['*', '+'].contains(&c)) {
            return Err("something is repeated twice".to_owned());
        }
        let times = most.unwrap_or(least + 1).max(1);
        if one.len().saturating_mul(times) > CODE_MAX {
            return Err("it repeats too much".to_owned());
        }
        let mut code = Vec::new();
        for _ in 0..least {
            append(&mut code, one.clone());
        }
        match most {
            None => {
                let begin = code.len();
                code.push(Code::Split(begin + 1, begin + one.len() + 2));
                append(&mut code, one);
                code.push(Code::Jump(begin));
            }
            Some(most) => {
                for _ in least..most {
                    let begin = code.len();
                    code.push(Code::Split(begin + 1, begin + one.len() + 1));
                    append(&mut code, one.clone());
                }
            }
        }
        Ok(code)
    }

    /// `{3}`, `{3,}` and `{3,5}`; its end is left to be taken.
    fn counts(&mut self) -> Result<(usize, Option<usize>), String> {
        let end = self.rest[self.at..].iter().position(|c| *c == '}').ok_or("a { has no }")?;
        let inner: String = self.rest[self.at + 1..self.at + end].iter().collect();
        self.at += end;
        let number = |text: &str| text.parse::<usize>().map_err(|_| format!("{{{inner}}} is no count"));
        let (least, most) = match inner.split_once(',') {
            None => (number(&inner)?, Some(number(&inner)?)),
            Some((least, "")) => (number(least)?, None),
            Some((least, most)) => (number(least)?, Some(number(most)?)),
        };
        if most.is_some_and(|most| most < least) || least > CODE_MAX {
            return Err(format!("{{{inner}}} is no count"));
        }
        Ok((least, most))
    }

    fn set(&mut self) -> Result<Code, String> {
        let not = self.takes('^');
        let mut of = Vec::new();
        let mut is_first = true;
        loop {
            let c = self.peek().ok_or("a [ has no ]")?;
            self.at += 1;
            if c == ']' && !is_first {
                return Ok(Code::One(of, not));
            }
            is_first = false;
            if c == '\\' {
                let c = self.peek().ok_or("it ends with a \\")?;
                self.at += 1;
                let (more, other) = escaped(c)?;
                if other {
                    return Err(format!("\\{c} does not stand in [ ]"));
                }
                of.extend(more);
                continue;
            }
            let is_range = self.peek() == Some('-') && self.rest.get(self.at + 1).is_some_and(|c| *c != ']');
            if is_range {
                let to = self.rest[self.at + 1];
                self.at += 2;
                if to < c {
                    return Err(format!("{c}-{to} runs backwards"));
                }
                of.push((c, to));
            } else {
                of.push((c, c));
            }
        }
    }
}

/// What stands after a backslash: which characters, and whether all but those.
fn escaped(c: char) -> Result<(Vec<(char, char)>, bool), String> {
    Ok(match c {
        'd' | 'D' => (vec![('0', '9')], c == 'D'),
        'w' | 'W' => (vec![('0', '9'), ('a', 'z'), ('A', 'Z'), ('_', '_')], c == 'W'),
        's' | 'S' => (vec![(' ', ' '), ('\t', '\r')], c == 'S'),
        't' => (vec![('\t', '\t')], false),
        c if c.is_ascii_alphanumeric() => return Err(format!("\\{c} is not known")),
        c => (vec![(c, c)], false),
    })
}

/// Puts code behind code; its addresses move with it.
fn append(code: &mut Vec<Code>, more: Vec<Code>) {
    let by = code.len();
    code.extend(more.into_iter().map(|one| match one {
        Code::Split(near, far) => Code::Split(near + by, far + by),
        Code::Jump(to) => Code::Jump(to + by),
        other => other,
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(pattern: &str, text: &'a str) -> Option<&'a str> {
        let (from, to) = Pattern::read(pattern).expect("a pattern").find(text)?;
        Some(&text[from..to])
    }

    #[test]
    fn what_fits_is_found_the_first_and_longest() {
        assert_eq!(found("time.?out", "a Timeout, a time-out"), Some("Timeout"));
        assert_eq!(found(r"\d{2,3}ms", "took 7ms, 4123ms"), Some("123ms"));
        assert_eq!(found("pool|connection", "no connection"), Some("connection"));
        assert_eq!(found("(a|b|cd)+x", "-abcdx"), Some("abcdx"));
        assert_eq!(found(r"^ERROR\b.*$", "ERROR pool"), Some("ERROR pool"));
        assert_eq!(found("^pool", "a pool"), None);
        assert_eq!(found(r"\bpool\b", "pools, pool"), Some("pool"));
        assert_eq!(found("[^a-c-]+", "ab-xyz"), Some("xyz"));
        assert_eq!(found(r"[\d.]+", "at 10.0.0.1:80"), Some("10.0.0.1"));
        assert_eq!(found("grÖße", "die größe"), None, "only ASCII letters have two cases here");
        assert_eq!(found("gr.ße", "die größe"), Some("größe"));
        assert_eq!(found("(?:ab){2}", "ababab"), Some("abab"));
        assert_eq!(found("x*", "aaa"), Some(""));
        assert_eq!(found("a{0}b", "ab"), Some("b"));
        assert_eq!(found("(a*)*b", "aab"), Some("aab"));
        assert_eq!(found("{", "a { b"), Some("{"));
    }

    #[test]
    fn a_bad_pattern_says_what_is_wrong() {
        for (pattern, why) in [
            ("(a", "a ( has no )"),
            ("a)", "a ) without"),
            ("[a", "a [ has no ]"),
            ("*a", "nothing before *"),
            ("a**", "repeated twice"),
            ("a\\", "ends with a \\"),
            (r"\p{L}", "\\p is not known"),
            ("(?=a)", "only (?: )"),
            ("[z-a]", "runs backwards"),
            ("a{3,1}", "no count"),
            ("((a{100}){100}){100}", "repeats too much"),
            ("a{99999999999999999999}", "no count"),
        ] {
            let said = Pattern::read(pattern).expect_err(pattern);
            assert!(said.contains(why), "{pattern}: {said}");
        }
        assert!(Pattern::read(&"a".repeat(LENGTH_MAX + 1)).is_err());
        assert!(Pattern::read(&"(".repeat(LENGTH_MAX)).is_err());
    }

    #[test]
    fn what_holds_others_up_for_ever_takes_no_time_here() {
        let text = format!("{}!", "a".repeat(5_000));
        for pattern in ["(a+)+$", "(a|a)*$", "(a|aa)+b", "a*a*a*a*a*a*a*a*b", "(.*)*x"] {
            let _ = Pattern::read(pattern).expect("a pattern").find(&text);
        }
    }
}

//! The table of abuse cases and the sources say the same.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All sources below a folder, as text.
fn sources(folder: &Path, into: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && name != "target" && name != "node_modules" {
            sources(&path, into);
        } else if name.ends_with(".rs") {
            into.push(std::fs::read_to_string(&path).expect("readable"));
        }
    }
}

/// Names of all functions.
fn functions() -> BTreeSet<String> {
    let mut all = Vec::new();
    for folder in ["app", "server"] {
        sources(&root().join(folder), &mut all);
    }
    let name = |text: &str| text.split(['(', '<']).next().unwrap_or_default().trim().to_owned();
    all.iter().flat_map(|text| text.split("fn ").skip(1).map(name)).collect()
}

/// The number with which the name of a test begins: `a2` of `a2_a3_a5_guessing_…`.
fn number(word: &str) -> Option<String> {
    let (letter, digits) = word.split_at_checked(1)?;
    let is_number = ("a"..="h").contains(&letter)
        && !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| word.to_ascii_uppercase())
}

/// Case and tests of each row.
fn rows() -> Vec<(String, Vec<String>)> {
    let table = std::fs::read_to_string(root().join("server/docs/abuse.md")).expect("readable");
    let rows = table.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| ")?.split(" | ").collect();
        let [case, _, tests] = cells.as_slice() else { return None };
        let case = case.split(' ').next().filter(|word| number(&word.to_ascii_lowercase()).is_some())?;
        let tests = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Some((case.to_owned(), tests))
    });
    rows.collect()
}

#[test]
fn each_test_of_the_table_is_there_and_each_test_with_a_number_stands_in_its_row() {
    let (rows, functions) = (rows(), functions());
    let cases: BTreeSet<&String> = rows.iter().map(|(case, _)| case).collect();
    assert_eq!(cases.len(), rows.len(), "each case once");
    assert!(rows.len() >= 85, "{} cases", rows.len());
    for (case, tests) in &rows {
        for test in tests {
            assert!(functions.contains(test), "{case}: there is no test '{test}'");
        }
    }
    for function in &functions {
        for case in function.split('_').map_while(number) {
            let row = rows.iter().find(|(known, _)| *known == case);
            let (_, tests) = row.unwrap_or_else(|| panic!("{function}: the table has no case {case}"));
            assert!(tests.contains(function), "{case} does not name '{function}'");
        }
    }
}

#[test]
fn b13_no_page_makes_markup_of_text() {
    let mut pages = Vec::new();
    sources(&root().join("app/src"), &mut pages);
    assert!(pages.len() > 20);
    for text in pages {
        for sign in ["inner_html", "set_outer_html", "insert_adjacent_html", "document.write"] {
            assert!(!text.contains(sign), "a page writes markup by '{sign}'");
        }
    }
}

/// Number, level, answer and places of each requirement in the table of the verification standard.
fn requirements(text: &str) -> Vec<(String, String, String, Vec<String>)> {
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
        let [number, level, _, answer, places] = cells.as_slice() else { return None };
        let is_number =
            number.split('.').count() == 3 && number.split('.').all(|part| part.parse::<u8>().is_ok());
        let places = places.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        is_number.then(|| ((*number).to_owned(), (*level).to_owned(), (*answer).to_owned(), places))
    });
    rows.collect()
}

#[test]
fn each_requirement_of_the_verification_standard_is_answered_once_and_its_places_are_there() {
    let text = std::fs::read_to_string(root().join("server/docs/asvs.md")).expect("readable");
    let (rows, functions) = (requirements(&text), functions());
    let numbers: BTreeSet<&String> = rows.iter().map(|(number, ..)| number).collect();
    assert_eq!(numbers.len(), rows.len(), "each requirement once");
    for (level, name, expected) in [("1", "Level 1", 70), ("2", "Level 2", 183)] {
        let count = |wanted: &str| rows.iter().filter(|row| row.1 == level && row.2 == wanted).count();
        let [met, not_applicable, not_met] = ["met", "not applicable", "not met"].map(count);
        assert_eq!(met + not_applicable + not_met, expected, "{name}");
        let head = format!("| {name} | {met} | {not_applicable} | {not_met} | {expected} |");
        assert!(text.contains(&head), "the table at the top should say: {head}");
    }
    for (number, _, answer, places) in &rows {
        let is_listed = text
            .lines()
            .any(|line| line.starts_with(&format!("| {number} |")) && line.matches(" | ").count() == 3);
        assert_eq!(is_listed, answer == "not met", "{number} and the list of what is not met");
        for place in places {
            let is_file =
                ["app/", "server/", "end2end/", ".ci/"].iter().any(|folder| place.starts_with(folder));
            let is_test =
                place.len() > 24 && place.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            assert!(!is_file || root().join(place).exists(), "{number}: there is no {place}");
            assert!(!is_test || functions.contains(place), "{number}: there is no test '{place}'");
        }
    }
}

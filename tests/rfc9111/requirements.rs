//! The list of requirements, and the rule that each is either tested or has a reason why it isn't.

use std::collections::BTreeSet;

/// A test function and the requirements that it cites, with commas between.
pub(crate) type Cited = (fn(), &'static str);

const LIST: &str = include_str!("requirements.txt");

/// A requirement: its id and the reason why no row cites it.
#[derive(Debug, PartialEq, Eq)]
struct Requirement<'a> {
    id: &'a str,
    reason: Option<&'a str>,
}

/// Reads the list: `9111 4.2.3-1 Its words.`, perhaps with `- a reason` in the next line. Faults are told.
fn read<'a>(list: &'a str, faults: &mut Vec<String>) -> Vec<Requirement<'a>> {
    let mut found: Vec<Requirement<'_>> = Vec::new();
    for (number, line) in list.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let mut fault = |what: &str| faults.push(format!("line {}: {what}: {line}", number + 1));
        if let Some(reason) = line.strip_prefix('-') {
            match found.last_mut() {
                _ if reason.trim().is_empty() => fault("an empty reason"),
                Some(last) if last.reason.is_none() => last.reason = Some(reason.trim()),
                Some(_) => fault("a second reason"),
                None => fault("a reason for nothing"),
            }
            continue;
        }
        let id = line.match_indices(' ').nth(1).map(|(end, _)| &line[..end]).filter(|id| is_id(id));
        match id {
            Some(id) if found.iter().any(|had| had.id == id) => fault("twice"),
            Some(id) => found.push(Requirement { id, reason: None }),
            None => fault("neither a requirement nor a reason"),
        }
    }
    found
}

/// `9111 4.2.3-1`, `9111 3-1.2`.
fn is_id(id: &str) -> bool {
    let numbers = |text: &str| text.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    id.split_once(' ')
        .and_then(|(document, rest)| Some((document, rest.split_once('-')?)))
        .is_some_and(|(document, (section, number))| numbers(document) && numbers(section) && numbers(number))
}

/// Everything that is wrong with a list and what is cited of it.
fn faults(list: &str, cites: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    let requirements = read(list, &mut faults);
    let cited: BTreeSet<&str> = cites.iter().flat_map(|cites| ids(cites)).collect();
    for requirement in &requirements {
        match (cited.contains(requirement.id), requirement.reason) {
            (false, None) => faults.push(format!("{} has neither a row nor a reason", requirement.id)),
            (true, Some(_)) => faults.push(format!("{} has a row and a reason", requirement.id)),
            (true, None) | (false, Some(_)) => {}
        }
    }
    let unknown = cited.iter().filter(|id| !requirements.iter().any(|requirement| requirement.id == **id));
    faults.extend(unknown.map(|id| format!("{id} is cited and not in the list")));
    faults
}

fn ids(cites: &str) -> impl Iterator<Item = &str> {
    cites.split(',').map(str::trim).filter(|id| !id.is_empty())
}

#[test]
fn each_requirement_has_a_row_or_a_reason() {
    let rows: Vec<&str> = crate::TABLES.iter().flat_map(|table| table()).map(|row| row.cites).collect();
    let functions = crate::FUNCTIONS.iter().flat_map(|functions| functions.iter()).map(|(_, cites)| *cites);
    let cites: Vec<&str> = rows.iter().copied().chain(functions.clone()).collect();
    let requirements = read(LIST, &mut Vec::new());
    let reasons = requirements.iter().filter(|requirement| requirement.reason.is_some()).count();
    let (all, rows, functions) = (requirements.len(), rows.len(), functions.count());
    println!("{all} requirements, {rows} rows, {functions} functions, {reasons} reasons");
    let faults = faults(LIST, &cites);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_broken_list_is_found() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("# head\n\n9111 3-1 It MUST.\n", &["9111 3-1"], &[]),
        ("9111 3-1 It MUST.\n- a reason\n9111 3-1.1 this\n", &["9111 3-1.1"], &[]),
        ("9111 3-1 It MUST.\n9110 13.2.2-2 It MUST NOT.\n", &["9110 13.2.2-2, 9111 3-1", ""], &[]),
        ("9111 3-1 It MUST.\n", &[], &["9111 3-1 has neither a row nor a reason"]),
        ("9111 3-1 It MUST.\n- a reason\n", &["9111 3-1"], &["9111 3-1 has a row and a reason"]),
        ("9111 3-1 It MUST.\n", &["9111 3-1", "9111 3-2"], &["9111 3-2 is cited and not in the list"]),
        (
            "9111 3-1 It MUST.\n",
            &["9111 3-1 9111 3-2", "9111 3-1"],
            &["9111 3-1 9111 3-2 is cited and not in the list"],
        ),
        ("9111 3-1 It MUST.\n9111 3-1 Again.\n", &["9111 3-1"], &["line 2: twice: 9111 3-1 Again."]),
        ("- a reason\n", &[], &["line 1: a reason for nothing: - a reason"]),
        ("9111 3-1 It MUST.\n-\n", &["9111 3-1"], &["line 2: an empty reason: -"]),
        ("9111 3-1 It MUST.\n- one\n- two\n", &[], &["line 3: a second reason: - two"]),
        ("It MUST be so.\n", &[], &["line 1: neither a requirement nor a reason: It MUST be so."]),
        ("9111 3- It MUST.\n", &[], &["line 1: neither a requirement nor a reason: 9111 3- It MUST."]),
        ("", &["9111 3-1"], &["9111 3-1 is cited and not in the list"]),
    ];
    for (list, cites, want) in cases {
        assert_eq!(faults(list, cites), *want, "{list:?} {cites:?}");
    }
}

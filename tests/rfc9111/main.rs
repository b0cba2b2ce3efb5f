//! RFC 9111, and what of RFC 9110 a cache can't do without, requirement by requirement.
//!
//! `requirements.txt` lists each sentence that binds, `requirements.py` compares it with the RFCs, and a test holds that each
//! is cited by a row or a function here, or has a written reason why not.

#![cfg(test)]
#![allow(clippy::too_many_lines, reason = "tables are as long as they are")]

#[path = "../support/mod.rs"]
mod support;

mod conditional;
mod constructing;
mod directives;
mod freshness;
mod head;
mod invalidation;
mod methods;
mod partial;
mod requirements;
mod status;
mod storing;
mod table;
mod validation;

use requirements::Cited;
use table::Row;

/// Makes a test of each table, and the list of all of them.
macro_rules! tables {
    ($($name:ident = $rows:path),* $(,)?) => {
        const TABLES: &[fn() -> Vec<Row>] = &[$($rows),*];
        $(
            #[tokio::test]
            async fn $name() {
                table::holds(&$rows()).await;
            }
        )*
    };
}

tables! {
    delta_seconds = storing::section_1_2_2,
    storing_responses = storing::section_3,
    explicit_caching = storing::section_3_explicit,
    storing_fields = storing::section_3_1,
    updating_fields = storing::section_3_2,
    authenticated = storing::section_3_5,
    constructing_responses = constructing::section_4,
    age_writes_and_choice = constructing::section_4_more,
    vary = constructing::section_4_1,
    heuristics = freshness::section_4_2_2,
    stale = freshness::section_4_2_4,
    expires = freshness::section_5_3,
    asking_whether_it_holds = validation::section_4_3_1,
    being_asked_whether_it_holds = validation::section_4_3_2,
    answers_to_validation = validation::section_4_3_3,
    freshening = validation::section_4_3_4,
    freshening_by_head = head::section_4_3_5,
    invalidating = invalidation::section_4_4,
    invalidating_others = invalidation::section_4_4_others,
    cache_control = directives::section_5_2,
    response_directives = directives::section_5_2_2,
    head = head::section_9_3_2,
    methods = methods::section_9_3,
    tags = conditional::section_13_1_2,
    modification_dates = conditional::section_13_1_3,
    if_range = conditional::section_13_1_5,
    when_conditions_count = conditional::section_13_2,
    ranges = partial::section_14,
    part_of_a_whole = partial::section_15_3_7,
    incomplete = partial::section_3_3,
    combining = partial::section_3_4,
    asking_with_a_part = partial::parts_in_conditions,
    statuses = status::section_15,
}

/// What the tests that are no rows cite.
const FUNCTIONS: &[&[Cited]] =
    &[storing::FUNCTIONS, freshness::FUNCTIONS, methods::FUNCTIONS, partial::FUNCTIONS, status::FUNCTIONS];

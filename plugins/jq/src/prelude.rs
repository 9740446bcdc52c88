//! The definitions of jq's own library (`map`, `select`, ...). To compile a usual
//! program with all of them takes fourteen times as long as with those that it
//! can mean, which are found by their names.

use jaq_core::load::parse::Def;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// What reaches for something that a plugin does not have.
const ABSENT: &[&str] = &["env", "halt", "halt_error", "input", "inputs"];

thread_local! {
    static READ: RefCell<Option<Prelude>> = const { RefCell::new(None) };
}

/// All definitions, each with those that it needs.
struct Prelude {
    definitions: Vec<Def>,
    /// By name, since a program's words are all that is known of it.
    needed: BTreeMap<&'static str, BTreeSet<usize>>,
}

/// Reads the library, once.
pub(crate) fn prepare() {
    READ.set(Some(Prelude::read()));
}

/// The definitions that `program` can mean, in their order.
pub(crate) fn definitions(program: &str) -> Vec<Def> {
    READ.with_borrow_mut(|read| read.get_or_insert_with(Prelude::read).of(program))
}

pub(crate) fn is_absent(name: &str) -> bool {
    ABSENT.contains(&name)
}

impl Prelude {
    fn read() -> Self {
        let all = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let definitions: Vec<Def> = all.filter(|definition| !is_absent(definition.name)).collect();
        let mut needed: BTreeMap<&'static str, BTreeSet<usize>> = BTreeMap::new();
        // A definition means earlier ones and itself, so that those are known.
        for (at, definition) in definitions.iter().enumerate() {
            let mut own = BTreeSet::from([at]);
            let body = format!("{:?}", definition.body);
            own.extend(words(&body).filter_map(|word| needed.get(word)).flatten());
            needed.entry(definition.name).or_default().extend(own);
        }
        Self { definitions, needed }
    }

    fn of(&self, program: &str) -> Vec<Def> {
        let meant: BTreeSet<usize> =
            words(program).filter_map(|word| self.needed.get(word)).flatten().copied().collect();
        meant.into_iter().map(|at| self.definitions[at].clone()).collect()
    }
}

/// Whatever may be the name of a definition: some are in strings, and do no harm.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '@')).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(program: &str, expected: &[&str]) {
        let names: Vec<&str> = definitions(program).iter().map(|definition| definition.name).collect();
        assert_eq!(names, expected, "{program}");
    }

    #[test]
    fn a_program_gets_what_it_can_mean() {
        check(".a", &[]);
        check("map(.a)", &["map"]);
        check("[.[] | select(.a)]", &["empty", "select"]);
        check("@json", &["@json"]);
        check("halt", &[]);
    }
}

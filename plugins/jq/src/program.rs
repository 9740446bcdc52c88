//! A program: read, compiled, run on one input.

use crate::prelude;
use hookyard_plugin::log;
use jaq_core::compile::Undefined;
use jaq_core::data::JustLut;
use jaq_core::load::{Arena, Error, File, Loader, span};
use jaq_core::native::{Filter as Named, run};
use jaq_core::{Ctx, Native, Vars, compile, load, unwrap_valr};
use jaq_json::Val;
use std::mem::ManuallyDrop;

type Data = JustLut<Val>;

/// A compiled program.
///
/// Never dropped: the memory ends with the call.
pub(crate) struct Program(ManuallyDrop<compile::Filter<Native<Data>>>);

impl Program {
    /// Compiles `code`, or says where it is wrong: `program:1:7: ...`.
    pub(crate) fn compile(code: &str) -> Result<Self, String> {
        let arena = Arena::default();
        let loader = Loader::new(prelude::definitions(code));
        let modules = loader.load(&arena, File { code, path: () }).map_err(|errors| unreadable(code, errors))?;
        let compiler = compile::Compiler::default().with_funs(functions()).with_global_vars(["$message"]);
        compiler.compile(modules).map(ManuallyDrop::new).map(Self).map_err(|errors| undefined(code, errors))
    }

    /// What it makes of `input`.
    pub(crate) fn run(&self, input: Val, message: Val) -> Result<Vec<Val>, String> {
        let context = Ctx::<Data>::new(&self.0.lut, Vars::new([message]));
        let outputs = self.0.id.run((context, input)).map(unwrap_valr);
        outputs.collect::<Result<_, _>>().map_err(|error| format!("program: {}", plain(error.into_val())))
    }
}

/// Text as it is, so that `error("no")` says no and not "no".
fn plain(thrown: Val) -> String {
    match thrown {
        Val::TStr(text) => String::from_utf8_lossy(&text).into_owned(),
        other => other.to_string(),
    }
}

/// jq's functions in Rust, without those that reach for what is not there;
/// `debug` writes to the step's log.
fn functions() -> impl Iterator<Item = Named<Native<Data>>> {
    let own: Named<Native<Data>> = run(("debug_empty", Box::default(), |given| {
        log::debug(given.1.to_string());
        Box::new(std::iter::empty())
    }));
    let all = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    all.filter(|(name, ..)| !prelude::is_absent(name) && *name != "debug_empty").chain([own])
}

fn unreadable(code: &str, errors: load::Errors<&str, ()>) -> String {
    let found = errors.into_iter().find(|(file, _)| file.code == code).map(|(_, error)| error);
    match found {
        Some(Error::Lex(errors)) => told(code, errors.first().map(|(expected, at)| (expected.as_str(), *at))),
        Some(Error::Parse(errors)) => told(code, errors.first().map(|(expected, at)| (expected.as_str(), *at))),
        Some(Error::Io(imports)) => match imports.first() {
            Some((at, _)) => format!("{}: there are no modules to import", place(code, at)),
            None => "program: there are no modules to import".to_owned(),
        },
        None => "program: cannot be read".to_owned(),
    }
}

fn told(code: &str, error: Option<(&str, &str)>) -> String {
    let Some((expected, at)) = error else { return "program: cannot be read".to_owned() };
    let found = match at.chars().next() {
        Some(_) => format!("`{}`", at.split_whitespace().next().unwrap_or_default()),
        None => "the end".to_owned(),
    };
    format!("{}: expected {expected}, found {found}", place(code, at))
}

fn undefined(code: &str, errors: compile::Errors<&str, ()>) -> String {
    let first = errors.into_iter().flat_map(|(_, errors)| errors).next();
    let Some((name, kind)) = first else { return "program: cannot be compiled".to_owned() };
    let kind = match kind {
        Undefined::Filter(arity) => format!("filter `{name}` with {arity} arguments"),
        other => format!("{} `{name}`", other.as_str()),
    };
    format!("{}: there is no {kind}", place(code, name))
}

/// Where `part` begins, which is a part of `code`.
fn place(code: &str, part: &str) -> String {
    let start = span(code, part).start;
    let Some(before) = code.get(..start) else { return "program".to_owned() };
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("program:{line}:{column}")
}

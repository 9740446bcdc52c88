//! Makes complete plugins of a few lines of WebAssembly text: `plugin.wat` with
//! what a case says, and with a harmless default for what it does not say.
//!
//! Memory is laid out here, so that a case can return what no compiler would:
//! a record is a list of words at an address that is known beforehand.

use hookyard::domain::plugin::Job;

/// Where the data begins: a pointer to below is a null pointer gone wrong.
const START: u32 = 1_024;
const PAGE: u32 = 65_536;

/// Moves on and never gives back; asks for more memory when there is none.
const BUMP: &str = "(local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $next (i32.add (local.get $at) (local.get $size)))
    (block $enough
        (br_if $enough (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
        (br_if $enough (i32.ne (i32.const -1) (memory.grow (i32.add (i32.const 1)
            (i32.div_u (i32.sub (global.get $next) (i32.mul (memory.size) (i32.const 65536))) (i32.const 65536))))))
        unreachable)
    (local.get $at)";

/// The data of a plugin's memory.
#[derive(Default)]
pub(super) struct Image(Vec<u8>);

impl Image {
    /// Its address, on a multiple of four.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> u32 {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        let at = START + u32::try_from(self.0.len()).expect("a case is small");
        self.0.extend_from_slice(bytes);
        at
    }

    pub(super) fn words(&mut self, words: &[u32]) -> u32 {
        self.bytes(words.iter().map(|word| word.to_le_bytes()).collect::<Vec<_>>().as_flattened())
    }

    /// Address and length.
    pub(super) fn text(&mut self, text: &str) -> [u32; 2] {
        [self.bytes(text.as_bytes()), u32::try_from(text.len()).expect("a case is small")]
    }

    /// A list of records of equal size: address and length.
    pub(super) fn list(&mut self, records: &[Vec<u32>]) -> [u32; 2] {
        [self.words(&records.concat()), u32::try_from(records.len()).expect("a case is small")]
    }
}

/// One of the examples that a plugin brings along.
#[derive(Clone)]
pub(super) struct Example {
    /// The discriminant of the contract's `job`: there are three.
    pub(super) job: u32,
    pub(super) config: String,
    pub(super) input: String,
    pub(super) output: String,
}

/// What a plugin says of itself.
pub(super) struct Description {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) summary: String,
    pub(super) schema: String,
    pub(super) capabilities: Vec<String>,
    pub(super) examples: Vec<Example>,
}

/// A function that the core module imports.
struct Lowered {
    name: &'static str,
    /// `(canon lower ...)` or `(canon resource.drop ...)`
    canon: String,
    /// Parameters and results of the core function.
    signature: &'static str,
}

/// A plugin in the making.
pub(super) struct Plugin {
    job: Job,
    pub(super) image: Image,
    pub(super) description: Description,
    imports: String,
    lowered: Vec<Lowered>,
    fields: String,
    realloc: String,
    bodies: Vec<(&'static str, String)>,
    /// The job's export, when it is not what the contract says.
    export: Option<String>,
}

impl Plugin {
    /// Does its job and nothing else: passes on, keeps, maps to nothing.
    pub(super) fn new(job: Job) -> Self {
        let description = Description {
            name: "case".to_owned(),
            version: "1".to_owned(),
            summary: "A case of the hostile set.".to_owned(),
            schema: "{}".to_owned(),
            capabilities: Vec::new(),
            examples: Vec::new(),
        };
        Self {
            job,
            image: Image::default(),
            description,
            imports: String::new(),
            lowered: Vec::new(),
            fields: String::new(),
            realloc: BUMP.to_owned(),
            bodies: Vec::new(),
            export: None,
        }
    }

    /// The instructions of `function`: `describe`, `check`, `map`, `keep`,
    /// `transform`, `describe-post` or `transform-post`.
    pub(super) fn body(mut self, function: &'static str, body: impl Into<String>) -> Self {
        self.bodies.push((function, body.into()));
        self
    }

    /// The instructions of its job's function.
    pub(super) fn at_work(self, body: impl Into<String>) -> Self {
        let function = function(self.job);
        self.body(function, body)
    }

    /// Its job's function answers with the record at this address.
    pub(super) fn answers(self, address: u32) -> Self {
        self.at_work(format!("i32.const {}", address.cast_signed()))
    }

    pub(super) fn realloc(mut self, body: impl Into<String>) -> Self {
        self.realloc = body.into();
        self
    }

    /// More fields of the core module: functions, globals, tables, a start.
    pub(super) fn fields(mut self, fields: impl AsRef<str>) -> Self {
        self.fields.push_str(fields.as_ref());
        self
    }

    /// Imports of the component, or other definitions before its modules.
    pub(super) fn imports(mut self, imports: impl AsRef<str>) -> Self {
        self.imports.push_str(imports.as_ref());
        self
    }

    /// `function` of an imported instance, called `name` by the core module.
    pub(super) fn calls(self, name: &'static str, function: &str, signature: &'static str) -> Self {
        let canon = format!(
            r#"(canon lower (func {function}) (memory (core memory $room "memory")) (realloc (core func $room "realloc")))"#
        );
        self.canon(name, canon, signature)
    }

    /// Any canonical function, called `name` by the core module.
    pub(super) fn canon(mut self, name: &'static str, canon: impl Into<String>, signature: &'static str) -> Self {
        self.lowered.push(Lowered { name, canon: canon.into(), signature });
        self
    }

    /// Another export instead of its job's.
    pub(super) fn export(mut self, export: impl Into<String>) -> Self {
        self.export = Some(export.into());
        self
    }

    /// The component.
    pub(super) fn build(self) -> Vec<u8> {
        let text = self.text();
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
    }

    fn text(mut self) -> String {
        let defaults = self.defaults();
        let body = |function: &str| {
            let said = self.bodies.iter().rev().find(|(name, _)| *name == function).map(|(_, body)| body.clone());
            let default = || defaults.iter().find(|(name, _)| *name == function).map(|(_, body)| body.clone());
            said.or_else(default).unwrap_or_default()
        };
        let mut text = include_str!("plugin.wat").to_owned();
        for function in ["describe", "check", "map", "keep", "transform", "describe-post", "transform-post"] {
            text = text.replace(&format!("{{{function}}}"), &body(function));
        }
        let heap = START + u32::try_from(self.image.0.len()).expect("a case is small");
        let lowered = |show: &dyn Fn(&Lowered) -> String| self.lowered.iter().map(show).collect::<Vec<_>>().join("\n");
        for (place, what) in [
            ("imports", self.imports.clone()),
            ("pages", (heap / PAGE + 2).to_string()),
            ("heap", heap.next_multiple_of(16).to_string()),
            ("realloc", self.realloc.clone()),
            ("lowered", lowered(&|Lowered { name, canon, .. }| format!("(core func $host-{name} {canon})"))),
            ("core-exports", lowered(&|Lowered { name, .. }| format!(r#"(export "{name}" (func $host-{name}))"#))),
            (
                "core-imports",
                lowered(&|Lowered { name, signature, .. }| {
                    format!(r#"(import "host" "{name}" (func ${name} {signature}))"#)
                }),
            ),
            ("data", data(&self.image.0)),
            ("fields", self.fields.clone()),
            ("job", self.export.clone().unwrap_or_else(|| export(self.job))),
        ] {
            text = text.replace(&format!("{{{place}}}"), &what);
        }
        text
    }

    /// What each function does that the case says nothing of.
    fn defaults(&mut self) -> Vec<(&'static str, String)> {
        let Self { image, description, .. } = self;
        let described = description.place(image);
        let nothing = image.words(&[0; 16]);
        let ([post, post_len], [body, body_len]) = (image.text("POST"), image.text("{}"));
        let message = image.words(&[0, post, post_len, 0, 0, 0, 0, 0, body, body_len]);
        let constant = |address: u32| format!("i32.const {address}");
        vec![
            ("describe", constant(described)),
            ("check", constant(nothing)),
            ("map", constant(nothing)),
            ("keep", constant(nothing)),
            ("transform", constant(message)),
        ]
    }
}

impl Description {
    /// Puts the record into memory.
    fn place(&self, image: &mut Image) -> u32 {
        let texts = [&self.name, &self.version, &self.summary, &self.schema].map(|text| image.text(text));
        let capabilities: Vec<Vec<u32>> = self.capabilities.iter().map(|name| image.text(name).to_vec()).collect();
        let capabilities = image.list(&capabilities);
        let examples: Vec<Vec<u32>> = self.examples.iter().map(|example| example.place(image)).collect();
        let examples = image.list(&examples);
        image.words(&[texts.as_flattened(), &capabilities, &examples].concat())
    }
}

impl Example {
    fn place(&self, image: &mut Image) -> Vec<u32> {
        let name = image.text("an example");
        let texts = [&self.config, &self.input, &self.output].map(|text| image.text(text));
        [&name[..], &[self.job], texts.as_flattened()].concat()
    }
}

fn function(job: Job) -> &'static str {
    match job {
        Job::Mapper => "map",
        Job::Filter => "keep",
        Job::Transformer => "transform",
    }
}

/// The lifted function and its interface, as the contract has them.
fn export(job: Job) -> String {
    let (interface, parameters, result) = match job {
        Job::Mapper => ("mapper", r#"(param "request" $request)"#, "(list $draft)"),
        Job::Filter => ("filter", r#"(param "event" $event)"#, "$verdict"),
        Job::Transformer => ("transformer", r#"(param "event" $event) (param "message" $message)"#, "$message"),
    };
    let function = function(job);
    let post = if job == Job::Transformer { r#"(post-return (core func $code "transform-post"))"# } else { "" };
    format!(
        r#"(func $work {parameters} (param "config" string) (result (result {result} (error $refusal)))
            (canon lift (core func $code "{function}") (memory (core memory $room "memory")) (realloc (core func $room "realloc")) {post}))
        (instance $work (export "{function}" (func $work)))
        (export "hookyard:plugin/{interface}@0.1.0" (instance $work))"#
    )
}

fn data(bytes: &[u8]) -> String {
    let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!(r#"(data (i32.const {START}) "{escaped}")"#)
}

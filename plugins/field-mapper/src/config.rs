//! The configuration: its shape, and what is wrong with one of the right shape.

use crate::convert::Conversions;
use crate::path::{Path, Root, Segment};
use crate::when::When;
use hookyard_plugin::Issue;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// What the tenant writes.
#[derive(Debug, Deserialize)]
#[serde(from = "ConfigForm")]
pub struct Config {
    pub(crate) main: Mapping,
    /// Further events of the same request.
    also: Vec<Also>,
}

/// What one event, or the body of a message, is made of.
#[derive(Debug)]
pub(crate) struct Mapping {
    pub(crate) event_type: Option<Value>,
    pub(crate) subject: Option<Value>,
    pub(crate) account: Option<Value>,
    pub(crate) tags: Vec<Value>,
    pub(crate) rules: Vec<Rule>,
}

/// One more event, if a condition holds.
#[derive(Debug, Deserialize)]
#[serde(from = "AlsoForm")]
struct Also {
    when: Option<When>,
    mapping: Mapping,
}

/// Where a value goes, and the value.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Form")]
pub(crate) struct Rule {
    pub(crate) to: Path,
    pub(crate) value: Value,
}

/// Where a value comes from, and what is done to it.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Form")]
pub(crate) struct Value {
    pub(crate) origin: Origin,
    pub(crate) default: Option<Box<RawValue>>,
    pub(crate) required: bool,
    pub(crate) convert: Conversions,
}

#[derive(Debug)]
pub(crate) enum Origin {
    From(Path),
    Const(Box<RawValue>),
}

/// As it is written: serde cannot both flatten a mapping into something else
/// and refuse unknown fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigForm {
    #[serde(default, rename = "type")]
    event_type: Option<Value>,
    #[serde(default)]
    subject: Option<Value>,
    #[serde(default)]
    account: Option<Value>,
    #[serde(default)]
    tags: Vec<Value>,
    rules: Vec<Rule>,
    #[serde(default)]
    also: Vec<Also>,
}

impl From<ConfigForm> for Config {
    fn from(form: ConfigForm) -> Self {
        let ConfigForm { event_type, subject, account, tags, rules, also } = form;
        Self { main: Mapping { event_type, subject, account, tags, rules }, also }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AlsoForm {
    #[serde(default)]
    when: Option<When>,
    #[serde(default, rename = "type")]
    event_type: Option<Value>,
    #[serde(default)]
    subject: Option<Value>,
    #[serde(default)]
    account: Option<Value>,
    #[serde(default)]
    tags: Vec<Value>,
    #[serde(default)]
    rules: Vec<Rule>,
}

impl From<AlsoForm> for Also {
    fn from(form: AlsoForm) -> Self {
        let AlsoForm { when, event_type, subject, account, tags, rules } = form;
        Self { when, mapping: Mapping { event_type, subject, account, tags, rules } }
    }
}

/// A rule or a value as it is written, for the same reason.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    #[serde(default)]
    to: Option<Path>,
    #[serde(default)]
    from: Option<Path>,
    #[serde(default, rename = "const", deserialize_with = "present")]
    constant: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "present")]
    default: Option<Box<RawValue>>,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    convert: Conversions,
}

/// A field that is there, be it `null`.
pub(crate) fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

impl TryFrom<Form> for Rule {
    type Error = &'static str;

    fn try_from(mut form: Form) -> Result<Self, Self::Error> {
        let to = form.to.take().ok_or("missing field `to`")?;
        if to.root != Root::Document {
            return Err("`to` cannot begin with $");
        }
        if !matches!(to.segments.first(), Some(Segment::Key(_))) {
            return Err("`to` begins with a name: what the rules build is an object");
        }
        let value = form.try_into()?;
        Ok(Self { to, value })
    }
}

impl TryFrom<Form> for Value {
    type Error = &'static str;

    fn try_from(form: Form) -> Result<Self, Self::Error> {
        if form.to.is_some() {
            return Err("`to` has no meaning outside `rules`");
        }
        let origin = match (form.from, form.constant) {
            (Some(path), None) => Origin::From(path),
            (None, Some(constant)) => Origin::Const(constant),
            (Some(_), Some(_)) => return Err("`from` and `const` exclude each other"),
            (None, None) => return Err("missing field `from` or `const`"),
        };
        Ok(Self { origin, default: form.default, required: form.required, convert: form.convert })
    }
}

impl Config {
    /// Every mapping with its condition, and with what the paths of its parts
    /// begin with.
    pub(crate) fn mappings(&self) -> impl Iterator<Item = (String, Option<&When>, &Mapping)> {
        let also = self.also.iter().enumerate();
        let also = also.map(|(index, also)| (format!("also[{index}]."), also.when.as_ref(), &also.mapping));
        std::iter::once((String::new(), None, &self.main)).chain(also)
    }
}

/// Rules that cannot both have their way. `place` is what their paths begin
/// with.
pub(crate) fn collisions(place: &str, rules: &[Rule]) -> Vec<Issue> {
    let mut issues = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let earlier = rules[..index].iter().position(|other| collide(&rule.to.segments, &other.to.segments));
        if let Some(earlier) = earlier {
            let other = &rules[earlier].to.text;
            let message = format!("`{}` collides with `{other}` of {place}rules[{earlier}]", rule.to.text);
            issues.push(Issue::at(format!("{place}rules[{index}].to"), message));
        }
    }
    issues
}

/// One is the other or inside it, or they want a list and an object in the same
/// place.
fn collide(a: &[Segment], b: &[Segment]) -> bool {
    for (a, b) in a.iter().zip(b) {
        match (a, b) {
            (Segment::Each, Segment::Each) => {}
            _ => match (in_list(a), in_list(b)) {
                (false, false) if a != b => return false,
                (true, true) if a.index() != b.index() && a.index().is_some() && b.index().is_some() => {
                    return false;
                }
                (false, false) | (true, true) => {}
                (true, false) | (false, true) => return true,
            },
        }
    }
    true
}

/// Whether a `to` with this segment makes a list. The same is asked in `put`.
fn in_list(segment: &Segment) -> bool {
    *segment == Segment::Each || segment.index().is_some()
}

#[cfg(test)]
mod tests {
    use crate::FieldMapper;
    use hookyard_plugin::native;

    #[track_caller]
    fn check(config: &str, expected: &str) {
        let got = match native::check::<FieldMapper>(config) {
            Ok(()) => "ok".to_owned(),
            Err(issues) => issues.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        };
        // Where serde says the same once more, by line and column.
        let got = got.split(" at line ").next().unwrap();
        assert_eq!(got, expected, "{config}");
    }

    #[track_caller]
    fn check_targets(targets: &[&str], expected: &str) {
        let rules: Vec<_> = targets.iter().map(|to| hookyard_plugin::json!({"to": to, "const": 1})).collect();
        check(&hookyard_plugin::json!({"rules": rules}).to_string(), expected);
    }

    #[test]
    fn a_mistake_is_named() {
        check(r#"{"rules": []}"#, "ok");
        check(r#"{}"#, "missing field `rules`");
        check(
            r#"{"rules": [], "rule": 1}"#,
            "rule: unknown field `rule`, expected one of `type`, `subject`, `account`, `tags`, `rules`, `also`",
        );
        check(
            r#"{"rules": [{"to": "a", "form": "b"}]}"#,
            "rules[0].form: unknown field `form`, expected one of `to`, `from`, `const`, `default`, `required`, `convert`",
        );
        check(r#"{"rules": [{"to": "a"}]}"#, "rules[0]: missing field `from` or `const`");
        check(r#"{"rules": [{"from": "a"}]}"#, "rules[0]: missing field `to`");
        check(
            r#"{"rules": [{"to": "a", "from": "b", "const": null}]}"#,
            "rules[0]: `from` and `const` exclude each other",
        );
        check(r#"{"rules": [{"to": "a", "from": "b."}]}"#, "rules[0].from: path `b.`: a name is missing after a dot");
        check(r#"{"rules": [{"to": "$event.id", "from": "b"}]}"#, "rules[0]: `to` cannot begin with $");
        check(
            r#"{"rules": [{"to": "[].x", "from": "b"}]}"#,
            "rules[0]: `to` begins with a name: what the rules build is an object",
        );
        check(r#"{"rules": [], "type": {"to": "x", "const": "y"}}"#, "type: `to` has no meaning outside `rules`");
        check(
            r#"{"rules": [], "tags": [{"from": 7}]}"#,
            "tags[0].from: invalid type: integer `7`, expected a path such as `customer.phone`",
        );
    }

    #[test]
    fn a_mistake_in_a_further_event_is_named() {
        check(r#"{"rules": [], "also": [{}, {"type": {"const": "a"}, "when": {"from": "b", "exists": true}}]}"#, "ok");
        check(
            r#"{"rules": [], "also": [{"rules": [{"to": "a", "const": 1}, {"to": "b", "from": "x."}]}]}"#,
            "also[0].rules[1].from: path `x.`: a name is missing after a dot",
        );
        check(
            r#"{"rules": [], "also": [{"rules": [{"to": "a", "const": 1}, {"to": "a.b", "const": 1}]}]}"#,
            "also[0].rules[1].to: `a.b` collides with `a` of also[0].rules[0]",
        );
        check(
            r#"{"rules": [], "also": [{}, {"also": []}]}"#,
            "also[1].also: unknown field `also`, expected one of `when`, `type`, `subject`, `account`, `tags`, `rules`",
        );
        check(
            r#"{"rules": [], "when": {"from": "a", "exists": true}}"#,
            "when: unknown field `when`, expected one of `type`, `subject`, `account`, `tags`, `rules`, `also`",
        );
    }

    #[test]
    fn rules_that_collide_are_an_issue() {
        check_targets(&["a", "b", "c.d", "c.e"], "ok");
        check_targets(&["a", "a"], "rules[1].to: `a` collides with `a` of rules[0]");
        check_targets(&["a", "a.b"], "rules[1].to: `a.b` collides with `a` of rules[0]");
        check_targets(&["a.b.c", "a.b"], "rules[1].to: `a.b` collides with `a.b.c` of rules[0]");
        check_targets(&["l[].a", "l[].b"], "ok");
        check_targets(&["l[0]", "l[1]"], "ok");
        check_targets(&["l[0]", "l.0"], "rules[1].to: `l.0` collides with `l[0]` of rules[0]");
        check_targets(&["l[].a", "l.x"], "rules[1].to: `l.x` collides with `l[].a` of rules[0]");
        check_targets(&["l[].a", "l[0].a"], "rules[1].to: `l[0].a` collides with `l[].a` of rules[0]");
        check_targets(&["l[].a", "l[0].b"], "ok");
    }
}

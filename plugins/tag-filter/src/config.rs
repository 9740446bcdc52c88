//! The configuration: an expression, as a bare string or as the one member of
//! an object.

use crate::expression::Expression;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::fmt;

/// What the tenant writes.
#[derive(Debug)]
pub struct Config {
    pub(crate) expression: Expression,
    /// As it was written, for the reason of a drop.
    pub(crate) text: String,
}

impl Config {
    fn parse<E: Error>(text: &str) -> Result<Self, E> {
        Ok(Self { expression: Expression::parse(text).map_err(E::custom)?, text: text.to_owned() })
    }
}

/// The object's members.
#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Name {
    Expression,
}

/// A string that is parsed on the way, so that an error has the field's path.
struct Written(Config);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Written;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an expression such as \"paid and not test\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Written, E> {
                Config::parse(text).map(Written)
            }
        }
        from.deserialize_str(Text)
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct TextOrObject;
        impl<'de> Visitor<'de> for TextOrObject {
            type Value = Config;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("{\"expression\": \"paid and not test\"}")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Config, E> {
                Config::parse(text)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Config, A::Error> {
                let mut config = None;
                while let Some(Name::Expression) = map.next_key()? {
                    config = Some(map.next_value::<Written>()?.0);
                }
                config.ok_or_else(|| A::Error::missing_field("expression"))
            }
        }
        from.deserialize_any(TextOrObject)
    }
}

#[cfg(test)]
mod tests {
    use crate::TagFilter;
    use hookyard_plugin::native;

    #[track_caller]
    fn check(config: &str, expected: &str) {
        let got = match native::check::<TagFilter>(config) {
            Ok(()) => "ok".to_owned(),
            Err(issues) => issues[0].to_string(),
        };
        assert_eq!(got.split(" at line ").next(), Some(expected), "{config}");
    }

    #[test]
    fn an_expression_and_nothing_else() {
        check(r#""paid""#, "ok");
        check(r#"{"expression": "paid or free"}"#, "ok");
        check(
            r#"{"expression": "paid orr free"}"#,
            "expression: column 6: expected `and`, `or` or the end, found `orr`",
        );
        check(r#"{"expresion": "paid"}"#, "expresion: unknown field `expresion`, expected `expression`");
        check("{}", "missing field `expression`");
        check(
            r#"{"expression": 7}"#,
            "expression: invalid type: integer `7`, expected an expression such as \"paid and not test\"",
        );
        check("7", "invalid type: integer `7`, expected {\"expression\": \"paid and not test\"}");
    }
}

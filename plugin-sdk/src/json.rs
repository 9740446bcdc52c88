//! JSON in, with the path of what is wrong; and how the records look as JSON in
//! a plugin's examples: a document is itself, a body is its text.

use crate::Issue;
use serde::de::DeserializeOwned;

/// Reads one document.
pub(crate) fn read<T: DeserializeOwned>(json: &str) -> Result<T, Issue> {
    // Keeping track of the path costs time, so it is done only when needed.
    serde_json::from_str(json).or_else(|_| read_slowly(json))
}

#[cold]
fn read_slowly<T: DeserializeOwned>(json: &str) -> Result<T, Issue> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        // `?` stands for a place that the reader never reached.
        let path = error.path().to_string();
        Issue::at(path.trim_end_matches(['.', '?']), error.inner().to_string())
    })?;
    reader.end().map_err(|error| Issue::at("", error.to_string()))?;
    Ok(value)
}

/// A field whose text is a JSON document: written as the document.
pub(crate) mod document {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::Error};
    use serde_json::value::RawValue;

    pub(crate) fn serialize<S: Serializer>(text: &str, to: S) -> Result<S::Ok, S::Error> {
        let document: &RawValue = serde_json::from_str(text).map_err(S::Error::custom)?;
        document.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
        Ok(Box::<RawValue>::deserialize(from)?.get().to_owned())
    }
}

/// A field of bytes that an example shows as text.
pub(crate) mod text {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&String::from_utf8_lossy(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        String::deserialize(from).map(String::into_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        #[serde(rename = "rules")]
        _rules: Vec<Rule>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rule {
        #[serde(rename = "to")]
        _to: String,
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let got = match read::<Config>(text) {
            Ok(_) => "ok".to_owned(),
            Err(issue) => issue.to_string(),
        };
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn what_is_wrong_is_told_by_its_path() {
        check(r#"{"rules": [{"to": "a"}]}"#, "ok");
        check(
            r#"{"rules": [{"to": "a"}, {"to": 7}]}"#,
            "rules[1].to: invalid type: integer `7`, expected a string at line 1 column 32",
        );
        check(
            r#"{"rules": [{"to": "a", "frm": 1}]}"#,
            "rules[0].frm: unknown field `frm`, expected `to` at line 1 column 28",
        );
        check(r#"{"rule": []}"#, "rule: unknown field `rule`, expected `rules` at line 1 column 7");
        check("{}", "missing field `rules` at line 1 column 2");
        check(r#"{"rules": []} x"#, "trailing characters at line 1 column 15");
        check("", "EOF while parsing a value at line 1 column 0");
    }
}

//! Forms (`application/x-www-form-urlencoded`): what a browser sends, and some
//! gateways.

use crate::json;
use hookyard_plugin::Request;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The request's form as a JSON object: names in their order, each with its
/// text, or with a list of texts if it occurs more than once. None if the body
/// is no form.
pub(crate) fn json(request: &Request) -> Option<String> {
    let media_type = request.header_value("content-type")?.split(';').next()?;
    if !media_type.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return None;
    }
    // What `curl -d` sends says that it is a form.
    if matches!(request.body.iter().find(|byte| !byte.is_ascii_whitespace()), Some(b'{' | b'[')) {
        return None;
    }
    let mut object = Vec::with_capacity(2 * request.body.len());
    let mut before = b'{';
    for (name, texts) in fields(&request.body) {
        object.push(before);
        json::quote(&name, &mut object);
        object.push(b':');
        match &texts[..] {
            [text] => json::quote(text, &mut object),
            texts => list(texts, &mut object),
        }
        before = b',';
    }
    object.extend_from_slice(if before == b'{' { b"{}" } else { b"}" });
    Some(String::from_utf8(object).expect("it is made of pieces of text"))
}

/// The names in their order, with all that each was given.
fn fields(body: &[u8]) -> Vec<(Cow<'_, str>, Vec<Cow<'_, str>>)> {
    let mut fields: Vec<(Cow<'_, str>, Vec<Cow<'_, str>>)> = Vec::new();
    let mut known = BTreeMap::new();
    for (name, text) in form_urlencoded::parse(body) {
        let at = *known.entry(name.clone()).or_insert(fields.len());
        match fields.get_mut(at) {
            Some((_, texts)) => texts.push(text),
            None => fields.push((name, vec![text])),
        }
    }
    fields
}

fn list(texts: &[Cow<'_, str>], to: &mut Vec<u8>) {
    let mut before = b'[';
    for text in texts {
        to.push(before);
        json::quote(text, to);
        before = b',';
    }
    to.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content_type: &str, body: &[u8], expected: Option<&str>) {
        let mut request = Request { body: body.to_vec(), ..Request::post("") };
        request.headers[0].value = content_type.to_owned();
        assert_eq!(json(&request).as_deref(), expected, "{content_type} {}", body.escape_ascii());
    }

    const FORM: &str = "application/x-www-form-urlencoded";

    #[test]
    fn names_and_texts_are_decoded() {
        check(FORM, b"a=1&b=x+y&c=%2B%26%3d&d", Some(r#"{"a":"1","b":"x y","c":"+&=","d":""}"#));
        check(FORM, b"n+m=%22%0A", Some(r#"{"n m":"\"\n"}"#));
        check(FORM, b"", Some("{}"));
        check(FORM, b"&&", Some("{}"));
        check(FORM, b"a=%zz&b=%", Some(r#"{"a":"%zz","b":"%"}"#));
        // What is no text becomes some: nothing better is known of it.
        check(FORM, b"a=%ff", Some("{\"a\":\"\u{fffd}\"}"));
    }

    #[test]
    fn what_occurs_more_than_once_is_a_list() {
        check(FORM, b"a=1&b=2&a=3&a=", Some(r#"{"a":["1","3",""],"b":"2"}"#));
    }

    #[test]
    fn only_a_form_is_a_form() {
        check("Application/X-WWW-Form-URLencoded ; charset=UTF-8", b"a=1", Some(r#"{"a":"1"}"#));
        check("application/json", b"a=1", None);
        check("multipart/form-data; boundary=x", b"a=1", None);
        check("", b"a=1", None);
    }
}

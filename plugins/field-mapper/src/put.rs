//! Where a `to` leads: what is on the way is made as it is needed.

use crate::path::Segment;
use crate::value::Value;

/// Puts a value where a `to` says. False: something else is already there.
pub(crate) fn put<'a>(place: &mut Value<'a>, segments: &'a [Segment], value: Value<'a>) -> bool {
    let Some((segment, rest)) = segments.split_first() else {
        let free = matches!(place, Value::Absent);
        *place = value;
        return free;
    };
    match (segment, segment.index()) {
        (Segment::Each, _) => put_each(place, rest, value),
        (_, Some(index)) => match elements(place, index + 1, rest) {
            Some(elements) => put(&mut elements[index], rest, value),
            None => false,
        },
        (Segment::Key(key), None) => match member(place, key) {
            Some(member) => put(member, rest, value),
            None => false,
        },
        (Segment::Index(_), None) => unreachable!("`[7]` is always an index"),
    }
}

/// Element by element; one value goes to every element that is already there.
fn put_each<'a>(place: &mut Value<'a>, rest: &'a [Segment], value: Value<'a>) -> bool {
    match value.opened() {
        Value::List(values) => {
            let Some(elements) = elements(place, values.len(), rest) else {
                return false;
            };
            values.into_iter().zip(elements).all(|(value, element)| match value {
                Value::Absent => true,
                value => put(element, rest, value),
            })
        }
        one => {
            let Some(elements) = elements(place, 0, rest) else {
                return false;
            };
            elements.iter_mut().all(|element| put(element, rest, one.clone()))
        }
    }
}

/// The elements at a place, at least so many. New ones have the shape that the
/// rest of the path will need: an element that no rule fills is `{}` among
/// objects, not null.
fn elements<'p, 'a>(place: &'p mut Value<'a>, at_least: usize, rest: &[Segment]) -> Option<&'p mut Vec<Value<'a>>> {
    if matches!(place, Value::Absent) {
        *place = Value::List(Vec::new());
    }
    let Value::List(elements) = place else {
        return None;
    };
    while elements.len() < at_least {
        elements.push(match rest.first() {
            Some(segment @ Segment::Key(_)) if segment.index().is_none() => Value::Object(Vec::new()),
            _ => Value::Absent,
        });
    }
    Some(elements)
}

fn member<'p, 'a>(place: &'p mut Value<'a>, key: &'a str) -> Option<&'p mut Value<'a>> {
    if matches!(place, Value::Absent) {
        *place = Value::Object(Vec::new());
    }
    let Value::Object(members) = place else {
        return None;
    };
    let at = match members.iter().position(|(name, _)| *name == key) {
        Some(at) => at,
        None => {
            members.push((key, Value::Absent));
            members.len() - 1
        }
    };
    Some(&mut members[at].1)
}

//! From a configuration's text to its type, with the path of what is wrong.

use crate::{Issue, Plugin, Refusal, json};

/// Reads and checks, as the host has it done when a step is saved.
pub(crate) fn check<P: Plugin>(text: &str) -> Result<(), Vec<Issue>> {
    let config = read::<P>(text).map_err(|issue| vec![issue])?;
    let issues = P::check(&config);
    match issues.is_empty() {
        true => Ok(()),
        false => Err(issues),
    }
}

/// Reads only: what is called for every event has been checked when saved.
pub(crate) fn for_call<P: Plugin>(text: &str) -> Result<P::Config, Refusal> {
    read::<P>(text).map_err(|issue| Refusal::bad_config(issue.to_string()))
}

/// A step without a configuration has `{}`, and a plugin that wants none has
/// `type Config = ()`, whose JSON is `null`: the two are the same.
fn read<P: Plugin>(text: &str) -> Result<P::Config, Issue> {
    json::read(text).or_else(|issue| match text.trim() {
        "{}" => json::read("null").map_err(|_| issue),
        _ => Err(issue),
    })
}

#[cfg(test)]
mod tests {
    use crate::{Description, Event, Filter, Plugin, Refusal, Verdict, native};

    struct Plain;

    impl Plugin for Plain {
        type Config = ();

        fn describe() -> Description {
            Description::new("plain", "1.0.0", "Keeps everything.")
        }
    }

    impl Filter for Plain {
        fn keep(_: &Event, (): &()) -> Result<Verdict, Refusal> {
            Ok(Verdict::Keep)
        }
    }

    #[test]
    fn a_plugin_without_settings_takes_an_empty_configuration() {
        for none in ["{}", " {} ", "null"] {
            assert_eq!(native::check::<Plain>(none), Ok(()), "{none}");
            assert_eq!(native::keep::<Plain>(&Event::of("a"), none), Ok(Verdict::Keep), "{none}");
        }
        assert!(native::check::<Plain>(r#"{"a": 1}"#).is_err(), "nor one that means nothing");
    }
}

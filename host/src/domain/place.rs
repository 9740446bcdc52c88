//! Whose pipeline: a source's or an endpoint's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::id::{EndpointId, NotAnId, SourceId};

/// PlaceId pipeline it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum PlaceId {
    Source(SourceId),
    Endpoint(EndpointId),
}

impl fmt::Display for PlaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(id) => id.fmt(f),
            Self::Endpoint(id) => id.fmt(f),
        }
    }
}

impl FromStr for PlaceId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        text.parse().map(Self::Source).or_else(|_| text.parse().map(Self::Endpoint))
    }
}

impl From<PlaceId> for String {
    fn from(place: PlaceId) -> Self {
        place.to_string()
    }
}

impl TryFrom<String> for PlaceId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map_err(|NotAnId| format!("`{text}` is no source's and no endpoint's id"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::time::Timestamp;
    use super::*;

    #[test]
    fn whose_a_pipeline_is_survives_its_text() {
        let at = Timestamp::from_millis(7);
        for place in [PlaceId::Source(SourceId::floor(at)), PlaceId::Endpoint(EndpointId::floor(at))] {
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        assert!("plg_1".parse::<PlaceId>().is_err());
    }
}

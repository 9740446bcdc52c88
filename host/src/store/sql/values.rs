//! The house's values among those that a statement of many rows is given. What an
//! engine binds is in its `bulk`.

use std::fmt;

use serde::Serialize;

use super::bulk::Values;
use crate::domain::time::Timestamp;
use crate::store::text::{id_text, json};

impl Values {
    pub(crate) fn id(&mut self, id: &impl fmt::Display) -> &mut Self {
        self.shared(&id_text(id))
    }

    pub(crate) fn json(&mut self, value: &impl Serialize) -> &mut Self {
        self.owned(json(value))
    }

    pub(crate) fn at(&mut self, at: Timestamp) -> &mut Self {
        self.int(at.as_millis())
    }

    /// NULL where there is nothing.
    pub(crate) fn maybe<T>(
        &mut self,
        value: Option<T>,
        bind: impl for<'v> FnOnce(&'v mut Self, T) -> &'v mut Self,
    ) -> &mut Self {
        match value {
            Some(value) => bind(self, value),
            None => self.null(),
        }
    }
}

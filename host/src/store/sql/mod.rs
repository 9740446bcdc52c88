//! The store in SQL, for every engine: each compiles this folder once, with its
//! own types (`db`), its own words where dialects differ (`words`) and its own way
//! to write many rows (`bulk`). A statement stands here once, so that the engines
//! cannot come to mean different things.
//!
//! Placeholders are numbered, which both engines take. What one of them does in a
//! way of its own (opening, claiming, writing in batches) is in its own folder.

use super::{Store, bulk, claims, db, fault, words};

pub(super) mod audit;
mod catalog;
pub(super) mod changes;
pub(super) mod claimed;
pub(super) mod copy;
pub(super) mod delivery_log;
mod erase;
pub(super) mod event_log;
pub(super) mod figures;
mod health;
mod keeping;
mod keys;
mod ledger;
mod listing;
pub(super) mod meters;
mod moves;
pub(super) mod people;
mod picture;
mod plugins;
mod reads;
pub(super) mod record;
mod release;
pub(super) mod remove;
mod replays;
pub(super) mod request_log;
pub(super) mod reseal;
pub(super) mod rows;
mod searched;
pub(super) mod settle;
mod spans;
mod state;
pub(super) mod sweep;
pub(super) mod together;
pub(super) mod upkeep;
mod usage;
mod values;

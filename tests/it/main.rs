//! The integration tests: one binary, because linking wasmtime takes longer
//! than most of them.

mod access;
mod addresses;
mod audit;
mod author;
mod backup;
mod bad_input;
mod capabilities;
mod catalogue;
mod demo;
mod documents;
mod durability;
mod explain;
mod golden;
mod hostile;
mod hostile_set;
mod journey;
mod keeping;
mod keys;
mod languages;
mod layering;
mod loading;
mod matrix;
mod pace;
mod platforms;
mod preview;
mod registry;
mod retries;
mod scripts;
mod senders;
mod signatures;
mod signing;
mod steps;
mod store_contract;
mod tenancy;

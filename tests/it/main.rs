//! The integration tests: one binary, because linking wasmtime takes longer
//! than most of them.

mod addresses;
mod bad_input;
mod demo;
mod durability;
mod hostile;
mod journey;
mod layering;
mod retries;
mod signatures;
mod store_contract;
mod tenancy;

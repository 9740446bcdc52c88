//! Gives the component the memory that it starts with: its tables of Unicode
//! alone are more than what `.cargo/config.toml` gives to all. Of the two, the
//! linker takes what is said last, which is this.

/// Data, a stack of 128 KiB, the definitions as `prepare` leaves them, and a heap
/// that a usual call does not outgrow.
const INITIAL_MEMORY: usize = 24 * 64 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo::rustc-link-arg-cdylib=--initial-memory={INITIAL_MEMORY}");
    }
}

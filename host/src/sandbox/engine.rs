//! How wasmtime is set up: one function, for the process that runs plugins and
//! for the one that compiles them. Compiled code carries these settings and is
//! refused by an engine that has others.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;

use wasmtime::WasmBacktraceDetails;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OperatorCost, OptLevel, PoolingAllocationConfig,
    RegallocAlgorithm, Strategy,
};

use super::limits::Limits;
use crate::domain::budget::MAX_MEMORY;

/// Stack that a plugin may use, on a thread of [`THREAD_STACK`].
const STACK: usize = 512 << 10;

/// A plugin's stack, the host's functions that it calls, and the host's own.
pub(super) const THREAD_STACK: usize = 4 << 20;

/// Frames that a fault is explained from.
pub(super) const BACKTRACE: usize = 32;

/// Memory of an idle slot that stays with it, to be reset by writing instead of
/// by unmapping.
const KEEP_RESIDENT: usize = 256 << 10;

/// What the engine is for.
pub(super) enum Role {
    /// Instances come from a pool of memory slots.
    Run { slots: u32, memory: usize },
    /// No pool: its address space alone would exceed the compiler's limit.
    Compile,
    /// Neither a pool nor speed: the code runs once, in the compiler's process.
    Prepare,
}

impl Role {
    pub(super) fn run(threads: usize, limits: &Limits) -> Self {
        // A slot remembers whose image it has. With many for each thread, the
        // plugins in use keep theirs, and a call maps nothing: 14 us instead of
        // 60. What a slot costs is address space, and what it keeps resident.
        let slots = u32::try_from(threads * 32).unwrap_or(u32::MAX).clamp(64, 1024);
        Self::Run { slots, memory: usize::try_from(MAX_MEMORY).unwrap_or(usize::MAX).max(limits.memory) }
    }
}

/// The engine for `role`.
pub(super) fn engine(role: &Role) -> wasmtime::Result<Engine> {
    let mut config = config();
    match role {
        Role::Run { slots, memory } => {
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(*slots, *memory)));
        }
        Role::Compile => {}
        Role::Prepare => once(&mut config),
    }
    Engine::new(&config)
}

/// Names the code that an engine takes: files made for another one are passed
/// over.
pub(super) fn compatibility(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .consume_fuel(true)
        .operator_cost(costs())
        .epoch_interruption(true)
        .max_wasm_stack(STACK)
        .memory_init_cow(true)
        .guard_before_linear_memory(true)
        // The same bits on every machine: a preview is what production does.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        // Function names are in the code. What a component says of its lines is
        // untrusted input for a parser that nobody needs here.
        .wasm_backtrace_max_frames(NonZeroUsize::new(BACKTRACE))
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .generate_address_map(false)
        .native_unwind_info(false)
        .parallel_compilation(true);
    proposals(&mut config);
    config
}

/// Growing is a call into the host, also when nothing comes of it: at one unit
/// each, fuel for a twentieth of a second lasted for longer than the deadline.
fn costs() -> OperatorCost {
    OperatorCost { MemoryGrow: u8::MAX, TableGrow: u8::MAX, ..OperatorCost::new() }
}

/// What the languages' compilers emit today, and nothing that is young: most
/// escapes of late came from garbage collection, threads and 64-bit memories.
fn proposals(config: &mut Config) {
    config
        .wasm_component_model(true)
        .wasm_bulk_memory(true)
        .wasm_multi_value(true)
        .wasm_reference_types(true)
        .wasm_simd(true)
        .wasm_relaxed_simd(false)
        .wasm_extended_const(true)
        .wasm_tail_call(false)
        .wasm_threads(false)
        .wasm_shared_everything_threads(false)
        .shared_memory(false)
        .gc_support(false)
        .wasm_gc(false)
        .wasm_function_references(false)
        .wasm_exceptions(false)
        // What wasmtime itself writes between two components inside a component
        // (QuickJS's are made of such) names both their memories.
        .wasm_multi_memory(true)
        .wasm_memory64(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .wasm_component_model_gc(false)
        .wasm_component_model_map(false)
        .wasm_component_model_implements(false)
        .wasm_component_model_memory64(false)
        .wasm_component_model_fixed_length_lists(false);
}

/// For code that is compiled to run once, where address space is scarce and no
/// file can be made, not even one in memory.
fn once(config: &mut Config) {
    config
        .cranelift_opt_level(OptLevel::None)
        .cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass)
        .memory_init_cow(false)
        .memory_reservation(0)
        .memory_reservation_for_growth(1 << 20)
        .memory_guard_size(64 << 10);
}

fn pool(slots: u32, memory: usize) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots * 32)
        .total_memories(slots)
        .total_tables(slots * 8)
        .max_core_instances_per_component(super::gate::MAX_CORE_INSTANCES)
        .max_memories_per_component(super::gate::MAX_MEMORIES)
        .max_tables_per_component(super::gate::MAX_TABLES)
        .max_memories_per_module(1)
        .max_tables_per_module(4)
        .table_elements(super::gate::MAX_TABLE_ELEMENTS as usize)
        .max_memory_size(memory)
        .max_unused_warm_slots(slots)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(16 << 10)
        .pagemap_scan(pagemap_scan());
    pool
}

/// The scan finds the pages that a call wrote, and only those are reset. With
/// swap active it misses pages that were swapped out, and one instance would
/// see what another wrote; then the lowest bytes are reset, and the rest is
/// given back.
fn pagemap_scan() -> Enabled {
    // A header line, then a line for each active area. No such file: no Linux,
    // or none of the machine's business is shown to us.
    match std::fs::read_to_string("/proc/swaps") {
        Ok(swaps) if swaps.lines().count() <= 1 => Enabled::Auto,
        _ => Enabled::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_process_compiles_the_other_runs() {
        let run = engine(&Role::run(2, &Limits::default())).expect("an engine with a pool");
        let compile = engine(&Role::Compile).expect("an engine without");
        assert_eq!(compatibility(&run), compatibility(&compile));
    }
}

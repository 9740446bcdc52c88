//! An allocator for plugins that live for one call: memory of a size that was
//! freed goes to whoever asks for that size next, and nothing is ever put
//! together again.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr;

/// Hands out memory by moving a mark, first through `SIZE` bytes of its own,
/// then through what it asks the host for. What is freed is kept on a list for
/// its class of sizes, and handed out again from there.
///
/// A usual allocator also splits, merges and returns memory, so that a program
/// can run for weeks. A call is over before that pays: of what the interpreter
/// behind `javascript` does in a call, a fifth was its allocator, and a tenth of
/// `field-mapper`.
///
/// ```
/// #[cfg(target_arch = "wasm32")]
/// #[global_allocator]
/// static ALLOCATOR: hookyard_plugin::CallAllocator<{ 128 * 1024 }> = hookyard_plugin::CallAllocator::new();
/// ```
pub struct CallAllocator<const SIZE: usize> {
    arena: Arena<SIZE>,
    /// The first address that was never handed out; zero before the first
    /// allocation.
    mark: Cell<usize>,
    end: Cell<usize>,
    /// The first free block of each class, which holds the address of the next
    /// one; zero where there is none.
    free: [Cell<usize>; CLASSES],
}

/// In a static of its own and not from the start of the heap: the C library
/// underneath believes that the heap is its.
#[repr(align(16))]
struct Arena<const SIZE: usize>(Cell<[u8; SIZE]>);

/// What every block is aligned to, and a multiple of.
const UNIT: usize = 16;
/// Up to here each multiple of `UNIT` is a class; beyond, a doubling has four.
const FINE: usize = 512;
const FINE_BITS: u32 = FINE.trailing_zeros();
const CLASSES: usize = FINE / UNIT + 1 + 4 * (u32::BITS - FINE_BITS) as usize;

/// Memory is asked for in pieces of at least this, because each costs a call of
/// the host.
const PIECE: usize = 256 * 1024;

/// The sizes that may stand in for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Class {
    index: usize,
    /// Bytes of each of its blocks.
    size: usize,
}

impl Class {
    /// That of blocks with at least `size` bytes; none for more than a
    /// component can have.
    fn of(size: usize) -> Option<Self> {
        if size <= FINE {
            let units = size.div_ceil(UNIT).max(1);
            return Some(Self { index: units, size: units * UNIT });
        }
        if size > isize::MAX as usize {
            return None;
        }
        let doubling = (size - 1).ilog2();
        let step = 1 << (doubling - 2);
        let steps = (size - 1 - (1 << doubling)) / step;
        let index = FINE / UNIT + 1 + 4 * (doubling - FINE_BITS) as usize + steps;
        (index < CLASSES).then_some(Self { index, size: (1 << doubling) + (steps + 1) * step })
    }
}

// SAFETY: a component of this contract has one thread.
unsafe impl<const SIZE: usize> Sync for CallAllocator<SIZE> {}

impl<const SIZE: usize> Default for CallAllocator<SIZE> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const SIZE: usize> CallAllocator<SIZE> {
    /// Nothing is handed out yet.
    pub const fn new() -> Self {
        Self {
            arena: Arena(Cell::new([0; SIZE])),
            mark: Cell::new(0),
            end: Cell::new(0),
            free: [const { Cell::new(0) }; CLASSES],
        }
    }

    /// Moves the mark over `size` bytes and says where they begin.
    fn place(&self, size: usize, align: usize) -> Option<usize> {
        loop {
            let start = self.mark.get().checked_next_multiple_of(align)?;
            let end = start.checked_add(size)?;
            if end <= self.end.get() {
                self.mark.set(end);
                return Some(start);
            }
            self.extend(size.checked_add(align)?)?;
        }
    }

    /// Goes on in the arena, then in new pages, from which the rest of the old is
    /// lost unless they follow each other.
    #[cold]
    fn extend(&self, wanted: usize) -> Option<()> {
        let arena = self.arena.0.as_ptr().expose_provenance();
        let (start, end) = match self.mark.get() {
            0 if wanted <= SIZE => (arena, arena + SIZE),
            _ => new_pages(wanted.max(PIECE)).or_else(|| new_pages(wanted))?,
        };
        if start != self.end.get() {
            self.mark.set(start);
        }
        self.end.set(end);
        Some(())
    }
}

/// Where at least `size` new bytes begin and end.
#[cfg(target_arch = "wasm32")]
fn new_pages(size: usize) -> Option<(usize, usize)> {
    const PAGE: usize = 64 * 1024;
    let pages = size.div_ceil(PAGE);
    let before = core::arch::wasm32::memory_grow(0, pages);
    (before != usize::MAX).then(|| (before * PAGE, (before + pages) * PAGE))
}

/// Nowhere but in a component is there memory to be had this way.
#[cfg(not(target_arch = "wasm32"))]
fn new_pages(_: usize) -> Option<(usize, usize)> {
    None
}

// SAFETY: what `place` answers lies in the arena or in pages that only this
// asked for, and the mark moves behind it; a block on a list was given back by
// its owner and leaves the list when it is handed out.
unsafe impl<const SIZE: usize> GlobalAlloc for CallAllocator<SIZE> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = Class::of(layout.size()) else { return ptr::null_mut() };
        let first = self.free[class.index].get();
        if first != 0 && layout.align() <= UNIT {
            let first: *mut u8 = ptr::with_exposed_provenance_mut(first);
            // SAFETY: a free block has the next one's address at its beginning.
            self.free[class.index].set(unsafe { first.cast::<usize>().read() });
            return first;
        }
        let start = self.place(class.size, layout.align().max(UNIT));
        start.map_or(ptr::null_mut(), ptr::with_exposed_provenance_mut)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let Some(class) = Class::of(layout.size()) else { return };
        let start = pointer.expose_provenance();
        if start + class.size == self.mark.get() {
            self.mark.set(start);
            return;
        }
        let next = self.free[class.index].replace(start);
        // SAFETY: the block is the caller's no longer, is large enough for an
        // address and aligned to `UNIT`.
        unsafe { pointer.cast::<usize>().write(next) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (Some(had), Some(wanted)) = (Class::of(layout.size()), Class::of(size)) else { return ptr::null_mut() };
        // What shrinks by less than half stays, and is of the smaller class from
        // then on.
        if wanted.size <= had.size && wanted.size > had.size / 2 {
            return pointer;
        }
        let start = pointer.addr();
        let is_last = start + had.size == self.mark.get();
        if is_last && start.checked_add(wanted.size).is_some_and(|end| end <= self.end.get()) {
            self.mark.set(start + wanted.size);
            return pointer;
        }
        // SAFETY: the caller promises that `size` with this alignment is a
        // layout, and that `pointer` has `layout.size()` bytes.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                ptr::copy_nonoverlapping(pointer, moved, layout.size().min(size));
                self.dealloc(pointer, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn a_class_holds_what_it_is_asked_for_and_wastes_a_quarter_at_most() {
        let mut before = Class::of(0).unwrap();
        for size in (1..20_000).chain([1 << 20, (1 << 20) + 1, u32::MAX as usize]) {
            let class = Class::of(size).unwrap();
            assert!(class.size >= size && class.size < (size + UNIT).max(size + size / 4 + 1), "{size}: {class:?}");
            assert!(class.size.is_multiple_of(UNIT));
            let in_order = if class.size == before.size { class == before } else { class.index > before.index };
            assert!(in_order, "{size}: {class:?} after {before:?}");
            before = class;
        }
        assert_eq!(Class::of(usize::MAX), None);
    }

    #[test]
    fn blocks_are_aligned_and_end_with_the_arena() {
        let allocator = CallAllocator::<256>::new();
        // SAFETY: the layouts are not empty, and nothing is used after it is freed.
        unsafe {
            let first = allocator.alloc(layout(5, 1)).addr();
            assert_eq!(first % UNIT, 0);
            assert_eq!(allocator.alloc(layout(17, 8)).addr(), first + 16);
            assert_eq!(allocator.alloc(layout(1, 64)).addr() % 64, 0);
            assert!(allocator.alloc(layout(256, 1)).is_null());
            assert!(allocator.alloc(layout(isize::MAX as usize - 15, 16)).is_null());
        }
    }

    #[test]
    fn what_is_freed_is_handed_out_again() {
        let allocator = CallAllocator::<4096>::new();
        // SAFETY: as above.
        unsafe {
            let blocks = [40, 40, 40].map(|size| allocator.alloc(layout(size, 8)));
            let _last = allocator.alloc(layout(600, 1));
            for block in blocks {
                allocator.dealloc(block, layout(40, 8));
            }
            let again = [33, 48, 40].map(|size| allocator.alloc(layout(size, 8)));
            assert_eq!(again, [blocks[2], blocks[1], blocks[0]]);
            assert!(!blocks.contains(&allocator.alloc(layout(40, 8))));
        }
    }

    #[test]
    fn what_grows_keeps_its_bytes_and_its_place_where_it_can() {
        let allocator = CallAllocator::<4096>::new();
        // SAFETY: as above.
        unsafe {
            let block = allocator.alloc(layout(20, 1));
            block.copy_from(b"twenty bytes of text".as_ptr(), 20);
            assert_eq!(allocator.realloc(block, layout(20, 1), 32), block);
            assert_eq!(allocator.realloc(block, layout(32, 1), 700), block, "it is the last one");
            let behind = allocator.alloc(layout(16, 1));
            let moved = allocator.realloc(block, layout(700, 1), 1_000);
            assert!(moved > behind);
            assert_eq!(std::slice::from_raw_parts(moved, 20), b"twenty bytes of text");
            assert_eq!(allocator.alloc(layout(650, 1)), block, "the old place is free");
            let small = allocator.realloc(moved, layout(1_000, 1), 20);
            assert_eq!(std::slice::from_raw_parts(small, 20), b"twenty bytes of text");
        }
    }
}

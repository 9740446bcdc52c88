//! An allocator for plugins that are done before they run out: it only moves
//! on, and what is freed comes back with the next call's fresh memory.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr;

/// Hands out memory by moving a mark, first through `SIZE` bytes of its own,
/// then through what it asks the host for. Freeing gives back only what was
/// handed out last.
///
/// A plugin lives for one call, so that most of what a usual allocator does is
/// wasted on it: `field-mapper` does a tenth less with this one. A plugin that
/// allocates and frees in a loop had better keep the usual one, since it would
/// reach the host's limit on memory.
///
/// ```
/// #[cfg(target_arch = "wasm32")]
/// #[global_allocator]
/// static ALLOCATOR: hookyard_plugin::BumpAllocator<{ 128 * 1024 }> = hookyard_plugin::BumpAllocator::new();
/// ```
pub struct BumpAllocator<const SIZE: usize> {
    arena: Arena<SIZE>,
    /// The first free address; zero before the first allocation.
    mark: Cell<usize>,
    end: Cell<usize>,
}

/// In a static of its own and not from the start of the heap: the C library
/// underneath believes that the heap is its.
#[repr(align(16))]
struct Arena<const SIZE: usize>(Cell<[u8; SIZE]>);

// SAFETY: a component of this contract has one thread.
unsafe impl<const SIZE: usize> Sync for BumpAllocator<SIZE> {}

impl<const SIZE: usize> Default for BumpAllocator<SIZE> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const SIZE: usize> BumpAllocator<SIZE> {
    /// Nothing is handed out yet.
    pub const fn new() -> Self {
        Self { arena: Arena(Cell::new([0; SIZE])), mark: Cell::new(0), end: Cell::new(0) }
    }

    /// Where an allocation of `layout` begins and ends, if it fits.
    fn place(&self, layout: Layout) -> Option<(usize, usize)> {
        if self.mark.get() == 0 {
            let start = self.arena.0.as_ptr().addr();
            self.mark.set(start);
            self.end.set(start + SIZE);
        }
        let start = self.mark.get().checked_next_multiple_of(layout.align())?;
        let end = start.checked_add(layout.size())?;
        (end <= self.end.get()).then_some((start, end))
    }

    /// Goes on in new pages, from which the rest of the old is lost unless they
    /// follow each other.
    #[cold]
    fn grow(&self, layout: Layout) -> bool {
        let Some(wanted) = layout.size().checked_add(layout.align()) else { return false };
        let Some((start, end)) = new_pages(wanted) else { return false };
        if start != self.end.get() {
            self.mark.set(start);
        }
        self.end.set(end);
        true
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
// asked for, and the mark moves behind it, so that nothing is handed out twice.
unsafe impl<const SIZE: usize> GlobalAlloc for BumpAllocator<SIZE> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let placed = match self.place(layout) {
            None if self.grow(layout) => self.place(layout),
            placed => placed,
        };
        let Some((start, end)) = placed else { return ptr::null_mut() };
        self.mark.set(end);
        ptr::with_exposed_provenance_mut(start)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if pointer.addr() + layout.size() == self.mark.get() {
            self.mark.set(pointer.addr());
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let start = pointer.addr();
        let is_last = start + layout.size() == self.mark.get();
        if is_last && start.checked_add(size).is_some_and(|end| end <= self.end.get()) {
            self.mark.set(start + size);
            return pointer;
        }
        if size <= layout.size() {
            return pointer;
        }
        // SAFETY: the caller promises that `size` with this alignment is a
        // layout, and that `pointer` has `layout.size()` bytes.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                ptr::copy_nonoverlapping(pointer, moved, layout.size());
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
    fn places_are_aligned_and_end_with_the_arena() {
        let allocator = BumpAllocator::<64>::new();
        let (start, end) = allocator.place(layout(5, 1)).unwrap();
        assert_eq!((start % 16, end - start), (0, 5));
        allocator.mark.set(end);
        assert_eq!(allocator.place(layout(8, 8)), Some((start + 8, start + 16)));
        assert_eq!(allocator.place(layout(59, 1)), Some((end, start + 64)));
        assert_eq!(allocator.place(layout(60, 1)), None);
        assert_eq!(allocator.place(layout(isize::MAX as usize - 15, 16)), None);
    }
}

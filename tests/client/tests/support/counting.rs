//! Counts what each thread allocates: a peer on another thread does not disturb.
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

struct Counting;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Heap {
    /// Allocations and reallocations.
    pub(crate) allocations: usize,
    /// Bytes held, less those held at the last [`reset`].
    pub(crate) live: isize,
    /// The most that was held since then.
    pub(crate) peak: isize,
}

const EMPTY: Heap = Heap {
    allocations: 0,
    live: 0,
    peak: 0,
};

thread_local! {
    static HEAP: Cell<Heap> = const { Cell::new(EMPTY) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Begins to count anew on this thread.
pub(crate) fn reset() {
    HEAP.set(EMPTY);
}

/// What this thread has done since the last [`reset`].
pub(crate) fn heap() -> Heap {
    HEAP.get()
}

fn note(allocations: usize, bytes: isize) {
    // a thread that ends frees after its counters are gone
    HEAP.try_with(|heap| {
        let mut now = heap.get();
        now.allocations += allocations;
        now.live += bytes;
        now.peak = now.peak.max(now.live);
        heap.set(now);
    })
    .ok();
}

// unsafe by its trait; it passes everything on
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, -(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, size as isize - layout.size() as isize);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

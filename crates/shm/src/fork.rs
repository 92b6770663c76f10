//! What a forked child is left with: nothing of the parent's segments.
//!
//! A child shares its parent's open file descriptions, and with them the kernel locks that say
//! "this participant lives". If it kept them, the parent's death would go unseen for as long as
//! the child runs; if it kept the mapping, two processes would act as one participant. So a
//! `pthread_atfork` handler closes the descriptors and lays anonymous memory over the mappings in
//! the child, before any of its code runs. The parent is not touched.

#![expect(unsafe_code, reason = "pthread_atfork and mmap have no safe form")]
// UNSAFETY: The child handler runs between fork and anything else in a process with one thread.
// It calls only mmap, open, dup3 and close, which are async-signal-safe, and reads a list whose
// nodes are never freed. The other handlers only take and release one flag.

use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicUsize, Ordering};

/// One thing to take from a forked child: a mapping, or a file descriptor.
#[derive(Debug)]
struct Entry {
    /// Whether a [`Guarded`] owns this entry; unused ones are taken again.
    used: AtomicBool,
    start: AtomicUsize,
    bytes: AtomicUsize,
    descriptor: AtomicI32,
    forked: AtomicBool,
    /// Set before the entry is put into the list, and never again.
    next: AtomicPtr<Entry>,
}

static ENTRIES: AtomicPtr<Entry> = AtomicPtr::new(ptr::null_mut());
static HANDLERS: Once = Once::new();

/// Whether a descriptor or a mapping is just being opened and guarded.
static OPENING: AtomicBool = AtomicBool::new(false);

/// Opens something and guards it, with no fork in between: a child that was forked before the
/// guard was there would keep what it guards.
pub(crate) fn between_forks<T>(open: impl FnOnce() -> T) -> T {
    struct Opening;

    impl Drop for Opening {
        fn drop(&mut self) {
            OPENING.store(false, Ordering::Release);
        }
    }

    install_handlers();
    wait_for_openers();
    let _opening = Opening;
    open()
}

fn install_handlers() {
    HANDLERS.call_once(|| {
        // SAFETY: the handlers are plain functions that fulfil what POSIX asks of them (above).
        let status = unsafe {
            libc::pthread_atfork(Some(wait_for_openers), Some(go_on), Some(leave_to_parent))
        };
        assert_eq!(status, 0, "no memory for a handler of forks");
    });
}

/// Runs in the parent before each fork: keeps openers out until it is done.
extern "C" fn wait_for_openers() {
    while OPENING.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
        std::thread::yield_now();
    }
}

/// Runs in the parent after each fork.
extern "C" fn go_on() {
    OPENING.store(false, Ordering::Release);
}

/// Keeps a mapping or a descriptor from a forked child for as long as it lives.
#[derive(Debug)]
pub(crate) struct Guarded(&'static Entry);

impl Guarded {
    /// Guards a mapping: in a forked child the same addresses hold private, empty memory.
    pub(crate) fn mapping(start: *mut u8, bytes: usize) -> Self {
        Self::add(start.addr(), bytes, -1)
    }

    /// Guards a file descriptor: in a forked child the same number leads to /dev/null.
    pub(crate) fn descriptor(descriptor: i32) -> Self {
        Self::add(0, 0, descriptor)
    }

    /// Whether this process is a child that was forked after the guard was made.
    pub(crate) fn lost(&self) -> bool {
        self.0.forked.load(Ordering::Relaxed)
    }

    fn add(start: usize, bytes: usize, descriptor: i32) -> Self {
        install_handlers();
        let entry = unused_entry();
        entry.forked.store(false, Ordering::Relaxed);
        entry.start.store(start, Ordering::Relaxed);
        // SYNC POINT: the child handler looks at the length first.
        entry.bytes.store(bytes, Ordering::Release);
        entry.descriptor.store(descriptor, Ordering::Release);
        Self(entry)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.0.bytes.store(0, Ordering::Relaxed);
        self.0.descriptor.store(-1, Ordering::Relaxed);
        self.0.used.store(false, Ordering::Release);
    }
}

/// An entry that nobody uses, or a new one: entries are never freed, since the child handler
/// can't wait for a lock.
fn unused_entry() -> &'static Entry {
    let mut cursor = ENTRIES.load(Ordering::Acquire);
    // SAFETY: entries are leaked, so every pointer in the list is valid for ever.
    while let Some(entry) = unsafe { cursor.as_ref() } {
        let free = entry.used.compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed);
        if free.is_ok() {
            return entry;
        }
        cursor = entry.next.load(Ordering::Relaxed);
    }
    let mut head = ENTRIES.load(Ordering::Acquire);
    let entry = Box::leak(Box::new(Entry {
        used: AtomicBool::new(true),
        start: AtomicUsize::new(0),
        bytes: AtomicUsize::new(0),
        descriptor: AtomicI32::new(-1),
        forked: AtomicBool::new(false),
        next: AtomicPtr::new(head),
    }));
    let address = ptr::from_mut(entry);
    while let Err(now) =
        ENTRIES.compare_exchange(head, address, Ordering::AcqRel, Ordering::Acquire)
    {
        head = now;
        // SAFETY: the entry is leaked, and only its atomics are used from here on.
        unsafe { &*address }.next.store(head, Ordering::Relaxed);
    }
    // SAFETY: as above.
    unsafe { &*address }
}

/// Runs in every forked child of a process that has a segment open.
extern "C" fn leave_to_parent() {
    let mut cursor = ENTRIES.load(Ordering::Acquire);
    // SAFETY: entries are leaked, so every pointer in the list is valid for ever.
    while let Some(entry) = unsafe { cursor.as_ref() } {
        if entry.used.load(Ordering::Acquire) {
            entry.forked.store(true, Ordering::Relaxed);
            let bytes = entry.bytes.load(Ordering::Acquire);
            cover(entry.start.load(Ordering::Relaxed), bytes);
            redirect(entry.descriptor.load(Ordering::Relaxed));
        }
        cursor = entry.next.load(Ordering::Relaxed);
    }
    go_on();
}

/// Lays private anonymous memory over a mapping. Its pages cost nothing until they are touched.
fn cover(start: usize, bytes: usize) {
    if bytes == 0 {
        return;
    }
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let address = ptr::with_exposed_provenance_mut(start);
    // SAFETY: the range is exactly one mapping that this process made for a segment; references
    // into it stay valid, since memory stays mapped there.
    unsafe { libc::mmap(address, bytes, protection, flags, -1, 0) };
}

/// Makes a descriptor's number lead to /dev/null: simply closed, the number could be given to
/// another file, which the segment's own drop would then close.
fn redirect(descriptor: i32) {
    if descriptor < 0 {
        return;
    }
    // SAFETY: a constant path with its terminating zero.
    let null = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    if null >= 0 {
        // SAFETY: both are open descriptors of this process, and they differ.
        unsafe { libc::dup3(null, descriptor, libc::O_CLOEXEC) };
        // SAFETY: opened above, and used no more.
        unsafe { libc::close(null) };
    } else {
        // SAFETY: an open descriptor; without /dev/null, losing the lock is what matters.
        unsafe { libc::close(descriptor) };
    }
}

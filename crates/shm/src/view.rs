//! Views: ranges of a segment at addresses of their own, which can be taken back.
//!
//! A slice in Rust can't outlive the claim that it came from. In other languages arrays can: a
//! loop variable still names the last frame while the next one is claimed. So what is handed to
//! them is a view. Once it is revoked, its addresses lead to private zeroes: whoever still reads
//! or writes there harms nobody, sees nobody else's frame, and doesn't crash.
//!
//! Revoking moves the mapping with its page tables to other addresses, so that the next view of
//! the same range costs no page faults. The addresses of the view before go back into use once
//! nobody has them: a loop over frames goes round between two ranges, with two system calls a step.

#![expect(unsafe_code, reason = "mmap, mremap and munmap have no safe form")]
// UNSAFETY: Every call gets ranges that this module reserved for one view and frees only in its
// drop. The addresses leave only as raw pointers; what is done with them is the caller's promise.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, PoisonError};

use crate::ShmError;
use crate::fork::Guarded;

const PAGE: usize = 4096;

/// Page tables are moved whole where both addresses are aligned like this.
const ALIGNMENT: usize = 2 << 20;

/// A range of a segment at addresses of its own.
#[derive(Debug)]
pub struct View {
    range: Arc<Range>,
    /// Where the range of the segment was before, for the next view to use again.
    former: Arc<Mutex<Option<Arc<Range>>>>,
}

impl View {
    /// Maps `bytes` bytes of a file from `offset`, which is a multiple of the page size.
    pub(crate) fn of_file(file: &File, offset: usize, bytes: usize) -> Result<Self, ShmError> {
        let range = Range::reserve(bytes.next_multiple_of(PAGE))?;
        range.addresses.map(file, offset)?;
        Ok(Self { range: Arc::new(range), former: Arc::default() })
    }

    /// The first byte. It stays a valid address for as long as the view lives, also when it was
    /// revoked.
    pub fn start(&self) -> NonNull<u8> {
        self.range.addresses.start
    }

    /// From now on the addresses lead to private zeroes, and the range of the segment is at those
    /// of the view that is returned.
    ///
    /// # Errors
    /// [`ShmError::Os`] when the process has no room for another mapping; the view is then as it
    /// was.
    pub fn revoke(&self) -> Result<Self, ShmError> {
        let mut former = self.former.lock().unwrap_or_else(PoisonError::into_inner);
        let range = match former.take().map(Arc::try_unwrap) {
            Some(Ok(unused)) => unused,
            _ => Range::reserve(self.range.addresses.bytes)?,
        };
        self.range.addresses.move_mapping_to(&range.addresses)?;
        *former = Some(Arc::clone(&self.range));
        Ok(Self { range: Arc::new(range), former: Arc::clone(&self.former) })
    }
}

/// Addresses that belong to one view at a time, which forked children don't get.
#[derive(Debug)]
struct Range {
    /// Goes first: addresses that are free again must not be guarded.
    _guard: Guarded,
    addresses: Addresses,
}

impl Range {
    fn reserve(bytes: usize) -> Result<Self, ShmError> {
        let addresses = Addresses::reserve(bytes)?;
        let guard = Guarded::mapping(addresses.start.as_ptr(), addresses.bytes);
        Ok(Self { _guard: guard, addresses })
    }
}

/// Addresses at which something of this process's own is always mapped.
#[derive(Debug)]
struct Addresses {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: addresses are only numbers until somebody makes a reference of them, which `View` leaves
// to its caller.
unsafe impl Send for Addresses {}
// SAFETY: as for `Send`.
unsafe impl Sync for Addresses {}

impl Addresses {
    /// Takes aligned addresses where nothing is mapped.
    fn reserve(bytes: usize) -> Result<Self, ShmError> {
        let padded = bytes + ALIGNMENT;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: asks for addresses that nobody uses.
        let taken = unsafe { libc::mmap(ptr::null_mut(), padded, libc::PROT_NONE, flags, -1, 0) };
        let Some(taken) = NonNull::new(taken).filter(|_| taken != libc::MAP_FAILED) else {
            return Err(failed("reserving addresses for a view")(io::Error::last_os_error()));
        };
        let taken = taken.cast::<u8>();
        let before = taken.as_ptr().align_offset(ALIGNMENT);
        // SAFETY: less than the alignment, by which the mapping is larger than needed.
        let start = unsafe { taken.add(before) };
        for (from, surplus) in [(taken, before), (end_of(start, bytes), ALIGNMENT - before)] {
            if surplus > 0 {
                // SAFETY: the part of the fresh mapping that the range doesn't need.
                unsafe { libc::munmap(from.as_ptr().cast(), surplus) };
            }
        }
        Ok(Self { start, bytes })
    }

    fn map(&self, file: &File, offset: usize) -> Result<(), ShmError> {
        let offset = libc::off_t::try_from(offset)
            .map_err(|_| failed("mapping a view")(io::ErrorKind::FileTooLarge.into()))?;
        let (start, file) = (self.start.as_ptr().cast(), file.as_raw_fd());
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: the addresses were reserved for a view that nobody uses yet.
        let mapped = unsafe {
            libc::mmap(start, self.bytes, protection, flags | libc::MAP_FIXED, file, offset)
        };
        if mapped == libc::MAP_FAILED {
            return Err(failed("mapping a view")(io::Error::last_os_error()));
        }
        Ok(())
    }

    /// Maps at `other` what is mapped here, and private zeroes here.
    fn move_mapping_to(&self, other: &Self) -> Result<(), ShmError> {
        self.copy_mapping_to(other)?;
        self.blank()
    }

    /// Maps at `other` what is mapped here. Whatever is here afterwards is the same memory.
    fn copy_mapping_to(&self, other: &Self) -> Result<(), ShmError> {
        let fixed = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        // With its page tables (Linux 5.13); else as a second mapping that is filled by faults,
        // which is what a length of 0 asks for.
        for (bytes, flags) in [(self.bytes, fixed | libc::MREMAP_DONTUNMAP), (0, fixed)] {
            let (from, to) = (self.start.as_ptr(), other.start.as_ptr());
            // SAFETY: `other` belongs to a view that nobody has yet; here stays mapped.
            let moved = unsafe {
                libc::mremap(from.cast(), bytes, other.bytes, flags, to.cast::<libc::c_void>())
            };
            if moved != libc::MAP_FAILED {
                return Ok(());
            }
        }
        Err(failed("moving a view (are thousands of ended arrays kept? keep copies)")(
            io::Error::last_os_error(),
        ))
    }

    /// Lays private zeroes over whatever is mapped here.
    fn blank(&self) -> Result<(), ShmError> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the addresses belong to one view, and stay mapped, readable and writable.
        let blank =
            unsafe { libc::mmap(self.start.as_ptr().cast(), self.bytes, protection, flags, -1, 0) };
        if blank == libc::MAP_FAILED {
            return Err(failed("blanking a view")(io::Error::last_os_error()));
        }
        Ok(())
    }
}

impl Drop for Addresses {
    fn drop(&mut self) {
        // SAFETY: they belong to one view, whose owner has promised to be done with it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

fn end_of(start: NonNull<u8>, bytes: usize) -> NonNull<u8> {
    // SAFETY: the range lies within one mapping.
    unsafe { start.add(bytes) }
}

fn failed(action: &str) -> impl FnOnce(io::Error) -> ShmError {
    ShmError::os(action)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use crate::{Segment, SegmentName};

    const OFFSET: usize = 8192;
    const BYTES: usize = 3 << 20;

    fn segment(test: &str) -> Segment {
        let name = SegmentName::in_namespace(&format!("view-{test}-{}", std::process::id()), "r");
        let segment = Segment::create(&name.expect("a good name"), OFFSET + BYTES, |_| ());
        let segment = segment.expect("created");
        segment.unlink().expect("only this test has it");
        segment
    }

    fn cell(segment: &Segment, offset: usize) -> &AtomicU32 {
        segment.memory().at::<AtomicU32>(offset).expect("in bounds")
    }

    #[test]
    fn a_view_shows_the_segment_until_it_is_revoked_and_zeroes_from_then_on() {
        let segment = segment("revoked");
        let last = OFFSET + BYTES - 4;
        let see = |view: &super::View, offset: usize| {
            // SAFETY: within the view, which lives; nobody writes at the same time.
            unsafe { view.start().add(offset - OFFSET).cast::<u32>().read_volatile() }
        };
        let first = segment.view(OFFSET, BYTES).expect("mapped");
        cell(&segment, OFFSET).store(1, Ordering::Relaxed);
        cell(&segment, last).store(2, Ordering::Relaxed);
        assert_eq!((see(&first, OFFSET), see(&first, last)), (1, 2));
        let second = first.revoke().expect("moved");
        assert_eq!((see(&first, OFFSET), see(&first, last)), (0, 0));
        assert_eq!((see(&second, OFFSET), see(&second, last)), (1, 2));
        // SAFETY: within the view, which lives.
        unsafe { first.start().cast::<u32>().write_volatile(7) };
        assert_eq!(
            cell(&segment, OFFSET).load(Ordering::Relaxed),
            1,
            "written into a private page"
        );
        cell(&segment, OFFSET).store(3, Ordering::Relaxed);
        assert_eq!(see(&second, OFFSET), 3);
    }

    #[test]
    fn addresses_are_used_again_when_nobody_has_them_and_not_before() {
        let segment = segment("again");
        cell(&segment, OFFSET).store(1, Ordering::Relaxed);
        let see = |view: &super::View| {
            // SAFETY: within the view, which lives; nobody writes at the same time.
            unsafe { view.start().cast::<u32>().read_volatile() }
        };
        let first = segment.view(OFFSET, BYTES).expect("mapped");
        let second = first.revoke().expect("moved");
        let third = second.revoke().expect("moved");
        assert_ne!(third.start(), first.start(), "somebody still has them");
        assert_eq!((see(&first), see(&second), see(&third)), (0, 0, 1));
        // SAFETY: within the view, which lives.
        unsafe { second.start().cast::<u32>().write_volatile(7) };
        let (addresses, _) = (second.start(), drop(second));
        let fourth = third.revoke().expect("moved");
        assert_eq!(fourth.start(), addresses);
        assert_eq!((see(&first), see(&third), see(&fourth)), (0, 0, 1));
    }

    #[test]
    fn a_view_outlives_its_segment() {
        let segment = segment("outlives");
        cell(&segment, OFFSET).store(5, Ordering::Relaxed);
        let view = segment.view(OFFSET, BYTES).expect("mapped");
        drop(segment);
        // SAFETY: within the view, which lives; nobody writes.
        assert_eq!(unsafe { view.start().cast::<u32>().read_volatile() }, 5);
    }

    #[test]
    fn views_outside_of_the_segment_or_askew_are_refused() {
        let segment = segment("outside");
        assert!(segment.view(OFFSET, BYTES + 4096).is_err());
        assert!(segment.view(OFFSET + 1, 4096).is_err());
        assert!(Segment::heap(8192).view(0, 4096).is_err());
    }
}

//! Checked access to a block of memory that other processes may write at any time.
//!
//! Only two things leave this module: references to structs made of atomics ([`Shared`]), which
//! may be shared with anybody, and raw byte ranges inside the block, which the ring's grants turn
//! into slices while the claim word says that nobody else touches them. Every offset is checked.

#![expect(
    unsafe_code,
    reason = "turning addresses of a mapping into references is what this module is for"
)]
// UNSAFETY: The only unsafe steps are the reference made in `at`, whose bounds and alignment are
// checked just before, and the `Shared` promise that types make about themselves.

use std::mem::{align_of, size_of};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64};

/// A type that may lie in memory which another process writes at any time.
///
/// # Safety
/// The type must consist of atomics only (or arrays and `repr(C)` structs of `Shared` types),
/// without padding, so that every bit pattern is valid and no plain load can race.
pub unsafe trait Shared {}

// SAFETY: an atomic integer; every bit pattern is valid.
unsafe impl Shared for AtomicU8 {}
// SAFETY: an atomic integer; every bit pattern is valid.
unsafe impl Shared for AtomicU16 {}
// SAFETY: an atomic integer; every bit pattern is valid.
unsafe impl Shared for AtomicU32 {}
// SAFETY: an atomic integer; every bit pattern is valid.
unsafe impl Shared for AtomicU64 {}
// SAFETY: an atomic integer; every bit pattern is valid.
unsafe impl Shared for AtomicI64 {}
// SAFETY: an array has no padding between its elements.
unsafe impl<T: Shared, const N: usize> Shared for [T; N] {}
// SAFETY: atomics throughout, and the size assertion beside it leaves no room for padding.
unsafe impl Shared for crate::Doorbell {}

/// Defines a `repr(C)` struct that may lie in shared memory: fields of [`Shared`] types at the
/// offsets that are written before them, of the size in brackets, without padding. The compiler
/// refuses a definition of which any of that is not true.
///
/// The struct gets a constant `FIELDS` with the offset, name and type of each field, from which
/// the layout's specification is checked.
#[macro_export]
macro_rules! shared_struct {
    (
        $(#[$doc:meta])*
        $vis:vis struct $name:ident [$bytes:literal] align $align:literal {
            $($(#[$field_doc:meta])* $offset:literal => $field:ident: $type:ty,)+
        }
    ) => {
        $(#[$doc])*
        #[repr(C, align($align))]
        #[derive(Debug)]
        $vis struct $name {
            $($(#[$field_doc])* pub(crate) $field: $type,)+
        }

        impl $name {
            /// Offset, name and type of each field, in order.
            #[cfg(test)]
            pub(crate) const FIELDS: &'static [(usize, &'static str, &'static str)] =
                &[$(($offset, stringify!($field), stringify!($type)),)+];
        }

        const _: () = {
            const fn shared<T: $crate::Shared>() {}
            $(shared::<$type>();)+
            $(assert!(::core::mem::offset_of!($name, $field) == $offset);)+
            assert!(::core::mem::size_of::<$name>() == $bytes);
            assert!(0 $(+ ::core::mem::size_of::<$type>())+ == $bytes, "padding");
        };

        // SAFETY: every field is `Shared`, and their sizes add up to the struct's: no padding.
        unsafe impl $crate::Shared for $name {}
    };
}

/// An access outside of the block: the segment is corrupt, or another process lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("offset {offset} with {bytes} bytes lies outside of the segment's {available} bytes")]
pub struct OutOfBounds {
    /// Where the access would have started, in bytes.
    pub offset: usize,
    /// How long it would have been, in bytes.
    pub bytes: usize,
    /// How long the block is, in bytes.
    pub available: usize,
}

/// A block of memory: a mapping, or a page-aligned piece of the heap.
///
/// It does not own the block; the [`Segment`](crate::Segment) that it comes from does, and hands it
/// out only by a borrow.
#[derive(Debug)]
pub struct Memory {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the block outlives its `Memory` (the constructor's promise), and is reached only through
// atomics and through ranges whose exclusive use the ring's protocol arranges.
unsafe impl Send for Memory {}
// SAFETY: as for `Send`.
unsafe impl Sync for Memory {}

impl Memory {
    /// Describes the `bytes` bytes from `start`.
    ///
    /// # Safety
    /// The block must be readable and writable, page-aligned, and stay mapped for as long as the
    /// value and what is borrowed from it are used.
    pub(crate) unsafe fn new(start: NonNull<u8>, bytes: usize) -> Self {
        Self { start, bytes }
    }

    /// The block's length in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The shared struct at `offset`.
    ///
    /// # Errors
    /// [`OutOfBounds`] when it would not lie within the block, or not at its alignment.
    pub fn at<T: Shared>(&self, offset: usize) -> Result<&T, OutOfBounds> {
        let start = self.range(offset, size_of::<T>())?;
        if !start.as_ptr().addr().is_multiple_of(align_of::<T>()) {
            return Err(OutOfBounds { offset, bytes: size_of::<T>(), available: self.bytes });
        }
        // SAFETY: in bounds and aligned (checked above), mapped for as long as `self` is borrowed,
        // and of a type that is valid for every bit pattern and shareable with other writers.
        Ok(unsafe { start.cast::<T>().as_ref() })
    }

    /// The address of the `bytes` bytes at `offset`, checked to lie within the block.
    ///
    /// # Errors
    /// [`OutOfBounds`] when they don't.
    pub fn range(&self, offset: usize, bytes: usize) -> Result<NonNull<u8>, OutOfBounds> {
        let out_of_bounds = OutOfBounds { offset, bytes, available: self.bytes };
        let end = offset.checked_add(bytes).ok_or(out_of_bounds)?;
        if end > self.bytes {
            return Err(out_of_bounds);
        }
        // SAFETY: `offset` is at most the block's length, so the sum stays within it or one past.
        Ok(unsafe { self.start.add(offset) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Segment;

    #[test]
    fn accesses_outside_or_askew_are_refused() {
        let segment = Segment::heap(4096);
        let memory = segment.memory();
        assert!(memory.at::<AtomicU64>(4088).is_ok());
        for offset in [4089, 4096, 1, 4, usize::MAX, usize::MAX - 7] {
            assert!(memory.at::<AtomicU64>(offset).is_err(), "{offset}");
        }
        assert!(memory.range(4096, 0).is_ok());
        assert!(memory.range(0, 4097).is_err());
        assert!(memory.range(usize::MAX, 2).is_err());
    }
}

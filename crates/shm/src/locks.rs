//! One-byte kernel locks on a segment's file: who holds byte `n` lives.
//!
//! These are open-file-description locks (`F_OFD_SETLK`, Linux 3.15). The kernel drops them when
//! the last descriptor of the description closes, so also on SIGKILL, across PID namespaces, and
//! no reused process id can be mistaken for a dead owner. Two descriptions exclude each other even
//! within one process; the *same* description is granted its own lock again, which is why the one
//! who looks for the dead must never be the one whose id is locked.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use crate::ShmError;
use crate::fork::{Guarded, between_forks};

/// How many lockable bytes a segment on the heap has; files have no such limit.
pub(crate) const HEAP_LOCK_BYTES: usize = 128;

/// The owners of a heap segment's bytes: 0, or the number of the description that holds it.
pub(crate) type HeapLocks = Arc<[AtomicU32; HEAP_LOCK_BYTES]>;

/// An open file description through which bytes of a segment can be locked.
#[derive(Debug)]
pub struct LockFile(Description);

#[derive(Debug)]
enum Description {
    /// The guard comes first: it must let go of the descriptor's number before it is closed.
    File {
        guard: Guarded,
        file: File,
    },
    Heap {
        locks: HeapLocks,
        number: u32,
    },
}

impl LockFile {
    /// A description of its own for the file that `file` has open, even if it has no name any more.
    pub(crate) fn reopen(file: &File) -> Result<Self, ShmError> {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        between_forks(|| {
            let opened = OpenOptions::new().read(true).write(true).open(&path);
            opened.map(Self::of_file).map_err(ShmError::os(format!("opening {path}")))
        })
    }

    pub(crate) fn of_file(file: File) -> Self {
        Self(Description::File { guard: Guarded::descriptor(file.as_raw_fd()), file })
    }

    pub(crate) fn on_heap(locks: HeapLocks) -> Self {
        static NUMBERS: AtomicU32 = AtomicU32::new(1);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        Self(Description::Heap { locks, number })
    }

    /// The file behind the description, if there is one.
    pub(crate) fn file(&self) -> Option<&File> {
        match &self.0 {
            Description::File { file, .. } => Some(file),
            Description::Heap { .. } => None,
        }
    }

    /// Whether this process is a fork, and the description stayed with the parent.
    pub fn lost_by_fork(&self) -> bool {
        matches!(&self.0, Description::File { guard, .. } if guard.lost())
    }

    /// Locks a byte unless another description holds it. `true` when the lock is now held, also
    /// when this description held it before.
    ///
    /// # Errors
    /// [`ShmError::Os`] when the kernel refuses for another reason than the lock being held, or a
    /// heap segment doesn't have that byte.
    pub fn try_lock(&self, byte: u16) -> Result<bool, ShmError> {
        match &self.0 {
            Description::File { file, .. } => set_lock(file, byte, libc::F_WRLCK),
            Description::Heap { locks, number } => {
                let owner = heap_lock(locks, byte)?;
                Ok(match owner.compare_exchange(0, *number, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => true,
                    Err(holder) => holder == *number,
                })
            }
        }
    }

    /// Unlocks a byte; nothing happens if it was not locked.
    pub fn unlock(&self, byte: u16) {
        match &self.0 {
            Description::File { file, .. } => {
                // Unlocking a byte of an open file has no way to fail that could be acted upon:
                // if the file was closed behind our back, the lock is gone already.
                let _ = set_lock(file, byte, libc::F_UNLCK);
            }
            Description::Heap { locks, number } => {
                let Ok(owner) = heap_lock(locks, byte) else { return };
                let _ = owner.compare_exchange(*number, 0, Ordering::AcqRel, Ordering::Acquire);
            }
        }
    }

    /// Whether another description holds the byte.
    ///
    /// # Errors
    /// [`ShmError::Os`] when the kernel doesn't answer, or a heap segment doesn't have that byte.
    pub fn held_elsewhere(&self, byte: u16) -> Result<bool, ShmError> {
        match &self.0 {
            Description::File { file, .. } => is_held(file, one_byte(byte, libc::F_WRLCK)),
            Description::Heap { locks, number } => {
                let holder = heap_lock(locks, byte)?.load(Ordering::Acquire);
                Ok(holder != 0 && holder != *number)
            }
        }
    }

    /// Whether another description holds any byte at all.
    ///
    /// # Errors
    /// [`ShmError::Os`] when the kernel doesn't answer.
    pub fn any_held_elsewhere(&self) -> Result<bool, ShmError> {
        match &self.0 {
            // A length of 0 is all that follows.
            Description::File { file, .. } => {
                is_held(file, libc::flock { l_len: 0, ..one_byte(0, libc::F_WRLCK) })
            }
            Description::Heap { locks, number } => Ok(locks.iter().any(|owner| {
                let holder = owner.load(Ordering::Acquire);
                holder != 0 && holder != *number
            })),
        }
    }

    /// Locks a byte, waiting at most `patience` for another description to let go.
    ///
    /// # Errors
    /// [`ShmError::LockHeld`] with the name `what` when it did not; `holder` may add who has it.
    pub fn lock(
        &self,
        byte: u16,
        what: &'static str,
        patience: Duration,
        holder: impl Fn() -> String,
    ) -> Result<(), ShmError> {
        let start = Instant::now();
        let mut pause = Duration::from_micros(20);
        while !self.try_lock(byte)? {
            let waited = start.elapsed();
            if waited >= patience {
                let waited_ms = waited.as_millis();
                return Err(ShmError::LockHeld { what, waited_ms, holder: holder() });
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(2));
        }
        Ok(())
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        if let Description::Heap { locks, number } = &self.0 {
            for owner in locks.iter() {
                let _ = owner.compare_exchange(*number, 0, Ordering::AcqRel, Ordering::Acquire);
            }
        }
    }
}

fn heap_lock(locks: &HeapLocks, byte: u16) -> Result<&AtomicU32, ShmError> {
    let no_such_byte = || ShmError::os("locking a byte of the heap")(Errno::EINVAL.into());
    locks.get(usize::from(byte)).ok_or_else(no_such_byte)
}

fn set_lock(file: &File, byte: u16, kind: i32) -> Result<bool, ShmError> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&one_byte(byte, kind))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(ShmError::os("locking a byte of the segment")(io::Error::from(errno))),
    }
}

/// Whether another description holds what `lock` would lock.
fn is_held(file: &File, mut lock: libc::flock) -> Result<bool, ShmError> {
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock))
        .map_err(|errno| ShmError::os("asking for a lock's holder")(errno.into()))?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

/// What the kernel takes: one byte from `byte`. The owner's process id must be 0 for these locks.
fn one_byte(byte: u16, kind: i32) -> libc::flock {
    let short = |value: i32| i16::try_from(value).expect("lock constants are small");
    libc::flock {
        l_type: short(kind),
        l_whence: short(libc::SEEK_SET),
        l_start: libc::off_t::from(byte),
        l_len: 1,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use crate::{Segment, SegmentName};

    fn exclude_each_other(segment: &Segment) {
        let one = segment.lock_file().expect("a description");
        let two = segment.lock_file().expect("another");
        assert!(one.try_lock(3).expect("answers"));
        assert!(one.try_lock(3).expect("answers"), "a description is granted its own lock again");
        assert!(!two.try_lock(3).expect("answers"));
        assert!(two.held_elsewhere(3).expect("answers"));
        assert!(!one.held_elsewhere(3).expect("answers"));
        assert!(two.any_held_elsewhere().expect("answers"));
        assert!(!one.any_held_elsewhere().expect("answers"));
        assert!(two.try_lock(4).expect("answers"), "bytes are independent");
        one.unlock(3);
        assert!(two.try_lock(3).expect("answers"));
        drop(two);
        assert!(one.try_lock(3).expect("answers"), "closing a description lets go");
        assert!(one.try_lock(4).expect("answers"));
    }

    #[test]
    fn descriptions_exclude_each_other_on_the_heap() {
        exclude_each_other(&Segment::heap(4096));
    }

    #[test]
    fn bytes_that_the_heap_does_not_have_are_errors() {
        let segment = Segment::heap(4096);
        let file = segment.lock_file().expect("a description");
        assert!(file.try_lock(127).expect("the last one"));
        assert!(file.try_lock(128).is_err());
        assert!(file.held_elsewhere(u16::MAX).is_err());
        file.unlock(128);
    }

    #[test]
    fn descriptions_exclude_each_other_on_a_file() {
        let name = SegmentName::in_namespace(&format!("locks-{}", std::process::id()), "ring")
            .expect("a good name");
        let segment = Segment::create(&name, 4096, |_| ()).expect("created");
        exclude_each_other(&segment);
        segment.unlink().expect("unlinked");
        exclude_each_other(&segment);
    }
}

//! Segments: named blocks of shared memory that outlive every process that uses them.
//!
//! A segment is made whole under a private name (sized, reserved, filled in) and put in place by
//! `link(2)`, which fails when the name is taken. So nobody ever sees half a segment, and a creator
//! that dies leaves only a private name behind. `shared_memory` makes and maps it; `posix_fallocate`
//! reserves every page before the first touch, so that a full file system is an error here and not
//! a SIGBUS later.

#![expect(unsafe_code, reason = "a mapping becomes a Memory here, and the heap stands in for one")]
// UNSAFETY: `Memory::new` is called on blocks that the segment owns and frees only in its drop.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::ptr::NonNull;
use std::sync::Arc;

use rustix::process::geteuid;
use shared_memory::{Shmem, ShmemConf, ShmemError};

use crate::fork::{Guarded, between_forks};
use crate::locks::{HEAP_LOCK_BYTES, HeapLocks, LockFile};
use crate::name::SHM_FOLDER;
use crate::room::{check_room, reserve};
use crate::{Memory, SegmentName, ShmError, View};

const PAGE: usize = 4096;

const ROOT: u32 = 0;

/// An open segment: its memory, and the file whose bytes can be locked.
#[derive(Debug)]
pub struct Segment {
    memory: Memory,
    backing: Backing,
}

#[derive(Debug)]
enum Backing {
    Shared(Mapping),
    Heap { block: Arc<HeapBlock>, locks: HeapLocks },
}

/// A mapped segment. Fields drop in order: the guard must go before the mapping it covers.
struct Mapping {
    guard: Guarded,
    _shmem: Shmem,
    file: LockFile,
    name: SegmentName,
}

impl std::fmt::Debug for Mapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mapping").field("name", &self.name).finish_non_exhaustive()
    }
}

// SAFETY: `Shmem` is kept only to unmap on drop; its raw pointer is reached through `Memory`.
unsafe impl Send for Mapping {}
// SAFETY: as for `Send`.
unsafe impl Sync for Mapping {}

impl Segment {
    /// Makes a segment of `bytes` bytes, lets `fill` write it, and puts it in place.
    ///
    /// # Errors
    /// [`ShmError::Exists`] when the name is taken, [`ShmError::TooSmall`] when there is no room.
    pub fn create(
        name: &SegmentName,
        bytes: usize,
        fill: impl FnOnce(&Memory),
    ) -> Result<Self, ShmError> {
        check_room(bytes)?;
        let (segment, private) = between_forks(|| Self::make(name, bytes))?;
        fill(&segment.memory);
        match fs::hard_link(&private.0, name.path()) {
            Ok(()) => Ok(segment),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(ShmError::Exists(name.ring().to_owned()))
            }
            Err(error) => Err(ShmError::os(format!("linking {}", name.path().display()))(error)),
        }
    }

    /// Makes a segment of zeroes under a private name.
    fn make(name: &SegmentName, bytes: usize) -> Result<(Self, PrivateFile), ShmError> {
        let private = name.private(random()?);
        let mut shmem =
            ShmemConf::new().os_id(format!("/{private}")).size(bytes).create().map_err(
                |error| ShmError::os(format!("creating {SHM_FOLDER}/{private}"))(os_error(error)),
            )?;
        // From here on the file is removed by `PrivateFile`, never by `shared_memory`, which would
        // remove whatever has the name by then.
        shmem.set_owner(false);
        let private = PrivateFile(PathBuf::from(SHM_FOLDER).join(private));
        let file = open(&private.0)?;
        reserve(&file, bytes)?;
        Ok((Self::of(name, shmem, file)?, private))
    }

    /// Opens the segment that has the name now.
    ///
    /// # Errors
    /// [`ShmError::NotFound`] when nothing has the name, [`ShmError::ForeignOwner`] when another
    /// user made what has it. Root may open anybody's, and root's may be opened by anybody.
    pub fn open(name: &SegmentName) -> Result<Self, ShmError> {
        loop {
            if let Some(segment) = between_forks(|| Self::try_open(name))? {
                return Ok(segment);
            }
        }
    }

    /// `None` when the name led somewhere else in between.
    fn try_open(name: &SegmentName) -> Result<Option<Self>, ShmError> {
        let file = open(&name.path()).map_err(|error| match error {
            ShmError::Os { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                ShmError::NotFound(name.ring().to_owned())
            }
            ShmError::Os { source, action } if source.kind() == io::ErrorKind::PermissionDenied => {
                owner_refuses(name).unwrap_or(ShmError::Os { action, source })
            }
            other => other,
        })?;
        check_owner(name, &file)?;
        let shmem = match ShmemConf::new().os_id(name.os_id()).open() {
            Ok(shmem) => shmem,
            Err(_) if !leads_to(name, &file)? => return Ok(None),
            Err(error) => {
                let action = format!("mapping {}", name.path().display());
                return Err(ShmError::os(action)(os_error(error)));
            }
        };
        // A name leaves an inode at most once, so if it leads to the file's inode before and
        // after the mapping was made, the mapping is of that inode too.
        if leads_to(name, &file)? { Self::of(name, shmem, file).map(Some) } else { Ok(None) }
    }

    /// A segment on the heap, for tests: the same memory, with locks that work within the process.
    pub fn heap(bytes: usize) -> Self {
        let block = Arc::new(HeapBlock::new(bytes));
        // SAFETY: the block is owned by the segment, zeroed, page-aligned and `bytes` long.
        let memory = unsafe { Memory::new(block.start, bytes) };
        let locks = Arc::new([const { std::sync::atomic::AtomicU32::new(0) }; HEAP_LOCK_BYTES]);
        Self { memory, backing: Backing::Heap { block, locks } }
    }

    /// Opens the same segment once more, as another process would.
    ///
    /// # Errors
    /// As [`Segment::open`].
    pub fn reopen(&self) -> Result<Self, ShmError> {
        match &self.backing {
            Backing::Shared(mapping) => Self::open(&mapping.name),
            Backing::Heap { block, locks } => {
                let (block, locks) = (Arc::clone(block), Arc::clone(locks));
                // SAFETY: as in `heap`; the block is shared with this segment and outlives it.
                let memory = unsafe { Memory::new(block.start, self.memory.bytes()) };
                Ok(Self { memory, backing: Backing::Heap { block, locks } })
            }
        }
    }

    fn of(name: &SegmentName, shmem: Shmem, file: File) -> Result<Self, ShmError> {
        let start = NonNull::new(shmem.as_ptr())
            .ok_or_else(|| ShmError::os("mapping the segment")(io::Error::other("no address")))?;
        // SAFETY: `shmem` maps `len` bytes from a page-aligned address, readable and writable, and
        // is dropped together with the segment.
        let memory = unsafe { Memory::new(start, shmem.len()) };
        let guard = Guarded::mapping(start.as_ptr(), shmem.len());
        let file = LockFile::of_file(file);
        let mapping = Mapping { guard, _shmem: shmem, file, name: name.clone() };
        Ok(Self { memory, backing: Backing::Shared(mapping) })
    }

    /// The segment's memory.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Maps a range of the segment once more, at addresses of its own. `offset` is a multiple of
    /// the page size; whole pages are mapped.
    ///
    /// # Errors
    /// [`ShmError::Os`] when the range can't be mapped; a segment on the heap has no views.
    pub fn view(&self, offset: usize, bytes: usize) -> Result<View, ShmError> {
        let Backing::Shared(mapping) = &self.backing else {
            return Err(ShmError::os("viewing the heap")(io::ErrorKind::Unsupported.into()));
        };
        let whole = bytes.next_multiple_of(PAGE);
        if !offset.is_multiple_of(PAGE) || self.memory.range(offset, whole).is_err() {
            let action = format!("viewing {bytes} bytes at offset {offset}");
            return Err(ShmError::os(action)(io::ErrorKind::InvalidInput.into()));
        }
        View::of_file(mapping.file.file().expect("a mapping has a file"), offset, bytes)
    }

    /// A description of its own through which the segment's bytes can be locked.
    ///
    /// # Errors
    /// [`ShmError::Os`] when no more files can be opened.
    pub fn lock_file(&self) -> Result<LockFile, ShmError> {
        match &self.backing {
            Backing::Shared(mapping) => {
                LockFile::reopen(mapping.file.file().expect("a mapping has a file"))
            }
            Backing::Heap { locks, .. } => Ok(LockFile::on_heap(Arc::clone(locks))),
        }
    }

    /// Whether this process is a fork, and the segment stayed with the parent.
    pub fn lost_by_fork(&self) -> bool {
        matches!(&self.backing, Backing::Shared(mapping) if mapping.guard.lost())
    }

    /// Whether the segment's name still leads to this segment.
    ///
    /// # Errors
    /// [`ShmError::Os`] when the file system doesn't answer.
    pub fn is_linked(&self) -> Result<bool, ShmError> {
        match &self.backing {
            Backing::Shared(mapping) => {
                leads_to(&mapping.name, mapping.file.file().expect("a mapping has a file"))
            }
            Backing::Heap { .. } => Ok(true),
        }
    }

    /// Takes the name from the segment, unless it has lost it; who has it open keeps it. The caller
    /// holds the lock that makes joining and unlinking exclude each other.
    ///
    /// # Errors
    /// [`ShmError::Os`] when the name can't be removed.
    pub fn unlink(&self) -> Result<(), ShmError> {
        let Backing::Shared(mapping) = &self.backing else { return Ok(()) };
        let path = mapping.name.path();
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(ShmError::os(format!("removing {}", path.display()))),
        }
    }
}

/// The names of the rings that have a segment in `namespace`, and the paths of the private files
/// there: of segments being made just now, or left by creators that died.
///
/// # Errors
/// [`ShmError::Os`] when the folder can't be read.
pub fn list_segments(namespace: &str) -> Result<(Vec<SegmentName>, Vec<PathBuf>), ShmError> {
    let mut rings = Vec::new();
    let mut private = Vec::new();
    let action = || format!("reading {SHM_FOLDER}");
    for entry in fs::read_dir(SHM_FOLDER).map_err(ShmError::os(action()))? {
        let entry = entry.map_err(ShmError::os(action()))?;
        let Ok(file) = entry.file_name().into_string() else { continue };
        if SegmentName::is_private(&file, namespace) {
            private.push(entry.path());
        } else if let Some(ring) =
            file.strip_prefix(namespace).and_then(|rest| rest.strip_prefix('.'))
            && let Ok(name) = SegmentName::in_namespace(namespace, ring)
        {
            rings.push(name);
        }
    }
    rings.sort_by(|one, other| one.ring().cmp(other.ring()));
    Ok((rings, private))
}

/// Removes a segment's private name, whatever became of the segment.
struct PrivateFile(PathBuf);

impl Drop for PrivateFile {
    fn drop(&mut self) {
        // Best effort: what stays is a private name, which `framelane gc` removes.
        let _ = fs::remove_file(&self.0);
    }
}

/// Page-aligned zeroed memory.
#[derive(Debug)]
struct HeapBlock {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the block is plain memory that is freed once; access goes through `Memory`.
unsafe impl Send for HeapBlock {}
// SAFETY: as for `Send`.
unsafe impl Sync for HeapBlock {}

impl HeapBlock {
    fn new(bytes: usize) -> Self {
        let layout = Layout::from_size_align(bytes.max(1), PAGE).expect("a sensible size");
        // SAFETY: the layout's size is not 0.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        Self { start, layout }
    }
}

impl Drop for HeapBlock {
    fn drop(&mut self) {
        // SAFETY: allocated with this very layout in `new`, freed nowhere else.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// A random number from the kernel.
///
/// # Errors
/// [`ShmError::Os`] when the kernel has none.
pub fn random() -> Result<u64, ShmError> {
    getrandom::u64()
        .map_err(|error| ShmError::os("asking for a random number")(io::Error::other(error)))
}

fn open(path: &std::path::Path) -> Result<File, ShmError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(ShmError::os(format!("opening {}", path.display())))
}

/// Refuses what another user made. `shared_memory` makes segments that only their owner may open, so
/// such a one was laid out for others.
fn check_owner(name: &SegmentName, file: &File) -> Result<(), ShmError> {
    let metadata = file.metadata().map_err(ShmError::os("asking for the segment's owner"))?;
    let (owner, user) = (metadata.uid(), geteuid().as_raw());
    if owner == user || owner == ROOT || user == ROOT {
        return Ok(());
    }
    Err(ShmError::ForeignOwner { name: name.ring().to_owned(), owner, user })
}

/// Why a segment can't be opened, if it is another user's.
fn owner_refuses(name: &SegmentName) -> Option<ShmError> {
    let (owner, user) = (fs::metadata(name.path()).ok()?.uid(), geteuid().as_raw());
    (owner != user).then(|| ShmError::ForeignOwner { name: name.ring().to_owned(), owner, user })
}

fn leads_to(name: &SegmentName, file: &File) -> Result<bool, ShmError> {
    let inode = file.metadata().map_err(ShmError::os("asking for the segment's inode"))?.ino();
    match fs::metadata(name.path()) {
        Ok(metadata) => Ok(metadata.ino() == inode),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(ShmError::os(format!("looking for {}", name.path().display()))(error)),
    }
}

fn os_error(error: ShmemError) -> io::Error {
    match error {
        ShmemError::MapCreateFailed(errno)
        | ShmemError::MapOpenFailed(errno)
        | ShmemError::UnknownOsError(errno) => i32::try_from(errno)
            .map_or_else(|_| io::Error::other(error.to_string()), io::Error::from_raw_os_error),
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests;

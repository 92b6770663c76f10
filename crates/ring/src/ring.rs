//! An open ring, without a participant: its memory, checked, and the lock file through which the
//! dead are found. Everything else in this crate goes through the accessors here.

use std::fmt;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use framelane_shm::{Flag, LockFile, Memory, Segment, SegmentName, View};

use crate::claim::{ClaimCell, GROUPS, SEATS, Swing, Word, bits, swing};
use crate::layout::{
    GroupEntry, Header, LAYOUT_VERSION, MAGIC, Plan, SeatLine, SlotRecord, TABLES_BYTE,
};
use crate::{Policy, Record, RingConfig, RingError, Seq};

/// How long a lock that is held for microseconds may be held before that is an error.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Where the drain flag lies in the header.
const DRAIN_OFFSET: usize = 144;

/// An open ring. Dropping it detaches; the ring itself stays.
pub struct Ring {
    name: SegmentName,
    segment: Segment,
    plan: Plan,
    policy: Policy,
    /// Never the description of a participant: the kernel grants a description its own lock.
    tool: Mutex<LockFile>,
    pub(crate) looked_ns: AtomicU64,
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("name", &self.name).field("plan", &self.plan).finish()
    }
}

impl Ring {
    /// Opens the ring that has the name now.
    ///
    /// # Errors
    /// [`NotFound`](framelane_shm::ShmError::NotFound) when there is none; [`RingError::NotARing`],
    /// [`RingError::LayoutVersion`] or [`RingError::Corrupt`] when it can't be trusted.
    pub fn open(name: &SegmentName) -> Result<Self, RingError> {
        Self::of(name.clone(), Segment::open(name)?)
    }

    /// Opens the same ring once more.
    ///
    /// # Errors
    /// As [`Ring::open`].
    pub fn reopen(&self) -> Result<Self, RingError> {
        Self::of(self.name.clone(), self.segment.reopen()?)
    }

    pub(crate) fn of(name: SegmentName, segment: Segment) -> Result<Self, RingError> {
        let (plan, policy) = validate(&name, &segment)?;
        let tool = Mutex::new(segment.lock_file()?);
        Ok(Self { name, segment, plan, policy, tool, looked_ns: AtomicU64::new(0) })
    }

    /// The ring's name, without the namespace.
    pub fn name(&self) -> &str {
        self.name.ring()
    }

    /// The name of its segment.
    pub fn segment_name(&self) -> &SegmentName {
        &self.name
    }

    /// A random number that no other ring has.
    pub fn instance(&self) -> [u64; 2] {
        self.header().instance.each_ref().map(|word| word.load(Ordering::Relaxed))
    }

    /// What producers do when every slot is taken.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Slots.
    pub fn slots(&self) -> u32 {
        self.plan.slots
    }

    /// The largest payload, in bytes.
    pub fn payload_capacity(&self) -> usize {
        self.plan.payload_capacity
    }

    /// A slot's payload at addresses of its own, for languages whose arrays can outlive a claim.
    /// What is there belongs to whoever holds a grant on the slot, and to nobody else. Revoke the
    /// view before the grant ends, unless no pointer into it is left.
    ///
    /// # Errors
    /// [`RingError::UnknownSlot`], [`RingError::Shm`] when there is no room
    /// for another mapping.
    pub fn payload_view(&self, slot: u32) -> Result<View, RingError> {
        if slot >= self.plan.slots {
            return Err(RingError::UnknownSlot { ring: self.name().to_owned(), slot });
        }
        Ok(self.segment.view(self.plan.payload(slot), self.plan.payload_capacity)?)
    }

    /// The most metadata that can travel with a frame, in bytes.
    pub fn meta_capacity(&self) -> usize {
        self.plan.meta_capacity
    }

    /// Bytes of the whole segment.
    pub fn segment_bytes(&self) -> usize {
        self.plan.segment_bytes
    }

    /// The source's epoch.
    pub fn epoch(&self) -> u32 {
        u32::try_from(self.header().epoch.load(Ordering::Relaxed)).unwrap_or(u32::MAX)
    }

    /// Whether the ring's users are asked to finish what they hold and stop.
    pub fn is_draining(&self) -> bool {
        // Looked at for every frame: only what is not all zeroes can be a flag that is set.
        self.header().drain.load(Ordering::Acquire) != 0
            && Flag::at(self.segment.memory(), DRAIN_OFFSET).is_ok_and(|flag| flag.is_set())
    }

    /// Asks the ring's users to finish what they hold and stop, or takes that back.
    ///
    /// # Errors
    /// [`RingError::Corrupt`] when what lies in the flag's place is no flag.
    pub fn set_draining(&self, draining: bool) -> Result<(), RingError> {
        let flag = Flag::at(self.segment.memory(), DRAIN_OFFSET)
            .map_err(RingError::outside(self.name()))?;
        flag.set(draining);
        self.ring_everybody();
        Ok(())
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(crate) fn memory(&self) -> &Memory {
        self.segment.memory()
    }

    pub(crate) fn segment(&self) -> &Segment {
        &self.segment
    }

    pub(crate) fn header(&self) -> &Header {
        self.memory().at(Plan::HEADER).expect("checked when the ring was opened")
    }

    pub(crate) fn group(&self, group: u8) -> &GroupEntry {
        assert!(group < GROUPS, "group {group} was checked by the caller");
        let offset = Plan::GROUP_TABLE + usize::from(group) * size_of::<GroupEntry>();
        self.memory().at(offset).expect("checked when the ring was opened")
    }

    pub(crate) fn line(&self, id: u8) -> &SeatLine {
        assert!(id < SEATS, "participant {id} was checked by the caller");
        let offset = Plan::SEAT_TABLE + usize::from(id) * size_of::<SeatLine>();
        self.memory().at(offset).expect("checked when the ring was opened")
    }

    pub(crate) fn record(&self, slot: u32) -> &SlotRecord {
        assert!(slot < self.plan.slots, "slot {slot} was checked by the caller");
        self.memory().at(self.plan.record(slot)).expect("checked when the ring was opened")
    }

    pub(crate) fn word(&self, slot: u32) -> Word {
        self.record(slot).claim.look()
    }

    /// Whether `id` has the slot to write.
    pub(crate) fn is_written_by(&self, slot: u32, id: u8) -> bool {
        let word = self.word(slot);
        word.is_writing() && word.is_held_by(id)
    }

    pub(crate) fn seq(&self, slot: u32) -> Option<Seq> {
        // SYNC POINT: whoever sees a later frame's number here sees what became of the one before it.
        Seq::from_raw(self.record(slot).seq.load(Ordering::Acquire))
    }

    /// Takes a slot along an edge; `false` when the edge is not legal (any more).
    pub(crate) fn swing(
        &self,
        slot: u32,
        edge: impl Fn(Word) -> Option<Word>,
    ) -> Result<Option<(Word, Word)>, RingError> {
        match swing(&self.record(slot).claim, edge) {
            Swing::Done { before, after } => Ok(Some((before, after))),
            Swing::Refused => Ok(None),
            Swing::Contended => {
                Err(self.corrupt(format!("the claim word of slot {slot} never stands still")))
            }
        }
    }

    pub(crate) fn corrupt(&self, what: impl Into<String>) -> RingError {
        RingError::Corrupt { ring: self.name().to_owned(), what: what.into() }
    }

    /// Checks that a slot has room for so many bytes of payload.
    ///
    /// # Errors
    /// [`RingError::PayloadTooLarge`].
    pub fn check_payload(&self, bytes: usize) -> Result<(), RingError> {
        let capacity = self.payload_capacity();
        if bytes <= capacity {
            return Ok(());
        }
        Err(RingError::PayloadTooLarge { ring: self.name().to_owned(), capacity, needed: bytes })
    }

    /// Checks that a slot has room for what a record states.
    pub(crate) fn check_room(&self, record: &Record) -> Result<(), RingError> {
        self.check_payload(record.payload_bytes)?;
        let (needed, capacity) = (record.meta_bytes, self.meta_capacity());
        if needed <= capacity {
            return Ok(());
        }
        Err(RingError::MetaTooLarge { ring: self.name().to_owned(), capacity, needed })
    }

    /// Rings one group's members once.
    pub(crate) fn ring_group(&self, group: u8) {
        self.header().group_bells[usize::from(group)].ring(self.plan.slots);
    }

    /// Rings each group of a set once.
    pub(crate) fn ring_groups(&self, groups: u8) {
        bits(groups.into()).for_each(|group| self.ring_group(group));
    }

    /// Wakes the producers that wait: a slot is free, or the window moved. All of them, since each
    /// waits for one of the two, and who is woken for the other sleeps on.
    pub(crate) fn ring_producers(&self) {
        self.header().producers_bell.ring_all();
    }

    /// Wakes all who wait: something happened that each of them has to look at.
    pub(crate) fn ring_everybody(&self) {
        self.header().producers_bell.ring_all();
        self.header().group_bells.iter().for_each(|bell| bell.ring_all());
    }

    /// Runs `act` with the description through which others' bytes are locked, alone in this
    /// process.
    pub(crate) fn with_tool<T>(
        &self,
        act: impl FnOnce(&LockFile) -> Result<T, RingError>,
    ) -> Result<T, RingError> {
        act(&self.tool.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs `act` while nobody else changes the groups or the feed.
    pub(crate) fn with_tables<T>(
        &self,
        tool: &LockFile,
        act: impl FnOnce() -> Result<T, RingError>,
    ) -> Result<T, RingError> {
        self.with_tables_within(tool, PATIENCE, act)
    }

    /// The same, waiting for the lock for at most `patience`.
    pub(crate) fn with_tables_within<T>(
        &self,
        tool: &LockFile,
        patience: Duration,
        act: impl FnOnce() -> Result<T, RingError>,
    ) -> Result<T, RingError> {
        let holder = &self.header().tables_holder;
        self.with_lock(tool, (TABLES_BYTE, "tables"), patience, holder, act)
    }

    pub(crate) fn with_lock<T>(
        &self,
        tool: &LockFile,
        (byte, what): (u16, &'static str),
        patience: Duration,
        holder: &std::sync::atomic::AtomicU32,
        act: impl FnOnce() -> Result<T, RingError>,
    ) -> Result<T, RingError> {
        tool.lock(byte, what, patience, || match holder.load(Ordering::Relaxed) {
            0 => String::new(),
            pid => format!(" by process {pid}"),
        })?;
        let _unlock = Unlock { tool, byte };
        holder.store(process::id(), Ordering::Relaxed);
        let result = act();
        holder.store(0, Ordering::Relaxed);
        result
    }
}

struct Unlock<'tool> {
    tool: &'tool LockFile,
    byte: u16,
}

impl Drop for Unlock<'_> {
    fn drop(&mut self) {
        self.tool.unlock(self.byte);
    }
}

/// Checks everything that later accesses rely on.
fn validate(name: &SegmentName, segment: &Segment) -> Result<(Plan, Policy), RingError> {
    let memory = segment.memory();
    let corrupt = |what: String| RingError::Corrupt { ring: name.ring().to_owned(), what };
    let not_a_ring =
        || RingError::NotARing(name.ring().to_owned(), name.path().display().to_string());
    let header: &Header = memory.at(Plan::HEADER).map_err(|_| not_a_ring())?;
    if header.magic.load(Ordering::Acquire) != MAGIC {
        return Err(not_a_ring());
    }
    let found = header.layout_version.load(Ordering::Relaxed);
    if found != LAYOUT_VERSION {
        return Err(RingError::LayoutVersion {
            ring: name.ring().to_owned(),
            found,
            expected: LAYOUT_VERSION,
        });
    }
    let policy = header.policy.load(Ordering::Relaxed);
    let policy = Policy::from_code(policy).ok_or_else(|| corrupt(format!("policy {policy}")))?;
    let size =
        |cell: &AtomicU64| usize::try_from(cell.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
    let config = RingConfig {
        slots: header.slots.load(Ordering::Relaxed),
        payload_capacity: size(&header.payload_capacity),
        meta_capacity: size(&header.meta_capacity),
        policy,
    };
    let plan = Plan::new(&config).map_err(|error| corrupt(error.to_string()))?;
    let stated = size(&header.segment_bytes);
    if stated != plan.segment_bytes || memory.bytes() != plan.segment_bytes {
        let (needed, there) = (plan.segment_bytes, memory.bytes());
        return Err(corrupt(format!(
            "its slots need {needed} bytes, its header says {stated}, the segment has {there}"
        )));
    }
    Ok((plan, policy))
}

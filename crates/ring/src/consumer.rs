//! Consumers: they claim frames for their group, share the work, and give back what they can't do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::books::DropReason;
use crate::entry::{Entry, Membership};
use crate::failpoint::failpoint;
use crate::feed::Upstream;
use crate::grant::ReadGrant;
use crate::group_name::GroupName;
use crate::groups::NO_LIMIT;
use crate::ring::Ring;
use crate::seat::{Hold, LOOK_INTERVAL, Seat};
use crate::seq::Seq;
use crate::{Policy, RingError};

/// After how many deaths of its holders a frame is not processed again.
const REDELIVERY_LIMIT: u8 = 3;

/// How often a claim is tried anew because others were faster, before the call gives way to
/// looking at the clock.
const CLAIM_TRIES: u32 = 1000;

/// What a wait for a frame led to.
#[derive(Debug)]
pub enum Claim {
    /// A frame, held until the grant is dropped.
    Frame(ReadGrant),
    /// The stream has ended, and nothing is left for the group.
    Ended,
    /// Nothing came in time.
    TimedOut,
}

/// What one look at the ring led to.
#[derive(Debug)]
pub(crate) enum Found {
    Frame(ReadGrant),
    Ended,
    /// Frames wait, but beyond the window.
    Beyond,
    Nothing,
}

/// A member of a group that shares the frames among its members.
#[derive(Debug)]
pub struct Consumer {
    seat: Arc<Seat>,
    group: u8,
    max_age: Option<Duration>,
    upstream: Upstream,
}

impl Consumer {
    /// Joins a group, which is made if it isn't there.
    ///
    /// # Errors
    /// [`RingError::GroupKind`] when the group is ordered or has workers, [`RingError::NoSeat`] and
    /// [`RingError::NoGroup`] when the ring is full, `NotFound` when it just lost its name.
    pub fn join(ring: Ring, group: &GroupName) -> Result<Self, RingError> {
        Self::join_as(ring, group, Membership::Shared)
    }

    pub(crate) fn join_as(
        ring: Ring,
        group: &GroupName,
        membership: Membership,
    ) -> Result<Self, RingError> {
        let seat = Seat::join_group(ring, group, membership)?;
        let group = seat.group().expect("a consumer is a member of a group");
        Ok(Self { seat: Arc::new(seat), group, max_age: None, upstream: Upstream::default() })
    }

    /// Drops frames that are older than this when they would be claimed.
    pub fn set_max_age(&mut self, max_age: Option<Duration>) {
        self.max_age = max_age;
    }

    /// The ring.
    pub fn ring(&self) -> &Ring {
        self.seat.ring()
    }

    pub(crate) fn seat(&self) -> &Seat {
        &self.seat
    }

    pub(crate) fn group(&self) -> u8 {
        self.group
    }

    /// Claims the oldest frame that is ready for the group, waiting at most `patience`. One that no
    /// member survives is dropped, and counted: nobody here could pass it on.
    ///
    /// # Errors
    /// [`RingError::StillHolding`] when a frame is ready but the last grant is still out, [`RingError::LostSeat`], and
    /// [`RingError::Corrupt`] when the frame's record can't be trusted.
    pub fn claim(&mut self, patience: Duration) -> Result<Claim, RingError> {
        let mut waiting_since = None;
        loop {
            match self.take(NO_LIMIT)? {
                Found::Frame(grant) if grant.is_poison() => {
                    grant.drop_as(DropReason::Poison)?;
                    continue;
                }
                Found::Frame(grant) => return Ok(Claim::Frame(grant)),
                Found::Ended => return Ok(Claim::Ended),
                Found::Beyond | Found::Nothing => {}
            }
            // Who polls does not pay for a second look at the clock.
            if patience.is_zero() {
                return Ok(Claim::TimedOut);
            }
            let left =
                patience.saturating_sub(waiting_since.get_or_insert_with(Instant::now).elapsed());
            if left.is_zero() {
                return Ok(Claim::TimedOut);
            }
            self.wait_for_frame(left, NO_LIMIT);
        }
    }

    /// Sleeps until a frame below `limit` may be ready, for 50 ms at most: by then it is time to
    /// look for the dead.
    pub(crate) fn wait_for_frame(&self, timeout: Duration, limit: u64) {
        let ring = self.seat.ring();
        let ready = || self.oldest_pending(limit).is_some();
        let bell = &ring.header().group_bells[usize::from(self.group)];
        bell.wait(self.seat.id(), timeout.min(LOOK_INTERVAL), ready);
    }

    /// Claims the oldest frame below `limit`, without waiting.
    pub(crate) fn take(&mut self, limit: u64) -> Result<Found, RingError> {
        let now_ns = self.seat.look_around()?;
        for _ in 0..CLAIM_TRIES {
            // Asked before the slots: an end that is stored during the scan, or a frame that
            // arrives during it, may be one that the scan has missed.
            let all_came = self.have_all_come()?;
            if let Some(slot) = self.oldest_pending(limit) {
                if let Some(mut grant) = self.claim_slot(slot, limit, now_ns)? {
                    match self.judge(&mut grant) {
                        Some(reason) => grant.drop_as(reason)?,
                        None => return Ok(Found::Frame(grant)),
                    }
                }
                continue;
            }
            if limit < NO_LIMIT && self.oldest_pending(NO_LIMIT).is_some() {
                return Ok(Found::Beyond);
            }
            return Ok(if all_came && !self.seat.ring().is_group_busy(self.group) {
                Found::Ended
            } else {
                Found::Nothing
            });
        }
        Ok(Found::Nothing)
    }

    /// How many frames the members of the group hold.
    pub(crate) fn held_by_group(&self) -> usize {
        let (ring, group) = (self.seat.ring(), self.group);
        let is_held = |slot| ring.is_in_group(slot, group) && !ring.word(slot).is_pending(group);
        (0..ring.slots()).filter(|&slot| is_held(slot)).count()
    }

    /// Whether a frame below `limit` is still to come, and finds no slot in this ring.
    pub(crate) fn keeps_out_a_frame_below(&mut self, limit: u64) -> Result<bool, RingError> {
        let ring = self.seat.ring();
        Ok(ring.is_full() && self.upstream.first_arriving(ring, Seq::FIRST)?.raw() < limit)
    }

    /// Whether the stream has ended, and no frame is on its way here any more.
    fn have_all_come(&mut self) -> Result<bool, RingError> {
        let ring = self.seat.ring();
        match ring.end() {
            Some(end) => Ok(self.upstream.first_arriving(ring, Seq::FIRST)? >= end),
            None => Ok(false),
        }
    }

    /// The slot with the group's oldest pending frame below `limit`.
    pub(crate) fn oldest_pending(&self, limit: u64) -> Option<u32> {
        let ring = self.seat.ring();
        (0..ring.slots())
            .filter(|&slot| ring.word(slot).is_pending(self.group))
            .filter_map(|slot| ring.seq(slot).map(|seq| (seq, slot)))
            .filter(|(seq, _)| seq.raw() < limit)
            .min()
            .map(|(_, slot)| slot)
    }

    /// Claims a slot, and gives it back if what it holds by now is beyond `limit`.
    pub(crate) fn claim_slot(
        &mut self,
        slot: u32,
        limit: u64,
        now_ns: u64,
    ) -> Result<Option<ReadGrant>, RingError> {
        let (ring, id) = (self.seat.ring(), self.seat.id());
        let hold = self.seat.hold()?;
        hold.starts_at(now_ns);
        if ring.swing(slot, |word| word.claim(id, self.group))?.is_none() {
            // This participant holds nothing now. A word that says otherwise can't be claimed, but
            // would be found ready for ever.
            if ring.word(slot).is_held_by(id) {
                return Err(ring.corrupt(format!("slot {slot} names a holder that has it not")));
            }
            return Ok(None);
        }
        failpoint("claim.edge");
        let claims = ring.count_claim(slot, self.group);
        failpoint("claim.counted");
        let Some(seq) = ring.seq(slot) else {
            let error = ring.corrupt(format!("slot {slot} was published without a seq"));
            return Err(self.drop_unreadable(hold, slot, claims, error));
        };
        let record = match ring.read_record(slot) {
            Ok(record) => record,
            Err(error) => return Err(self.drop_unreadable(hold, slot, claims, error)),
        };
        let grant = ReadGrant::new(hold, slot, Some(self.group), seq, record, claims);
        if seq.raw() >= limit {
            grant.give_back()?;
            return Ok(None);
        }
        Ok(Some(grant))
    }

    /// Drops a claimed frame that nobody can have: it must not be found again. Tells why.
    #[cold]
    fn drop_unreadable(&self, hold: Hold, slot: u32, claims: u8, error: RingError) -> RingError {
        let record = crate::Record::default();
        let grant = ReadGrant::new(hold, slot, Some(self.group), Seq::FIRST, record, claims);
        grant.drop_as(DropReason::Poison).err().unwrap_or(error)
    }

    /// Why a claimed frame is not worth having, if it isn't: too old, or deadly. A deadly frame of a
    /// lossless ring is marked instead.
    pub(crate) fn judge(&self, grant: &mut ReadGrant) -> Option<DropReason> {
        if self.max_age.is_some_and(|limit| grant.age().is_some_and(|age| age > limit)) {
            return Some(DropReason::Aged);
        }
        if grant.deaths() < REDELIVERY_LIMIT {
            return None;
        }
        let ring = self.seat.ring();
        let (name, seq, deaths) = (ring.name(), grant.seq().number(), grant.deaths());
        if ring.policy() == Policy::DropOldest {
            tracing::error!(ring = name, seq, deaths, "dropped a frame that kills its workers");
            return Some(DropReason::Poison);
        }
        tracing::error!(ring = name, seq, deaths, "a frame kills its workers: not processed again");
        grant.mark_poison();
        None
    }
}

impl Ring {
    /// Whether a frame is pending for a group or held by one of its members.
    pub(crate) fn is_group_busy(&self, group: u8) -> bool {
        (0..self.slots()).any(|slot| self.is_in_group(slot, group))
    }

    /// Whether a slot's frame is pending for a group or held by one of its members. The word is
    /// read before and after the holder's entry: a member may have joined in between.
    pub(crate) fn is_in_group(&self, slot: u32, group: u8) -> bool {
        use std::sync::atomic::Ordering;
        let word = self.word(slot);
        if word.is_writing() {
            return false;
        }
        word.is_pending(group)
            || word.holders().any(|id| {
                let entry = Entry::unpack(self.line(id).entry.load(Ordering::Acquire));
                entry.is_member_of(group) || self.word(slot) != word
            })
    }
}

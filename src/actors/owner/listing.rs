//! Lists of conversations as an owner keeps them: from commit to commit each conversation is where it stands. Where they are not
//! whole, for a build that knows none has had the partition, or somebody deleted them, they are made anew on the side.

use super::Owner;
use super::upkeep::SWEEP_PAGE;
use crate::actors::shard::ShardParts;
use crate::store::{Claim, Place, StoreError, THINNED_MAX};

#[derive(Debug)]
pub enum Listing {
    Whole,
    /// So many are to be taken out first, whoever they are; nobody is put in meanwhile.
    Thinned {
        left: u64,
    },
    /// Every row up to this place is in.
    Anew(Option<Place>),
    /// Nobody wants any, and there are none.
    Off,
}

impl Listing {
    pub fn of(parts: &ShardParts, claim: &Claim) -> Self {
        match (parts.options.lists, claim.lists_whole) {
            (true, true) => Self::Whole,
            (wanted, _) => Self::thinned(wanted, claim.listed),
        }
    }

    fn thinned(wanted: bool, left: u64) -> Self {
        match (wanted, left) {
            (true, 0) => Self::Anew(None),
            (false, 0) => Self::Off,
            (_, left) => Self::Thinned { left },
        }
    }

    /// Whether they are whole with the next commit, as they were with the last.
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Whole)
    }

    /// Whether conversations are put where they stand.
    pub fn follows(&self) -> bool {
        matches!(self, Self::Whole | Self::Anew(_))
    }
}

impl Owner<'_> {
    /// A page of making the lists anew. What is read here and committed next nobody else can change in between, and what moves
    /// later moves from where it was put.
    pub(super) async fn list_anew(&mut self) -> Result<(), StoreError> {
        if matches!(self.listing, Listing::Whole | Listing::Off) {
            return Ok(());
        }
        // What was accepted meanwhile does not wait for all pages.
        self.caught_up().await?;
        let mut draft = self.draft();
        match &mut self.listing {
            Listing::Whole | Listing::Off => {}
            Listing::Thinned { left } => {
                draft.thin_lists();
                let left = left.saturating_sub(THINNED_MAX as u64);
                // Nothing moves with this commit: those it would put in are among the rows that are read later.
                self.commit(draft).await?;
                self.listing = Listing::thinned(self.parts.options.lists, left);
                self.rounds.more |= !matches!(self.listing, Listing::Off);
                return Ok(());
            }
            Listing::Anew(place) => {
                let page = self.parts.store.walk(self.parts.partition, place.take(), SWEEP_PAGE).await?;
                page.rows.iter().for_each(|(key, row)| draft.list(key.clone(), row));
                match page.next {
                    None => {
                        draft.lists_are_whole();
                        tracing::info!(partition = %self.parts.partition, "the lists of conversations are made anew");
                        self.listing = Listing::Whole;
                    }
                    next => {
                        self.listing = Listing::Anew(next);
                        self.rounds.more = true;
                    }
                }
            }
        }
        self.commit(draft).await
    }
}

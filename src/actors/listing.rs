//! Lists of conversations as an owner keeps them: from commit to commit each conversation is where it stands. Where they are not
//! whole, for a build that knows none has had the partition, or somebody deleted them, they are made anew on the side.

use super::owner::Owner;
use super::shard::ShardParts;
use super::upkeep::SWEEP_PAGE;
use crate::store::{Claim, Place, StoreError};

pub enum Listing {
    Whole,
    /// What is there is to be taken out; then the lists are made anew, or stay empty.
    ToEmpty,
    /// Every row up to this place is in.
    Anew(Option<Place>),
    /// Nobody wants any.
    Off,
}

impl Listing {
    pub fn of(parts: &ShardParts, claim: &Claim) -> Self {
        match (parts.options.lists, claim.lists_whole) {
            (true, true) => Self::Whole,
            (true, false) | (false, true) => Self::ToEmpty,
            (false, false) => Self::Off,
        }
    }

    /// Whether they are whole with the next commit, as they were with the last.
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Whole)
    }

    pub fn is_off(&self) -> bool {
        matches!(self, Self::Off)
    }
}

impl Owner<'_> {
    /// A page of making the lists anew. What is read here and committed next nobody else can change in between, and what moves
    /// later moves from where it was put.
    pub(super) async fn list_anew(&mut self) -> Result<(), StoreError> {
        let mut draft = self.draft();
        let next = match &mut self.listing {
            Listing::Whole | Listing::Off => return Ok(()),
            Listing::ToEmpty => {
                draft.empty_lists();
                if self.parts.options.lists { Listing::Anew(None) } else { Listing::Off }
            }
            Listing::Anew(place) => {
                let page = self.parts.store.walk(self.parts.partition, place.take(), SWEEP_PAGE).await?;
                page.rows.iter().for_each(|(key, row)| draft.list(key.clone(), row));
                match page.next {
                    None => Listing::Whole,
                    next => Listing::Anew(next),
                }
            }
        };
        if next.is_whole() {
            draft.lists_are_whole();
            tracing::info!(partition = %self.parts.partition, "the lists of conversations are made anew");
        }
        self.listing = next;
        self.rounds.more |= matches!(self.listing, Listing::Anew(_));
        self.commit(draft).await
    }
}

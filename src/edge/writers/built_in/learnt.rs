//! What accepted notes taught about a workspace's categories: in how many notes of each a word stood (naive Bayes). Names and
//! descriptions of the categories count like a few notes, so that a new workspace is not without an idea.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::words::{WORD_BYTES_MAX, words};
use crate::actors::notes::writer::LEARNT_BYTES_MAX;
use crate::domain::categories::{CATEGORIES_BYTES_MAX, CATEGORIES_MAX, CATEGORY_CHARS_MAX, Category};

/// The first byte of what is kept.
const FORM_VERSION: u8 = 1;
/// Notes of one category that count: when it has more, all that was learnt of it counts half, so that what a workspace talks
/// about now weighs more than what it talked about once.
const NOTES_MAX: u8 = 200;
/// When there are more bytes than fit, the words that say least go until so many are left: what is new has room to come up.
const BYTES_KEPT: usize = LEARNT_BYTES_MAX * 3 / 4;
/// For how many notes a word of a category's name counts, and one of its description.
const NAME_WEIGHT: f64 = 5.0;
const DESCRIPTION_WEIGHT: f64 = 2.0;
/// What every word counts everywhere: that it has not come up says little.
const SMOOTHING: f64 = 0.3;
/// Notes that must speak for a category before it is proposed at all, a word of each: one or two may be an accident, as may one word
/// of a description.
const EVIDENCE_MIN: f64 = 3.0;
/// How sure a proposal must be: no category rather than a wrong one, which somebody would have to notice. On conversations of a help
/// channel, their most telling words taken out, one in eight that were this sure was wrong; at 0.6 it was one in four.
const CERTAINTY_MIN: f64 = 0.8;

/// What a workspace's notes taught.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Learnt {
    categories: Vec<Lesson>,
    /// In how many notes of which categories, by their place among `categories`, each word stood. Places rise.
    words: BTreeMap<Box<str>, Vec<(u8, u8)>>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Lesson {
    name: Box<str>,
    notes: u8,
}

/// What people wrote is in no log.
impl fmt::Debug for Learnt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} words of {} categories", self.words.len(), self.categories.len())
    }
}

/// Why bytes are not what was learnt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LearntError {
    #[error("form version {found}, this build reads version {FORM_VERSION}")]
    Version { found: u8 },
    #[error("damaged")]
    Damaged,
}

/// What speaks for one category.
struct Case<'a> {
    name: &'a str,
    notes: f64,
    /// Of its own words, each with what it counts.
    words: BTreeMap<String, f64>,
    total: f64,
}

impl Learnt {
    /// Somebody closed a conversation of this text with this category.
    pub fn learn(&mut self, text: &str, category: &str) {
        if category.is_empty() || category.chars().count() > CATEGORY_CHARS_MAX {
            return;
        }
        let place = self.place(category);
        for word in marks(text).collect::<BTreeSet<String>>() {
            let counts = self.words.entry(word.into()).or_default();
            match counts.binary_search_by_key(&place, |(place, _)| *place) {
                Ok(at) => counts.iter_mut().skip(at).take(1).for_each(|(_, count)| *count = count.saturating_add(1)),
                Err(at) => counts.insert(at, (place, 1)),
            }
        }
        if let Some(lesson) = self.categories.get_mut(usize::from(place)) {
            lesson.notes = lesson.notes.saturating_add(1);
            if lesson.notes > NOTES_MAX {
                self.fade(place);
            }
        }
        if self.bytes() > LEARNT_BYTES_MAX {
            self.forget(BYTES_KEPT);
        }
    }

    /// The category of these that a text speaks of; `None` when nothing is sure enough.
    pub fn propose(&self, text: &str, categories: &[Category]) -> Option<Box<str>> {
        let (name, certainty) = self.likeliest(text, categories)?;
        (certainty >= CERTAINTY_MIN).then(|| name.into())
    }

    /// The category for which there is most to be said, and how sure that is, from 0 to 1.
    fn likeliest<'a>(&self, text: &str, categories: &'a [Category]) -> Option<(&'a str, f64)> {
        let said: BTreeSet<String> = marks(text).collect();
        let cases: Vec<Case<'_>> = categories.iter().map(|category| self.case(category, &said)).collect();
        let known: Vec<&String> = said.iter().filter(|word| cases.iter().any(|case| case.words.contains_key(*word))).collect();
        let all = cases.iter().map(|case| case.notes + 1.0).sum::<f64>();
        let vocabulary = (self.words.len() + known.len()).max(1) as f64;
        let likely = |case: &Case<'_>| {
            let word = |word: &&String| (case.words.get(*word).unwrap_or(&0.0) + SMOOTHING) / (case.total + SMOOTHING * vocabulary);
            ((case.notes + 1.0) / all).ln() + known.iter().map(|known| word(known).ln()).sum::<f64>()
        };
        let likely: Vec<f64> = cases.iter().map(likely).collect();
        let best = (0..cases.len()).rev().max_by(|a, b| likely[*a].total_cmp(&likely[*b]))?;
        // Words do not come alone, as the sum above pretends: a hundred of them are no more than ten that are independent.
        let spread = (known.len() as f64).sqrt().max(1.0);
        let certainty = 1.0 / likely.iter().map(|other| ((other - likely[best]) / spread).exp()).sum::<f64>();
        let evidence: f64 = cases[best].words.values().sum();
        (evidence >= EVIDENCE_MIN).then(|| (cases[best].name, certainty))
    }

    /// At most [`LEARNT_BYTES_MAX`]. `None` only if there is no memory for it.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = vec![FORM_VERSION];
        rmp_serde::encode::write(&mut bytes, self).ok()?;
        Some(bytes)
    }

    /// # Errors
    /// [`LearntError`]: from another build, or from nobody.
    pub fn decode(bytes: &[u8]) -> Result<Self, LearntError> {
        let mut rest = match bytes {
            [FORM_VERSION, rest @ ..] if bytes.len() <= LEARNT_BYTES_MAX => rest,
            [FORM_VERSION, ..] | [] => return Err(LearntError::Damaged),
            [found, ..] => return Err(LearntError::Version { found: *found }),
        };
        let learnt: Self = rmp_serde::from_read(&mut rest).map_err(|_| LearntError::Damaged)?;
        if rest.is_empty() && learnt.is_sound() { Ok(learnt) } else { Err(LearntError::Damaged) }
    }

    fn is_sound(&self) -> bool {
        let places = 0..self.categories.len();
        let sound = |counts: &Vec<(u8, u8)>| {
            !counts.is_empty()
                && counts.is_sorted_by(|a, b| a.0 < b.0)
                && counts.iter().all(|(place, _)| places.contains(&usize::from(*place)))
        };
        places.len() <= CATEGORIES_MAX && self.words.iter().all(|(word, counts)| word.len() <= WORD_BYTES_MAX && sound(counts))
    }

    /// Where a category stands. One that is new pushes out whatever has taught least, once there are too many: a workspace that
    /// renames its categories goes on learning.
    fn place(&mut self, category: &str) -> u8 {
        if let Some(at) = self.categories.iter().position(|lesson| *lesson.name == *category) {
            return at as u8;
        }
        let names = |categories: &[Lesson]| categories.iter().map(|lesson| lesson.name.len()).sum::<usize>() + category.len();
        while self.categories.len() >= CATEGORIES_MAX || names(&self.categories) > CATEGORIES_BYTES_MAX {
            let least = (0..self.categories.len()).min_by_key(|at| self.categories[*at].notes);
            let Some(least) = least else { break };
            self.remove(least as u8);
        }
        self.categories.push(Lesson { name: category.into(), notes: 0 });
        (self.categories.len() - 1) as u8
    }

    fn remove(&mut self, place: u8) {
        self.categories.remove(usize::from(place));
        self.words.retain(|_, counts| {
            counts.retain(|(at, _)| *at != place);
            counts.iter_mut().filter(|(at, _)| *at > place).for_each(|(at, _)| *at -= 1);
            !counts.is_empty()
        });
    }

    fn fade(&mut self, place: u8) {
        self.categories.iter_mut().skip(usize::from(place)).take(1).for_each(|lesson| lesson.notes /= 2);
        self.words.retain(|_, counts| {
            counts.iter_mut().filter(|(at, _)| *at == place).for_each(|(_, count)| *count /= 2);
            counts.retain(|(_, count)| *count > 0);
            !counts.is_empty()
        });
    }

    /// What it takes to keep, at most.
    fn bytes(&self) -> usize {
        let names: usize = self.categories.iter().map(|lesson| lesson.name.len() + 6).sum();
        names + self.words.iter().map(|(word, counts)| word_bytes(word, counts)).sum::<usize>() + 16
    }

    /// Lets go of the words that tell categories apart least, until no more than `bytes` are taken.
    fn forget(&mut self, bytes: usize) {
        let mut taken = self.bytes();
        let mut all: Vec<(f64, Box<str>)> = self.words.iter().map(|(word, counts)| (self.telling(counts), word.clone())).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
        for (_, word) in all {
            if taken <= bytes {
                break;
            }
            if let Some(counts) = self.words.remove(&word) {
                taken -= word_bytes(&word, &counts);
            }
        }
    }

    /// How far the notes that have a word are from being spread over the categories as all notes are (G²).
    fn telling(&self, counts: &[(u8, u8)]) -> f64 {
        let all: f64 = self.categories.iter().map(|lesson| f64::from(lesson.notes)).sum();
        let having: f64 = counts.iter().map(|(_, count)| f64::from(*count)).sum();
        let of = |place: u8| self.categories.get(usize::from(place)).map_or(1.0, |lesson| f64::from(lesson.notes.max(1)));
        counts.iter().map(|(place, count)| f64::from(*count) * (f64::from(*count) * all / (having * of(*place))).ln()).sum()
    }

    /// What of the words that were said speaks for a category, and how many words it has in all.
    fn case<'a>(&self, category: &'a Category, said: &BTreeSet<String>) -> Case<'a> {
        let mut own: BTreeMap<String, f64> = BTreeMap::new();
        for (text, weight) in [(Some(&category.name), NAME_WEIGHT), (category.description.as_ref(), DESCRIPTION_WEIGHT)] {
            let words: BTreeSet<String> = text.into_iter().flat_map(|text| marks(text)).collect();
            words.into_iter().for_each(|word| *own.entry(word).or_default() += weight);
        }
        let mut total: f64 = own.values().sum();
        let place = self.categories.iter().position(|lesson| lesson.name == category.name);
        let lesson = place.and_then(|at| self.categories.get(at));
        if let Some(place) = place {
            for (word, counts) in &self.words {
                let count = counts.iter().find(|(at, _)| usize::from(*at) == place).map_or(0.0, |(_, count)| f64::from(*count));
                total += count;
                if count > 0.0 && said.contains(&**word) {
                    *own.entry(word.to_string()).or_default() += count;
                }
            }
        }
        own.retain(|word, _| said.contains(word));
        Case { name: &category.name, notes: lesson.map_or(0.0, |lesson| f64::from(lesson.notes)), words: own, total }
    }
}

/// The words of a text as they are kept: whoever reads the store does not read there what people wrote. 32 bits tell apart the few
/// thousand that there are.
fn marks(text: &str) -> impl Iterator<Item = String> {
    words(text).map(|word| {
        let mut hasher = siphasher::sip::SipHasher13::new();
        std::hash::Hasher::write(&mut hasher, word.as_bytes());
        format!("{:08x}", std::hash::Hasher::finish(&hasher) as u32)
    })
}

/// At most: the word with its length, a list with its length, three bytes a number.
fn word_bytes(word: &str, counts: &[(u8, u8)]) -> usize {
    word.len() + 1 + 3 + counts.len() * 5
}

#[cfg(test)]
mod tests {
    use super::super::testing::categories;
    use super::*;

    const BILLING: &[&str] =
        &["paid the invoice twice", "my card was charged again", "the invoice has the wrong amount", "charged twice on my card"];
    const SHIPPING: &[&str] =
        &["parcel still at customs", "the courier lost my parcel", "tracking shows no courier", "parcel delivered next door"];

    fn taught() -> Learnt {
        let mut learnt = Learnt::default();
        for (text, category) in BILLING.iter().map(|text| (text, "Billing")).chain(SHIPPING.iter().map(|text| (text, "Shipping"))) {
            learnt.learn(text, category);
        }
        learnt
    }

    fn proposed(learnt: &Learnt, text: &str) -> Option<Box<str>> {
        learnt.propose(text, &categories())
    }

    #[test]
    fn l11_a_category_is_proposed_by_the_words_of_accepted_notes() {
        let learnt = taught();
        assert_eq!(proposed(&learnt, "Why is my card charged two times?").as_deref(), Some("Billing"));
        assert_eq!(proposed(&learnt, "The courier says the parcel is gone").as_deref(), Some("Shipping"));
        // What the workspace no longer has is not proposed.
        assert_eq!(learnt.propose("The courier says the parcel is gone", &categories()[..1]), None);
        assert_eq!(learnt.propose("The courier", &[]), None);
    }

    #[test]
    fn l11_names_and_descriptions_are_where_it_starts() {
        let none = Learnt::default();
        assert_eq!(proposed(&none, "I have a question on billing").as_deref(), Some("Billing"));
        assert_eq!(proposed(&none, "Any refund for these payments?").as_deref(), Some("Billing"));
    }

    #[test]
    fn l11_no_category_rather_than_a_wrong_one() {
        for learnt in [Learnt::default(), taught()] {
            for text in ["", "👍", "Hello, how are you?", "What a lovely garden", "the card of the courier"] {
                assert_eq!(proposed(&learnt, text), None, "{text}");
            }
        }
    }

    #[test]
    fn what_is_kept_reads_back_and_nothing_else_does() {
        let learnt = taught();
        let bytes = learnt.encode().unwrap();
        assert!(!format!("{learnt:?}").contains("parcel"));
        assert_eq!(Learnt::decode(&bytes), Ok(learnt));
        assert_eq!(Learnt::decode(&[9, 0]), Err(LearntError::Version { found: 9 }));
        for length in 0..bytes.len() {
            assert_eq!(Learnt::decode(&bytes[..length]), Err(LearntError::Damaged), "{length}");
        }
        let longer = [&*bytes, b"\0"].concat();
        let foreign = Learnt { categories: Vec::new(), ..taught() }.encode().unwrap();
        for bad in [longer, foreign, vec![FORM_VERSION; LEARNT_BYTES_MAX + 1]] {
            assert_eq!(Learnt::decode(&bad), Err(LearntError::Damaged));
        }
    }

    #[test]
    fn it_stays_within_its_bounds_and_keeps_what_tells_most() {
        let mut learnt = taught();
        for n in 0..120_u32 {
            let noise: String = (0..400).map(|w| format!("noise{:x} ", (n * 7_919 + w * 104_729) % 60_000)).collect();
            learnt.learn(&format!("invoice charged {noise}"), "Billing");
            learnt.learn(&format!("courier parcel {noise}"), &format!("{}{}", "x".repeat(120), n));
            assert!(learnt.encode().unwrap().len() <= LEARNT_BYTES_MAX && learnt.is_sound());
        }
        assert!(learnt.categories.len() <= CATEGORIES_MAX);
        assert_eq!(proposed(&learnt, "the invoice was charged").as_deref(), Some("Billing"));
    }

    #[test]
    fn what_was_learnt_last_weighs_more() {
        let mut learnt = Learnt::default();
        for _ in 0..1_000 {
            learnt.learn("modem", "Technical");
            learnt.learn("parcel", "Shipping");
        }
        for _ in 0..1_000 {
            learnt.learn("modem", "Shipping");
            learnt.learn("antenna", "Technical");
        }
        assert_eq!(proposed(&learnt, "a modem").as_deref(), Some("Shipping"));
    }
}

//! The people and AI agents of a workspace, to be shown and found where a conversation is assigned (L1). No rule judges by them:
//! a conversation may be assigned to whoever the product says.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Agents of one workspace: a large support centre.
pub const AGENTS_MAX: usize = 2_000;
/// Bytes of all their ids, names and addresses of pictures: they are one document, read as a whole.
pub const AGENTS_BYTES_MAX: usize = 1 << 20;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agent {
    /// Printable, as in an assignment.
    pub id: Box<str>,
    pub name: Box<str>,
    pub avatar_url: Option<Box<str>>,
    pub available: bool,
}

/// All of a workspace's, in order of id.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Agents {
    pub version: u64,
    pub all: Vec<Agent>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AgentChange {
    Add(Agent),
    /// What is `None` stays.
    Change {
        id: Box<str>,
        name: Option<Box<str>>,
        avatar_url: Option<Option<Box<str>>>,
        available: Option<bool>,
    },
    Remove {
        id: Box<str>,
    },
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AgentError {
    #[error("there is an agent `{id}` already")]
    Exists { id: Box<str> },
    #[error("there is no agent `{id}`")]
    Unknown { id: Box<str> },
    #[error("there are {AGENTS_MAX} agents, and no more are allowed")]
    TooMany,
    #[error("ids, names and pictures' addresses take more than {} KiB together", AGENTS_BYTES_MAX / 1024)]
    TooLong,
}

impl Agents {
    pub fn get(&self, id: &str) -> Option<&Agent> {
        self.place(id).ok().and_then(|place| self.all.get(place))
    }

    /// These agents changed, as the next version.
    ///
    /// # Errors
    /// [`AgentError`]: nothing was changed.
    pub fn changed(&self, change: AgentChange) -> Result<Self, AgentError> {
        let mut next = Self { version: self.version + 1, all: self.all.clone() };
        match change {
            AgentChange::Add(agent) => match self.place(&agent.id) {
                Ok(_) => return Err(AgentError::Exists { id: agent.id }),
                Err(_) if self.all.len() >= AGENTS_MAX => return Err(AgentError::TooMany),
                Err(place) => next.all.insert(place, agent),
            },
            AgentChange::Change { id, name, avatar_url, available } => {
                let place = self.place(&id).map_err(|_| AgentError::Unknown { id })?;
                if let Some(agent) = next.all.get_mut(place) {
                    agent.name = name.unwrap_or_else(|| agent.name.clone());
                    agent.avatar_url = avatar_url.unwrap_or_else(|| agent.avatar_url.clone());
                    agent.available = available.unwrap_or(agent.available);
                }
            }
            AgentChange::Remove { id } => drop(next.all.remove(self.place(&id).map_err(|_| AgentError::Unknown { id })?)),
        }
        if next.all.iter().map(Agent::bytes).sum::<usize>() > AGENTS_BYTES_MAX {
            return Err(AgentError::TooLong);
        }
        Ok(next)
    }

    fn place(&self, id: &str) -> Result<usize, usize> {
        self.all.binary_search_by(|agent| (*agent.id).cmp(id))
    }

    /// Those of whose names some word begins with each word of `text`, whatever its case and accents, in order of name.
    pub fn search(&self, text: &str) -> Vec<&Agent> {
        let wanted = Beginnings::of(text);
        // Signs alone begin no word.
        let is_vain = wanted.is_empty() && !text.trim().is_empty();
        let fits = self.all.iter().filter(|agent| !is_vain && wanted.fit(&agent.name));
        let mut found: Vec<(Sorted, &Agent)> = fits.map(|agent| (agent.sorts_as(), agent)).collect();
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        found.into_iter().map(|(_, agent)| agent).collect()
    }
}

/// What words of a name begin with, as somebody types them.
pub struct Beginnings(Vec<String>);

impl Beginnings {
    pub fn of(text: &str) -> Self {
        Self(words(&folded(text)).map(str::to_owned).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether some word of `name` begins with each of them.
    pub fn fit(&self, name: &str) -> bool {
        let name = folded(name);
        let words: Vec<&str> = words(&name).collect();
        self.0.iter().all(|beginning| words.iter().any(|word| word.starts_with(beginning.as_str())))
    }
}

/// Where an agent stands in a list: by name as people sort them, then by id.
pub type Sorted = (String, Box<str>);

impl Agent {
    fn bytes(&self) -> usize {
        self.id.len() + self.name.len() + self.avatar_url.as_ref().map_or(0, |url| url.len())
    }

    pub fn sorts_as(&self) -> Sorted {
        (folded(&self.name), self.id.clone())
    }

    /// For where there is no picture: the first letters of the first and the last word of the name.
    pub fn initials(&self) -> String {
        let first = |word: &str| word.chars().next().into_iter().flat_map(char::to_uppercase);
        let name: String = self.name.nfc().collect();
        let mut words = words(&name);
        let (one, last) = (words.next(), words.next_back());
        one.into_iter().chain(last).flat_map(first).collect()
    }
}

fn words(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Without case and accents. Letters that only look like others with an accent, and are letters of their own, as those others.
fn folded(text: &str) -> String {
    let plain = text.nfkd().filter(|letter| !is_combining_mark(*letter)).flat_map(char::to_lowercase);
    let mut folded = String::with_capacity(text.len());
    for letter in plain {
        match letter {
            '\u{f8}' => folded.push('o'),
            '\u{142}' => folded.push('l'),
            '\u{111}' | '\u{f0}' => folded.push('d'),
            '\u{131}' => folded.push('i'),
            '\u{3c2}' => folded.push('\u{3c3}'),
            '\u{df}' => folded.push_str("ss"),
            '\u{e6}' => folded.push_str("ae"),
            '\u{153}' => folded.push_str("oe"),
            other => folded.push(other),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(id: &str, name: &str) -> Agent {
        Agent { id: id.into(), name: name.into(), avatar_url: None, available: true }
    }

    fn some() -> Agents {
        let names =
            [("a7", "José García-Márquez"), ("a3", "Ana Müller"), ("a9", "Łukasz Øster"), ("a1", "ana Zoë"), ("a2", "\u{5f20}\u{4f1f}")];
        names.into_iter().fold(Agents::default(), |agents, (id, name)| agents.changed(AgentChange::Add(agent(id, name))).unwrap())
    }

    fn found(text: &str) -> Vec<Box<str>> {
        some().search(text).into_iter().map(|agent| agent.id.clone()).collect()
    }

    #[test]
    fn l1_agents_are_found_by_the_beginning_of_any_word_whatever_its_case_and_accents() {
        for (text, ids) in [
            ("jose", &["a7"][..]),
            ("GARCIA", &["a7"]),
            ("marq", &["a7"]),
            ("mar gar jo", &["a7"]),
            ("arquez", &[]),
            ("ANA", &["a3", "a1"]),
            ("ana mu", &["a3"]),
            ("M\u{dc}LL", &["a3"]),
            ("mu\u{308}ll", &["a3"]),
            ("lukasz ost", &["a9"]),
            ("zoe", &["a1"]),
            ("\u{5f20}", &["a2"]),
            ("ana bo", &[]),
        ] {
            assert_eq!(found(text).iter().map(|id| &**id).collect::<Vec<_>>(), ids, "{text}");
        }
        assert_eq!(found("").len(), 5, "nothing asked for is everybody");
        assert_eq!((found(" ").len(), found(" - ").len()), (5, 0));
        assert!(Beginnings::of("\u{3a3}\u{399}\u{3a3}").fit("\u{3a3}\u{3b9}\u{3c2}"), "a sigma is a sigma");
    }

    #[test]
    fn l1_they_are_added_changed_and_removed() {
        let agents = some();
        assert_eq!(agents.changed(AgentChange::Add(agent("a7", "x"))), Err(AgentError::Exists { id: "a7".into() }));
        let change = |id: &str| AgentChange::Change {
            id: id.into(),
            name: None,
            avatar_url: Some(Some("https://x/y".into())),
            available: Some(false),
        };
        let changed = agents.changed(change("a7")).unwrap();
        let jose = changed.get("a7").unwrap();
        assert_eq!((&*jose.name, jose.avatar_url.as_deref(), jose.available), ("José García-Márquez", Some("https://x/y"), false));
        assert_eq!(changed.version, agents.version + 1);
        assert_eq!(agents.changed(change("b")), Err(AgentError::Unknown { id: "b".into() }));
        let removed = changed.changed(AgentChange::Remove { id: "a7".into() }).unwrap();
        assert_eq!((removed.get("a7"), removed.all.len()), (None, 4));
        let many = (0..AGENTS_MAX).fold(Agents::default(), |mut agents, n| {
            agents.all.push(agent(&format!("{n:05}"), "x"));
            agents
        });
        assert_eq!(many.changed(AgentChange::Add(agent("z", "x"))), Err(AgentError::TooMany));
        let long = (0..9).try_fold(Agents::default(), |agents, n| {
            agents.changed(AgentChange::Add(Agent { avatar_url: Some("x".repeat(128 * 1024).into()), ..agent(&n.to_string(), "x") }))
        });
        assert_eq!(long, Err(AgentError::TooLong));
    }

    #[test]
    fn initials_stand_for_a_picture() {
        let initials = |name| agent("a", name).initials();
        assert_eq!(agent("a", "Jose\u{301} Nu\u{301}n\u{303}ez").initials(), "JN", "however it is written");
        assert_eq!(["Ana", "Jos\u{e9} Garc\u{ed}a-M\u{e1}rquez", "\u{e9}lan vital", "..."].map(initials), ["A", "JM", "\u{c9}V", ""]);
    }
}

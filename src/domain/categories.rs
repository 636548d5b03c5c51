//! The categories that closing notes of a workspace may name (L10): a name is for ever what it was, so that reports of two
//! months can be compared; its description may change.

/// Longest name of a category, in characters (L10).
pub const CATEGORY_CHARS_MAX: usize = 128;
/// Longest description, in characters: a sentence or two beside a choice.
pub const DESCRIPTION_CHARS_MAX: usize = 512;
/// Categories of one workspace: more than anybody reads through to choose one.
pub const CATEGORIES_MAX: usize = 100;
/// Bytes of all names and descriptions of a workspace: they travel with its settings through the log of every partition.
pub const CATEGORIES_BYTES_MAX: usize = 32 * 1024;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Category {
    /// At most [`CATEGORY_CHARS_MAX`], without blanks around it.
    pub name: Box<str>,
    /// At most [`DESCRIPTION_CHARS_MAX`].
    pub description: Option<Box<str>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CategoryChange {
    Add(Category),
    /// Another description; the name stays.
    Describe {
        name: Box<str>,
        description: Option<Box<str>>,
    },
    /// No new note may name it. Those that do keep it.
    Remove {
        name: Box<str>,
    },
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CategoryError {
    #[error("there is a category `{name}` already")]
    Exists { name: Box<str> },
    #[error("there is no category `{name}`")]
    Unknown { name: Box<str> },
    #[error("there are {CATEGORIES_MAX} categories, and no more are allowed")]
    TooMany,
    #[error("names and descriptions take more than {} KiB together", CATEGORIES_BYTES_MAX / 1024)]
    TooLong,
}

impl CategoryChange {
    /// Changes the list, which stays in the order in which its categories were added.
    ///
    /// # Errors
    /// [`CategoryError`]: nothing was changed.
    pub fn apply(self, categories: &mut Vec<Category>) -> Result<(), CategoryError> {
        let place = |name: &str| categories.iter().position(|category| *category.name == *name);
        let known = |name: Box<str>| place(&name).ok_or(CategoryError::Unknown { name });
        let mut next = categories.clone();
        match self {
            Self::Add(Category { name, .. }) if place(&name).is_some() => return Err(CategoryError::Exists { name }),
            Self::Add(_) if categories.len() >= CATEGORIES_MAX => return Err(CategoryError::TooMany),
            Self::Add(category) => next.push(category),
            Self::Describe { name, description } => {
                let place = known(name)?;
                next.iter_mut().skip(place).take(1).for_each(|category| category.description.clone_from(&description));
            }
            Self::Remove { name } => drop(next.remove(known(name)?)),
        }
        if next.iter().map(Category::bytes).sum::<usize>() > CATEGORIES_BYTES_MAX {
            return Err(CategoryError::TooLong);
        }
        *categories = next;
        Ok(())
    }
}

impl Category {
    fn bytes(&self) -> usize {
        self.name.len() + self.description.as_ref().map_or(0, |text| text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(name: &str) -> CategoryChange {
        CategoryChange::Add(Category { name: name.into(), description: None })
    }

    #[test]
    fn l10_a_name_is_fixed_and_its_description_is_not() {
        let mut all = Vec::new();
        add("Billing").apply(&mut all).unwrap();
        add("billing").apply(&mut all).unwrap();
        assert_eq!(add("Billing").apply(&mut all), Err(CategoryError::Exists { name: "Billing".into() }));
        let describe = |name: &str, text: Option<&str>| CategoryChange::Describe { name: name.into(), description: text.map(Into::into) };
        describe("Billing", Some("Money")).apply(&mut all).unwrap();
        assert_eq!(all[0], Category { name: "Billing".into(), description: Some("Money".into()) });
        assert_eq!(describe("Nothing", None).apply(&mut all), Err(CategoryError::Unknown { name: "Nothing".into() }));
        CategoryChange::Remove { name: "Billing".into() }.apply(&mut all).unwrap();
        assert_eq!(all.len(), 1);
        assert!(matches!(CategoryChange::Remove { name: "Billing".into() }.apply(&mut all), Err(CategoryError::Unknown { .. })));
    }

    #[test]
    fn l10_there_are_bounds() {
        let mut all = Vec::new();
        for number in 0..CATEGORIES_MAX {
            add(&format!("c{number}")).apply(&mut all).unwrap();
        }
        assert_eq!(add("one more").apply(&mut all), Err(CategoryError::TooMany));
        let long = |name: &str| CategoryChange::Describe { name: name.into(), description: Some("x".repeat(512).into()) };
        let before = all.clone();
        let refused = (0..CATEGORIES_MAX).find_map(|number| long(&format!("c{number}")).apply(&mut all).err());
        assert_eq!(refused, Some(CategoryError::TooLong));
        assert!(all.len() == before.len() && all.iter().map(Category::bytes).sum::<usize>() <= CATEGORIES_BYTES_MAX);
    }
}

//! Versions with a hole that lets whoever may run scripts run anything (CVE-2025-49844), as far as a number tells.

/// The first mended patch of each line that was mended. Older lines were not; newer ones never had it.
const MENDED: [(&str, &[(u32, u32, u32)]); 2] =
    [("Redis", &[(6, 2, 20), (7, 2, 11), (7, 4, 6), (8, 0, 4), (8, 2, 2)]), ("Valkey", &[(7, 2, 11), (8, 0, 6), (8, 1, 4)])];

/// What to do about the hole that this version is known to have.
pub fn known_hole(product: &str, version: &str) -> Option<String> {
    let (_, mended) = MENDED.iter().find(|(name, _)| *name == product)?;
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let (major, minor, patch) = (parts.next()?, parts.next()?, parts.next().unwrap_or(0));
    let next = mended.iter().find(|line| (line.0, line.1) >= (major, minor))?;
    if (next.0, next.1) == (major, minor) && patch >= next.2 {
        return None;
    }
    Some(format!(
        "scripts can break out of it (CVE-2025-49844): update to {}.{}.{} or later, unless your distribution has mended it under \
         this number (Debian 12: 5:7.0.15-1~deb12u6 or later)",
        next.0, next.1, next.2
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_13_versions_known_to_be_open_are_told_of_with_the_one_that_is_not() {
        for (product, version, mended) in [
            ("Redis", "6.2.14", Some("6.2.20")),
            ("Redis", "6.2.20", None),
            ("Redis", "7.0.15", Some("7.2.11")),
            ("Redis", "7.2.4", Some("7.2.11")),
            ("Redis", "7.4.6", None),
            ("Redis", "8.0.3", Some("8.0.4")),
            ("Redis", "8.2.1", Some("8.2.2")),
            ("Redis", "8.4.0", None),
            ("Redis", "10.0.1", None),
            ("Valkey", "7.2.10", Some("7.2.11")),
            ("Valkey", "8.0.1", Some("8.0.6")),
            ("Valkey", "8.1.4", None),
            ("Valkey", "9.0.0", None),
            ("Redis", "not said", None),
        ] {
            let said = known_hole(product, version);
            assert_eq!(said.is_some(), mended.is_some(), "{product} {version}: {said:?}");
            assert!(mended.is_none_or(|mended| said.is_some_and(|said| said.contains(mended))), "{product} {version}");
        }
    }
}

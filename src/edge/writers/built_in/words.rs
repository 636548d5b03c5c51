//! Words that tell something, of any language.

use unicode_segmentation::UnicodeSegmentation;

/// Longest word that counts, in bytes: what is longer is a link's end, a token or a digest, and comes once.
pub const WORD_BYTES_MAX: usize = 30;
/// Words of a text that count at most: a bound for texts that are none.
const WORDS_MAX: usize = 4_000;

/// Words that stand in every conversation. Short, for what is common to all sentences weighs next to nothing anyway: it keeps
/// a short one from being made of these alone. English, German, Spanish, Portuguese, French.
const COMMON: &[&str] = &[
    "about", "again", "all", "also", "am", "an", "and", "any", "anybody", "anyone", "are", "as", "at", "be", "because", "been", "but",
    "by", "can", "could", "did", "do", "does", "don't", "for", "from", "get", "got", "had", "has", "have", "he", "hello", "help", "her",
    "here", "hey", "hi", "him", "how", "i'm", "i've", "if", "in", "is", "it", "it's", "its", "just", "know", "like", "me", "my", "need",
    "no", "not", "now", "of", "ok", "okay", "on", "one", "or", "our", "out", "please", "she", "should", "so", "some", "someone", "thank",
    "thanks", "that", "that's", "the", "their", "them", "then", "there", "they", "this", "to", "too", "up", "us", "want", "was", "we",
    "well", "were", "what", "when", "where", "which", "who", "why", "will", "with", "would", "yes", "you", "your", "aber", "auch", "auf",
    "bei", "bin", "bitte", "das", "dass", "dem", "den", "der", "des", "die", "ein", "eine", "einen", "es", "für", "hallo", "hat", "haben",
    "ich", "im", "ist", "ja", "kann", "mein", "meine", "mit", "nein", "nicht", "noch", "oder", "sie", "sind", "und", "von", "war", "wie",
    "wir", "zu", "zum", "zur", "al", "como", "con", "cómo", "de", "del", "el", "en", "es", "esta", "está", "estoy", "gracias", "hola",
    "la", "las", "lo", "los", "mi", "muy", "para", "pero", "por", "porque", "que", "qué", "se", "si", "sí", "sin", "su", "una", "uno",
    "un", "yo", "ao", "com", "da", "do", "em", "eu", "meu", "minha", "não", "na", "no", "obrigada", "obrigado", "olá", "os", "uma", "você",
    "au", "avec", "bonjour", "ce", "cette", "dans", "du", "elle", "est", "et", "il", "je", "le", "les", "mais", "merci", "mon", "nous",
    "ou", "pas", "pour", "sur", "une", "vous", "à",
];

/// The words of a text that tell something, in order, in lower case, English plurals as the singular.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    let lower = |word: &str| word.to_lowercase().replace('\u{2019}', "'");
    let telling = text.unicode_words().map(lower).filter(|word| !COMMON.contains(&word.as_str()));
    telling.map(singular).filter(|word| tells(word)).take(WORDS_MAX)
}

fn singular(mut word: String) -> String {
    let is_plural = word.len() > 3 && word.is_ascii() && word.ends_with('s') && !["ss", "us", "is"].iter().any(|end| word.ends_with(end));
    if is_plural {
        word.pop();
    }
    word
}

fn tells(word: &str) -> bool {
    let mut letters = word.chars();
    let Some(first) = letters.next() else { return false };
    let is_alone = letters.next().is_none();
    // In Chinese and Japanese a sign is a word, or the half of one.
    let is_long_enough = if is_alone { is_ideograph(first) } else { word.chars().any(char::is_alphabetic) || word.len() > 2 };
    is_long_enough && word.len() <= WORD_BYTES_MAX
}

fn is_ideograph(letter: char) -> bool {
    matches!(letter, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        words(text).collect()
    }

    #[test]
    fn what_every_conversation_has_is_left_out() {
        assert_eq!(of("Hi, how does one get my refunds? Thanks! I've paid 2 invoices (#4711)!"), ["refund", "paid", "invoice", "4711"]);
        assert_eq!(of("Ich hätte gern die Größe 42 – nicht 44, bitte"), ["hätte", "gern", "größe"]);
        assert_eq!(of("返金してください"), ["返", "金"]);
        assert_eq!(of(&"a1b2c3d4".repeat(9)), [""; 0]);
        assert_eq!(of("status analysis class"), ["status", "analysis", "class"]);
    }
}

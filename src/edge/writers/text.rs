//! Texts of notes: without what no reader should meet, and as long as a note may be.

use unicode_segmentation::UnicodeSegmentation;

/// What stands where something was left out.
const CUT: char = '…';

/// In one line: blanks, line ends and control characters between words become one space.
pub fn cleaned(text: &str) -> String {
    let visible: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).filter(|c| !turns(*c)).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Characters that have no shape and change the direction of what stands beside them: in a list of notes they would turn around
/// the names of others.
fn turns(letter: char) -> bool {
    matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The beginning of a cleaned text, at most `max` characters: whole sentences if at least half of the room is used by them, else
/// whole words, else whole letters.
pub fn fitted(text: &str, max: usize) -> String {
    let Some((room, _)) = text.char_indices().nth(max) else { return text.to_owned() };
    let sentences = last_end(text.split_sentence_bound_indices().map(|(start, sentence)| start + sentence.trim_end().len()), room);
    if sentences > 0 && text[..sentences].chars().count() * 2 >= max {
        return text[..sentences].to_owned();
    }
    // One character less, for the mark.
    let room = text.char_indices().nth(max.saturating_sub(1)).map_or(0, |(at, _)| at);
    let words =
        last_end(text.split_word_bound_indices().filter(|(_, word)| !word.trim().is_empty()).map(|(at, word)| at + word.len()), room);
    let end = match words {
        0 => last_end(text.grapheme_indices(true).map(|(at, letter)| at + letter.len()), room),
        words => words,
    };
    format!("{}{CUT}", text[..end].trim_end())
}

/// The last of these rising ends that is no further than `room`; 0 if none is.
fn last_end(ends: impl Iterator<Item = usize>, room: usize) -> usize {
    ends.take_while(|end| *end <= room).last().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_go_and_words_stay_apart() {
        assert_eq!(cleaned(" a\r\n\u{0}b\t\u{1b}[31mc \u{202e}d\u{2066}\u{85}e "), "a b [31mc d e");
        assert_eq!(cleaned("👩\u{200d}🔧 fixes it"), "👩\u{200d}🔧 fixes it");
        assert_eq!(cleaned("\n\u{7f}"), "");
    }

    #[test]
    fn l10_a_text_is_cut_at_a_sentence_or_at_a_word() {
        assert_eq!(fitted("One. Two.", 9), "One. Two.");
        assert_eq!(fitted("One here. Two there.", 14), "One here.");
        assert_eq!(fitted("One. Two there is no end of it", 14), "One. Two…");
        assert_eq!(fitted("これは長い文です。次の文もあります。", 12), "これは長い文です。");
        assert_eq!(fitted("abcdefghij", 4), "abc…");
        assert_eq!(fitted("👩\u{200d}🔧👩\u{200d}🔧👩\u{200d}🔧", 5), "👩\u{200d}🔧…");
    }

    #[test]
    fn l10_a_text_that_was_cut_is_never_too_long() {
        let text =
            "Wörter, Sätze. Und 価格は? न हो। \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}xxxxxxxxxxxxxxxx e\u{301}e\u{301}.".repeat(9);
        for max in 1..text.chars().count() + 2 {
            let cut = fitted(&text, max);
            assert!(cut.chars().count() <= max, "{max}: {cut}");
        }
    }
}

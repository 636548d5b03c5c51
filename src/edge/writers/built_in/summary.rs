//! A summary of a conversation's own sentences: what the contact asked first, and what the conversation keeps coming back to, in
//! the order in which it was said. No word is in it that nobody wrote.

use std::collections::BTreeMap;

use unicode_segmentation::UnicodeSegmentation;

use super::super::text::{cleaned, fitted};
use super::words::words;
use crate::domain::event::SUMMARY_CHARS_MAX;
use crate::domain::writing::{Said, Speaker, Transcript};

/// Sentences that are weighed, the latest: each is compared with each.
const SENTENCES_MAX: usize = 160;
/// Of these from one message: the rest of a pasted log says no more.
const SENTENCES_OF_ONE: usize = 12;
/// Words of a sentence that are compared.
const WORDS_OF_ONE: usize = 60;
/// Sentences that a summary has, what was asked first among them: more is no summary.
const KEPT_MAX: usize = 4;
/// Characters that one of them may take: no one fills it alone.
const CHARS_OF_ONE: usize = 200;
/// Words that tell something, without which a sentence says nothing by itself, unless it is a contact's question.
const WORDS_MIN: usize = 3;
/// Two sentences of one side that are more alike than this say the same. An answer repeats the words of its question.
const ALIKE: f64 = 0.5;
const ALIKE_ACROSS: f64 = 0.8;
/// As of PageRank: how much of a sentence's weight comes from those like it. Its rounds are enough for two digits.
const DAMPING: f64 = 0.85;
const ROUNDS: usize = 20;
/// Between two who speak, as in printed dialogue, whatever the language.
const TURN: &str = " – ";
/// Between two sentences of one side of which the first has no end of its own.
const NEXT: &str = " / ";

struct Sentence {
    by: Speaker,
    /// Of the transcript.
    message: usize,
    text: String,
    /// Numbers of its words, rising, each once, with what they weigh; together they have the length 1.
    words: Vec<(usize, f64)>,
}

/// At most [`SUMMARY_CHARS_MAX`] characters; `None` where nobody wrote a letter.
pub fn summary(transcript: &Transcript) -> Option<String> {
    let sentences = sentences(transcript.messages());
    let mut kept = kept(&sentences);
    kept.sort_unstable();
    let text = match kept.as_slice() {
        // Only greetings, or a language whose words stand without spaces: as it begins.
        [] => transcript
            .messages()
            .iter()
            .map(|said| cleaned(&said.text))
            .filter(|text| text.chars().any(char::is_alphanumeric))
            .collect::<Vec<_>>()
            .join(TURN),
        kept => told(kept.iter().filter_map(|at| sentences.get(*at))),
    };
    Some(fitted(&text, SUMMARY_CHARS_MAX)).filter(|text| !text.is_empty())
}

fn told<'a>(kept: impl Iterator<Item = &'a Sentence>) -> String {
    let (mut text, mut last) = (String::new(), None);
    for sentence in kept {
        let between = match last.replace(sentence.by) {
            None => "",
            Some(by) if by != sentence.by => TURN,
            Some(_) if text.ends_with(|end: char| !end.is_alphanumeric()) => " ",
            Some(_) => NEXT,
        };
        text = text + between + &sentence.text;
    }
    text
}

/// A text's sentences, cleaned.
fn split(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for piece in text.split_sentence_bounds() {
        match pieces.last_mut() {
            // Without a blank behind it, that was no end: a link goes on. Where no blanks are written it is another sign.
            Some(last) if last.ends_with(|end: char| end.is_ascii() && !end.is_whitespace()) => last.push_str(piece),
            _ => pieces.push(piece.to_owned()),
        }
    }
    pieces.iter().map(|piece| cleaned(piece)).filter(|piece| piece.chars().any(char::is_alphanumeric)).collect()
}

fn sentences(messages: &[Said]) -> Vec<Sentence> {
    let mut numbers = BTreeMap::new();
    let mut sentences = Vec::new();
    for (message, said) in messages.iter().enumerate() {
        sentences.extend(split(&said.text).into_iter().take(SENTENCES_OF_ONE).map(|text| {
            let mut words: Vec<usize> = words(&text)
                .take(WORDS_OF_ONE)
                .map(|word| {
                    let next = numbers.len();
                    *numbers.entry(word).or_insert(next)
                })
                .collect();
            words.sort_unstable();
            words.dedup();
            Sentence { by: said.by, message, text: fitted(&text, CHARS_OF_ONE), words: words.into_iter().map(|word| (word, 0.0)).collect() }
        }));
    }
    let tells = |sentence: &Sentence| sentence.words.len() >= WORDS_MIN || asks(sentence);
    let any_tells = sentences.iter().any(tells);
    sentences.retain(|sentence| !sentence.words.is_empty() && (tells(sentence) || !any_tells));
    let (first, latest) = (first_question(&sentences), sentences.len().saturating_sub(SENTENCES_MAX));
    let mut sentences: Vec<Sentence> =
        sentences.into_iter().enumerate().filter(|(at, _)| *at >= latest || Some(*at) == first).map(|(_, sentence)| sentence).collect();
    weigh(&mut sentences, numbers.len());
    sentences
}

/// What few sentences have weighs most.
fn weigh(sentences: &mut [Sentence], words: usize) {
    let mut having = vec![0.0; words];
    for (word, _) in sentences.iter().flat_map(|sentence| &sentence.words) {
        having[*word] += 1.0;
    }
    let all = sentences.len() as f64;
    for sentence in sentences {
        for (word, weight) in &mut sentence.words {
            *weight = (1.0 + all / having[*word]).ln();
        }
        let length = sentence.words.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt();
        sentence.words.iter_mut().for_each(|(_, weight)| *weight /= length);
    }
}

fn say_the_same(one: &Sentence, other: &Sentence) -> bool {
    likeness(one, other) >= if one.by == other.by { ALIKE } else { ALIKE_ACROSS }
}

/// Between 0, nothing in common, and 1, the same words.
fn likeness(one: &Sentence, other: &Sentence) -> f64 {
    let (mut one, mut other) = (one.words.as_slice(), other.words.as_slice());
    let mut sum = 0.0;
    while let ([(a, x), ones @ ..], [(b, y), others @ ..]) = (one, other) {
        match a.cmp(b) {
            std::cmp::Ordering::Less => one = ones,
            std::cmp::Ordering::Greater => other = others,
            std::cmp::Ordering::Equal => {
                sum += x * y;
                (one, other) = (ones, others);
            }
        }
    }
    sum
}

/// How much each sentence is like others that are like others (TextRank).
fn centrality(sentences: &[Sentence]) -> Vec<f64> {
    let count = sentences.len();
    let links: Vec<Vec<f64>> = sentences
        .iter()
        .enumerate()
        .map(|(at, one)| sentences.iter().enumerate().map(|(to, other)| if at == to { 0.0 } else { likeness(one, other) }).collect())
        .collect();
    let given: Vec<f64> = links.iter().map(|row: &Vec<f64>| row.iter().sum()).collect();
    let mut rank = vec![1.0; count];
    for _ in 0..ROUNDS {
        rank = (0..count)
            .map(|to| {
                let taken: f64 = (0..count).filter(|from| given[*from] > 0.0).map(|from| rank[from] * links[from][to] / given[from]).sum();
                1.0 - DAMPING + DAMPING * taken
            })
            .collect();
    }
    rank
}

/// Which sentences stay, the most telling first.
fn kept(sentences: &[Sentence]) -> Vec<usize> {
    let last = sentences.last().map_or(0, |sentence| sentence.message);
    let weights = centrality(sentences);
    let weight = |at: usize| weights[at] * standing(&sentences[at], last);
    let mut kept: Vec<usize> = first_question(sentences).into_iter().collect();
    let mut room = SUMMARY_CHARS_MAX.saturating_sub(kept.iter().map(|at| sentences[*at].text.chars().count()).sum());
    // What the team said comes first: a question with questions is half a note.
    for only_team in [true, false] {
        while kept.len() < KEPT_MAX {
            let fits = |at: &usize| {
                let sentence = &sentences[*at];
                (!only_team || sentence.by == Speaker::Human)
                    && sentence.text.chars().count() + TURN.len() <= room
                    && !kept.iter().any(|other| say_the_same(sentence, &sentences[*other]))
            };
            // Of two with the same weight the earlier.
            let best =
                (0..sentences.len()).filter(|at| !kept.contains(at)).filter(fits).rev().max_by(|a, b| weight(*a).total_cmp(&weight(*b)));
            let Some(best) = best else { break };
            room -= sentences[best].text.chars().count() + TURN.len();
            kept.push(best);
            if only_team {
                break;
            }
        }
    }
    kept
}

/// What a sentence's place does for it: what came of a conversation stands at its end, what a machine says is said to everybody,
/// and very short or very long ones are rarely to the point.
fn standing(sentence: &Sentence, last: usize) -> f64 {
    let at_the_end = sentence.message * 4 >= last * 3;
    let mut standing = if at_the_end { 1.25 } else { 1.0 };
    if sentence.by == Speaker::Machine {
        standing *= 0.4;
    }
    if !(4..=30).contains(&sentence.words.len()) {
        standing *= 0.8;
    }
    standing
}

/// The contact's first question; where nothing is a question, the first thing said.
fn first_question(sentences: &[Sentence]) -> Option<usize> {
    let of_contact = |sentence: &Sentence| sentence.by == Speaker::Contact;
    sentences.iter().position(asks).or_else(|| sentences.iter().position(of_contact))
}

/// Whether a contact asks something with it.
fn asks(sentence: &Sentence) -> bool {
    let end = sentence.text.trim_end_matches(|last: char| !last.is_alphanumeric() && !['?', '？', '؟', '՞', ';'].contains(&last));
    sentence.by == Speaker::Contact && end.ends_with(['?', '？', '؟', '՞', ';'])
}

#[cfg(test)]
mod tests {
    use super::super::testing::transcript;
    use super::*;
    use Speaker::{Contact, Human, Machine};

    #[test]
    fn l11_a_summary_is_the_question_and_what_it_came_to() {
        let conversation = transcript(&[
            (Machine, "Welcome! An agent will be with you shortly."),
            (Contact, "Hi there. My parcel from order 4711 has not arrived. Where is my parcel now?"),
            (Human, "Hello Ana! Let me look."),
            (Human, "The parcel of order 4711 is at the customs office in Lyon since Monday."),
            (Contact, "oh ok"),
            (Contact, "Do I have to pay customs for the parcel?"),
            (Human, "No, we pay the customs, and the parcel arrives on Friday."),
            (Contact, "Great, thanks!"),
        ]);
        let summary = summary(&conversation).unwrap();
        assert!(summary.contains("Where is my parcel now? – ") && summary.contains("No, we pay the customs"), "{summary}");
        for idle in ["Welcome", "Hi there", "look", "thanks", " ok"] {
            assert!(!summary.contains(idle), "{idle}: {summary}");
        }
    }

    #[test]
    fn l11_what_was_said_twice_is_in_it_once() {
        let again = "The router must be restarted with the red button at the back.";
        let conversation =
            transcript(&[(Contact, "Why is my router offline?"), (Human, again), (Contact, "how?"), (Human, again), (Human, again)]);
        assert_eq!(summary(&conversation).unwrap(), format!("Why is my router offline?{TURN}{again}"));
    }

    #[test]
    fn l11_sentences_stay_in_the_order_in_which_they_were_said() {
        let context = "The new display driver flickers since the update of Monday.";
        let conversation = transcript(&[(Contact, &format!("{context} Which driver should I install?")), (Human, "Install driver 390.")]);
        assert_eq!(summary(&conversation).unwrap(), format!("{context} Which driver should I install?{TURN}Install driver 390."));
        // However long it goes on, what was asked first is kept.
        let later: Vec<String> =
            (0..99).map(|n| format!("Message {n} has words {} and {} of its own. ", n * 7, n * 11).repeat(3)).collect();
        let mut messages = vec![(Contact, "Which driver should I install?")];
        messages.extend(later.iter().map(|text| (Human, text.as_str())));
        assert!(summary(&transcript(&messages)).unwrap().starts_with("Which driver should I install? – "));
    }

    #[test]
    fn l10_it_fits_into_a_note_whatever_was_written() {
        let long = "word ".repeat(5_000);
        let sentences: String = (0..900).map(|n| format!("Sentence number{n} speaks of thing{} and thing{}. ", n % 7, n % 11)).collect();
        let thai = "ขอคืนเงินได้ไหม".repeat(90);
        for text in [&*long, &sentences, &thai, "👍", "ok", "返金してください。いつ届きますか？", "a"] {
            for by in [Contact, Human, Machine] {
                let one = summary(&transcript(&[(by, text)]));
                let many = summary(&transcript(&[(by, text); 100]));
                for summary in [one, many].into_iter().flatten() {
                    assert!(!summary.is_empty() && summary.chars().count() <= SUMMARY_CHARS_MAX, "{summary}");
                }
            }
        }
        assert_eq!(summary(&transcript(&[(Contact, "👍")])), None);
        assert_eq!(summary(&transcript(&[(Contact, "ok")])).as_deref(), Some("ok"));
    }

    #[test]
    fn l11_sentences_end_where_their_language_ends_them() {
        let conversation =
            transcript(&[(Contact, "こんにちは。注文はいつ届きますか？よろしくお願いします。"), (Human, "注文は金曜日に届きます。")]);
        assert_eq!(summary(&conversation).unwrap(), format!("注文はいつ届きますか？{TURN}注文は金曜日に届きます。"));
        let decimal = transcript(&[(Contact, "Does version 4.5.1 support e.g. printers? It says no.")]);
        assert!(summary(&decimal).unwrap().starts_with("Does version 4.5.1 support e.g. printers?"));
        let link = "see https://example.com/find?q=modem!x and say";
        assert_eq!(split(&format!("Hm! {link}\n\n👍\r\nBye!! Now")), ["Hm!", link, "Bye!!", "Now"]);
    }
}

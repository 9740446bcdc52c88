//! A summary without a language model: of all that was written, the sentences
//! that say most, word for word and in their order.
//!
//! A word says the more the oftener it is used, small words left aside. Once a
//! sentence is taken, its words say less, so that the next one says something
//! else. The first and the last message count more: there stands what somebody
//! wanted, and where it ended.

use std::collections::BTreeMap;

/// Characters of one message that are looked at: an endless one must not use up
/// the plugin's fuel.
const LOOKED_AT: usize = 2_000;

/// Characters of one sentence that are told.
const TOLD: usize = 300;

/// What a word weighs for each time that it is used. Divided by
/// [`SAID_BEFORE`] whenever it is told, so it has to be a power of that.
const WEIGHT: u32 = 4 * 4 * 4 * 4 * 4;
const SAID_BEFORE: u32 = 4;

/// English words that say nothing by themselves. In other languages small words
/// count as others do, which makes a summary somewhat worse and not wrong.
const SMALL: &[&str] = &[
    "a", "about", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can",
    "could", "did", "do", "does", "don", "for", "from", "get", "had", "has", "have", "he", "hello", "her", "hey", "hi",
    "his", "how", "i", "if", "in", "is", "it", "just", "let", "me", "my", "no", "not", "now", "of", "ok", "okay", "on",
    "one", "or", "our", "out", "please", "she", "should", "so", "some", "thank", "thanks", "that", "the", "their",
    "them", "then", "there", "these", "they", "this", "to", "too", "up", "us", "was", "we", "well", "were", "what",
    "when", "where", "which", "who", "will", "with", "would", "yes", "you", "your",
];

/// What a dot stands behind without ending the sentence.
const ABBREVIATIONS: &[&str] = &["approx", "dr", "etc", "mr", "mrs", "ms", "no", "nr", "prof", "st", "vs"];

/// A sentence that may be told.
struct Sentence<'a> {
    text: &'a str,
    /// The words that say something, each once, as indices of their weights.
    words: Vec<usize>,
    /// In the first or the last message.
    at_an_end: bool,
}

/// At most so many sentences of the messages, oldest first as the messages are.
/// None if nothing was written.
pub(crate) fn summarise(messages: &[String], most: usize) -> Option<String> {
    let (mut sentences, mut weights) = read(messages);
    let mut told = Vec::new();
    while told.len() < most {
        let best = (0..sentences.len())
            .filter(|at| !told.contains(at))
            // Of equals the later one is newer.
            .max_by_key(|at| (score(&sentences[*at], &weights), *at));
        let Some(best) = best else { break };
        for word in std::mem::take(&mut sentences[best].words) {
            weights[word] /= SAID_BEFORE;
        }
        told.push(best);
    }
    told.sort_unstable();
    let told: Vec<String> = told.into_iter().map(|at| whole(sentences[at].text)).collect();
    (!told.is_empty()).then(|| told.join(" "))
}

/// What was written, each sentence once, and what the words weigh.
fn read(messages: &[String]) -> (Vec<Sentence<'_>>, Vec<u32>) {
    let mut sentences = Vec::new();
    let mut weights = Vec::new();
    let mut known = BTreeMap::new();
    let mut read = BTreeMap::new();
    let last = messages.len().saturating_sub(1);
    for (number, message) in messages.iter().enumerate() {
        for text in split(beginning(message, LOOKED_AT)) {
            let spoken = words(text);
            // What was said twice (or sent and delivered) is told once, and
            // weighs once.
            if spoken.is_empty() || read.insert(spoken.clone(), ()).is_some() {
                continue;
            }
            let mut words = Vec::new();
            for word in spoken {
                if SMALL.binary_search(&word.as_str()).is_ok() {
                    continue;
                }
                let word = *known.entry(word).or_insert_with(|| {
                    weights.push(0);
                    weights.len() - 1
                });
                weights[word] += WEIGHT;
                if !words.contains(&word) {
                    words.push(word);
                }
            }
            sentences.push(Sentence { text, words, at_an_end: number == 0 || number == last });
        }
    }
    (sentences, weights)
}

/// The mean weight of the words, as if there were a few more that weigh
/// nothing: two words cannot say as much as ten.
fn score(sentence: &Sentence<'_>, weights: &[u32]) -> u64 {
    let sum: u64 = sentence.words.iter().map(|word| u64::from(weights[*word])).sum();
    let mean = 16 * sum / (sentence.words.len() as u64 + 4);
    if sentence.at_an_end { mean + mean / 2 } else { mean }
}

/// The sentences of a text, each without the space around it. A line's end is a
/// sentence's.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut start = 0;
    let mut letters = text.char_indices().peekable();
    let mut sentences = Vec::new();
    while let Some((at, letter)) = letters.next() {
        let end = at + letter.len_utf8();
        let followed = letters.peek().is_none_or(|(_, next)| next.is_whitespace());
        let ends = match letter {
            '\n' | '\r' | '。' | '！' | '？' => true,
            '!' | '?' | '…' => followed,
            '.' => followed && !is_abbreviated(&text[start..at]),
            _ => false,
        };
        if ends {
            sentences.push(&text[start..end]);
            start = end;
        }
    }
    sentences.push(&text[start..]);
    sentences.into_iter().map(str::trim).filter(|sentence| !sentence.is_empty())
}

/// Whether what stands before a dot is no sentence's end: `Dr`, `e.g`, `J`, and
/// the `1` of a numbered list.
fn is_abbreviated(before: &str) -> bool {
    let word = before.rsplit(char::is_whitespace).next().unwrap_or_default();
    let letters = word.rsplit('.').next().unwrap_or_default();
    let is_initial = letters.chars().count() == 1 && !letters.chars().all(|letter| letter.is_ascii_digit());
    let is_number_of_a_list = before.trim().bytes().all(|letter| letter.is_ascii_digit());
    is_initial || is_number_of_a_list || ABBREVIATIONS.contains(&letters.to_lowercase().as_str())
}

/// The words in lower case, without what follows an apostrophe: `it's` is `it`.
fn words(sentence: &str) -> Vec<String> {
    let is_between = |letter: char| !letter.is_alphanumeric() && !matches!(letter, '\'' | '’');
    let words = sentence.split(is_between).filter_map(|word| word.split(['\'', '’']).find(|part| !part.is_empty()));
    words.map(str::to_lowercase).collect()
}

/// As it is told: in one line, not too long, and with an end.
fn whole(sentence: &str) -> String {
    let text = sentence.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut = beginning(&text, TOLD);
    if cut.len() < text.len() {
        return format!("{}…", cut.rsplit_once(' ').map_or(cut, |(words, _)| words));
    }
    match text.ends_with(|last: char| last.is_alphanumeric()) {
        true => text + ".",
        false => text,
    }
}

fn beginning(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(messages: &[&str], most: usize, expected: Option<&str>) {
        let messages: Vec<String> = messages.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(summarise(&messages, most).as_deref(), expected, "{messages:?}");
    }

    #[track_caller]
    fn check_split(text: &str, expected: &[&str]) {
        assert_eq!(split(text).collect::<Vec<_>>(), expected, "{text}");
    }

    const CHAT: &[&str] = &[
        "Hi, do you have the green jacket in M?",
        "Hello! Let me have a look.",
        "The green jacket in M is in stock. It costs 49.90 with free delivery.",
        "Great",
        "Where do you live?",
        "In Berlin. Can the jacket be here by Friday?",
        "Yes, delivery to Berlin takes two days.",
        "Then please order the green jacket for me, thanks!",
    ];

    #[test]
    fn what_is_said_most_is_told_in_its_order() {
        check(CHAT, 1, Some("Hi, do you have the green jacket in M?"));
        check(
            CHAT,
            3,
            Some(
                "Hi, do you have the green jacket in M? Yes, delivery to Berlin takes two days. \
                 Then please order the green jacket for me, thanks!",
            ),
        );
    }

    #[test]
    fn few_sentences_are_all_told() {
        check(&["One thing", "another thing!"], 3, Some("One thing. another thing!"));
        check(&["Who are you?"], 3, Some("Who are you?"));
        check(&["Größe  L\n\nbitte"], 3, Some("Größe L. bitte."));
        check(&["你好。有货吗？"], 3, Some("你好。 有货吗？"));
        check(&[], 3, None);
        check(&["", " \n", "?!", "👍"], 3, None);
    }

    #[test]
    fn what_was_said_before_is_told_once() {
        check(&["Is it paid?", "is it paid", "IS IT PAID???"], 3, Some("Is it paid?"));
        let twice = ["The order is late.", "Late is the order again.", "The order is late!", "My dog is ill."];
        check(&twice, 2, Some("The order is late. My dog is ill."));
    }

    #[test]
    fn long_ones_are_cut() {
        let long = "word ".repeat(100);
        check(&[&long], 1, Some(&format!("{}…", "word ".repeat(60).trim_end())));
        check(&[&"x".repeat(3_000)], 1, Some(&format!("{}…", "x".repeat(300))));
        let far = format!("Here. {}There is the end.", " ".repeat(2_000));
        check(&[&far], 3, Some("Here."));
    }

    #[test]
    fn sentences_end_where_they_end() {
        check_split("One. Two! Three? Four", &["One.", "Two!", "Three?", "Four"]);
        check_split("It costs 3.50 at shop.example.com now.", &["It costs 3.50 at shop.example.com now."]);
        check_split("Dr. Who, e.g. J. Doe, etc. and so on. Yes.", &["Dr. Who, e.g. J. Doe, etc. and so on.", "Yes."]);
        check_split("1. Milk\n2. Eggs", &["1. Milk", "2. Eggs"]);
        check_split("It was 7. Then 8.", &["It was 7.", "Then 8."]);
        check_split("What?! No... Well… yes", &["What?!", "No...", "Well…", "yes"]);
        check_split("", &[]);
    }

    #[test]
    fn the_small_words_are_in_order() {
        assert!(SMALL.is_sorted() && ABBREVIATIONS.is_sorted());
    }
}

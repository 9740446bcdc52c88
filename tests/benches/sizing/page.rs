//! The page that has the tables: each part between `<!-- sizing: NAME -->` and
//! `<!-- sizing: end -->`.

use std::path::Path;

const END: &str = "<!-- sizing: end -->";

/// Puts each part where the one of its name was.
pub(crate) fn fill(page: &str, parts: &[(&str, String)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    let mut text = std::fs::read_to_string(&path).expect("the page is there");
    for (name, part) in parts {
        let begin = format!("<!-- sizing: {name} -->\n");
        let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("the page has no place for {name}"));
        let (_, after) = rest.split_once(END).expect("every place has an end");
        text = format!("{before}{begin}\n{}\n\n{END}{after}", part.trim_end());
    }
    std::fs::write(path, text).expect("it can be written");
}

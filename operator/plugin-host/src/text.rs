//! Cutting text to a number of bytes without breaking a character.

/// At most `max` bytes from the beginning.
pub(crate) fn start(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or_default()
}

/// At most `max` bytes from the end.
pub(crate) fn end(text: &str, max: usize) -> &str {
    text.get(text.ceil_char_boundary(text.len().saturating_sub(max))..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn characters_stay_whole() {
        assert_eq!(super::start("aä", 2), "a");
        assert_eq!(super::end("äa", 2), "a");
        assert_eq!(super::start("aä", 9), "aä");
        assert_eq!(super::end("aä", 0), "");
    }
}

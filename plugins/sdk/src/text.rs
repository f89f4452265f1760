//! A user's string where only some characters may stand.

/// Percent-encoded (RFC 3986): every byte but `A-Z a-z 0-9 - . _ ~` as `%XX`. The same as [`crate::Secret::percent`]
/// for a text that the plugin has in its hands.
pub fn percent(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// A readable piece for a part's name: lower case letters, digits and `-`, at most 32 characters, maybe none.
/// Different texts may give the same: add what makes it unique.
pub fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(32);
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_bytes_stay() {
        assert_eq!(percent("aZ09-._~"), "aZ09-._~");
        assert_eq!(percent("p@ss/\"ü\0"), "p%40ss%2F%22%C3%BC%00");
    }

    #[test]
    fn slugs_are_names() {
        assert_eq!(slug("Orders DB"), "orders-db");
        assert_eq!(slug("--../$(x)\n"), "x");
        assert_eq!(slug("日本"), "");
        assert_eq!(slug(&"ab".repeat(50)).len(), 32);
        assert_eq!(slug(&format!("{} x", "a".repeat(31))), "a".repeat(31));
    }
}

//! What others say, made fit for status, events, logs and terminals.

/// At most `max` characters, none of them a control character or one that turns the direction of text. What is left out
/// shows by an ellipsis.
pub fn fit(text: &str, max: usize) -> String {
    let misleading =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let text = text.trim();
    let mut fit: String = text.chars().take(max).map(|c| if misleading(c) { ' ' } else { c }).collect();
    if text.chars().nth(max).is_some() {
        fit.push('…');
    }
    fit
}

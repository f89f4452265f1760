//! What commands print: tables for people, JSON and YAML for programs.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

use crate::ending::Unusable;

/// For whom a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// People.
    Table,
    /// Programs.
    Json,
}

/// Prints text as it is.
pub(crate) fn print(text: &str) -> Result<(), Unusable> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Prints pretty JSON.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Unusable> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
    print(&format!("{text}\n"))
}

/// One YAML document of it, beginning with `---`.
pub(crate) fn yaml_document(value: &impl Serialize) -> Result<String, Unusable> {
    let text = serde_saphyr::to_string(value).map_err(io::Error::other)?;
    Ok(format!("---\n{}\n", text.trim_end()))
}

/// Rows with aligned columns, two spaces apart. Cells are hostile: no terminal obeys what stands in them.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        // Not by `{:width$}`, which panics above 65,535.
        let padded = |(cell, width): (&String, &usize)| {
            let cell = cell.replace(char::is_control, " ");
            let rest = width.saturating_sub(cell.chars().count());
            cell + &" ".repeat(rest)
        };
        let cells: Vec<_> = row.iter().zip(&widths).map(padded).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_nothing_trails() {
        let row = |cells: &[&str]| cells.iter().map(ToString::to_string).collect();
        let rows = [row(&["NAME", "SIZE", ""]), row(&["ä", "1"]), row(&["long name", "", "x"])];
        assert_eq!(table(&rows), "NAME       SIZE\nä          1\nlong name        x\n");
    }

    #[test]
    fn a_cell_may_be_anything() {
        let long = "x".repeat(70_000);
        let text = table(&[vec![long.clone(), "\u{1b}[2J\n".into()], vec!["y".into(), "z".into()]]);
        assert!(text.starts_with(&format!("{long}   [2J\ny ")), "{}", text.len());
    }
}

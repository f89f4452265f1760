//! Bytes, to read.

/// Bytes, to read: at most four digits and a binary unit.
pub fn size(bytes: i64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut tenths = i128::from(bytes.max(0)) * 10;
    if tenths < 10_240 {
        return format!("{} B", bytes.max(0));
    }
    let mut unit = "B";
    for next in UNITS {
        // What would be shown as 1024.0 belongs to the next unit.
        if tenths < 10_235 {
            break;
        }
        tenths = (tenths + 512) / 1024;
        unit = next;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_at_a_glance() {
        for (bytes, text) in [
            (-1, "0 B"),
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_575, "1.0 MiB"),
            (1_048_576, "1.0 MiB"),
            (123_456_789, "117.7 MiB"),
            (5 << 40, "5.0 TiB"),
            (i64::MAX, "8192.0 PiB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
    }
}

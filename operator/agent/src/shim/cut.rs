//! Where a stream ends for us, although it goes on.

/// Looks for bytes in a stream.
#[derive(Debug)]
pub(crate) struct Cut {
    mark: Vec<u8>,
    /// The last bytes, in which the mark may have begun.
    held: Vec<u8>,
    reached: bool,
}

impl Cut {
    pub(crate) fn new(mark: &[u8]) -> Self {
        Self { mark: mark.to_vec(), held: Vec::new(), reached: false }
    }

    /// The part of `piece` up to the end of the mark; all of it as long as that does not come.
    pub(crate) fn take<'p>(&mut self, piece: &'p [u8]) -> &'p [u8] {
        let before = self.held.len();
        self.held.extend_from_slice(piece);
        let found = self.held.windows(self.mark.len().max(1)).position(|window| window == self.mark);
        if let Some(at) = found {
            self.reached = true;
            return piece.get(..(at + self.mark.len()).saturating_sub(before)).unwrap_or_default();
        }
        let done = self.held.len().saturating_sub(self.mark.len().saturating_sub(1));
        self.held.drain(..done);
        piece
    }

    /// Nothing more is wanted.
    pub(crate) fn is_reached(&self) -> bool {
        self.reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_ends_behind_the_mark_wherever_it_stands() {
        for (pieces, expected, reached) in [
            (&["abXYcd", "e"][..], "abXY", true),
            (&["abX", "Ycd"], "abXY", true),
            (&["a", "X", "Y", "c"], "aXY", true),
            (&["XXY", "c"], "XXY", true),
            (&["XaY", "X"], "XaYX", false),
            (&[""], "", false),
        ] {
            let mut cut = Cut::new(b"XY");
            let mut out = Vec::new();
            for piece in pieces {
                if !cut.is_reached() {
                    out.extend(cut.take(piece.as_bytes()));
                }
            }
            assert_eq!(
                (String::from_utf8_lossy(&out).as_ref(), cut.is_reached()),
                (expected, reached),
                "{pieces:?}"
            );
        }
    }
}

//! Stretches of positions, in which what an index finds can lie.

/// Two positions and everything between them.
pub(crate) type Span = (u64, u64);

/// The spans within `bounds`, in the order of reading, each position in one of them.
pub(crate) fn merged(mut spans: Vec<Span>, bounds: Span, backwards: bool) -> Vec<Span> {
    spans.sort_unstable();
    let mut merged: Vec<Span> = Vec::new();
    for (first, last) in spans {
        let (first, last) = (first.max(bounds.0), last.min(bounds.1));
        if first > last {
            continue;
        }
        match merged.last_mut() {
            Some(before) if first <= before.1 + 1 => before.1 = before.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    if backwards {
        merged.reverse();
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_meet_and_stay_within_bounds() {
        let spans = vec![(64, 127), (1, 3), (4, 5), (100, 130), (200, 300)];
        assert_eq!(merged(spans.clone(), (2, 250), false), [(2, 5), (64, 130), (200, 250)]);
        assert_eq!(merged(spans, (2, 250), true), [(200, 250), (64, 130), (2, 5)]);
    }
}

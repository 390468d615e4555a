//! Authorities that gRPC's C core makes of socket paths and of lists of addresses.
//!
//! Such as `%2Frun%2Fpdp` or `10.0.0.1:1,10.0.0.2:1` are no hosts, and h2 takes nothing else: it would reset each call of
//! such a client. Nobody here looks at an authority, so whatever is no part of a name is overwritten as bytes come in, in
//! its place: no length changes, and what later calls refer to in HPACK's table is what was written there.

const PREFACE: usize = 24;
const HEAD: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
const NAME: &[u8] = b":authority";
/// Its index in HPACK's static table.
const INDEX: u8 = 1;
const INSTEAD: u8 = b'-';

/// Follows the frames that a connection receives.
#[derive(Debug)]
pub struct Authorities {
    /// Bytes that are yet to come of what is not looked at: the preface, other frames' payloads, padding.
    skipped: usize,
    head: [u8; HEAD],
    known: usize,
    /// Whether the next byte tells how much padding there is.
    padded: bool,
    /// Bytes to come of a header block's frame, between its priority and its padding.
    priority: usize,
    block: usize,
    padding: usize,
    state: State,
}

/// What the next byte of a header block belongs to.
#[derive(Debug, Clone, Copy)]
enum State {
    Field,
    /// A number that goes on; then comes the field's value, or the next field.
    Number {
        value: bool,
    },
    Length(Text),
    LongLength {
        text: Text,
        huffman: bool,
        length: usize,
        shift: u32,
    },
    Text {
        text: Text,
        left: usize,
        at: usize,
    },
}

/// What a text is.
#[derive(Debug, Clone, Copy)]
enum Text {
    /// The name of a field; as far as it is known that of an authority.
    Name(bool),
    /// The value of one that is an authority, or of another.
    Value(bool),
}

impl Default for Authorities {
    fn default() -> Self {
        Self {
            skipped: PREFACE,
            head: [0; HEAD],
            known: 0,
            padded: false,
            priority: 0,
            block: 0,
            padding: 0,
            state: State::Field,
        }
    }
}

impl Authorities {
    /// Looks at the next bytes that came.
    pub fn pass(&mut self, mut data: &mut [u8]) {
        while !data.is_empty() {
            let used = self.step(data);
            data = &mut data[used..];
        }
    }

    /// Takes some bytes, at least one; returns how many.
    fn step(&mut self, data: &mut [u8]) -> usize {
        if self.skipped > 0 {
            return take(&mut self.skipped, data.len());
        }
        if self.known < HEAD {
            self.head[self.known] = data[0];
            self.known += 1;
            if self.known == HEAD {
                self.begin();
            }
            return 1;
        }
        if self.padded {
            self.padded = false;
            self.padding = usize::from(data[0]);
            self.block = self.block.saturating_sub(1 + self.padding);
            self.end();
            return 1;
        }
        if self.priority > 0 {
            return take(&mut self.priority, data.len());
        }
        let used = self.block.min(data.len());
        self.fields(&mut data[..used]);
        self.block -= used;
        self.end();
        used
    }

    /// A frame begins whose head is known.
    fn begin(&mut self) {
        let [a, b, c, kind, flags, ..] = self.head;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        if kind != HEADERS && kind != CONTINUATION {
            self.skipped = length;
            self.known = 0;
            return;
        }
        (self.block, self.padding, self.padded, self.priority) = (length, 0, false, 0);
        if kind == HEADERS {
            self.state = State::Field;
            self.padded = flags & PADDED != 0 && length > 0;
            if flags & PRIORITY != 0 {
                self.priority = 5.min(length);
                self.block -= self.priority;
            }
        }
        self.end();
    }

    /// Goes on to the next frame where this one has no more of its block.
    fn end(&mut self) {
        if self.block == 0 && !self.padded {
            self.skipped = self.priority + self.padding;
            (self.priority, self.known) = (0, 0);
        }
    }

    fn fields(&mut self, mut data: &mut [u8]) {
        while let Some(first) = data.first().copied() {
            let mut used = 1;
            self.state = match self.state {
                State::Field => field(first),
                State::Number { value } if first & 0x80 != 0 => State::Number { value },
                State::Number { value: true } => State::Length(Text::Value(false)),
                State::Number { value: false } => State::Field,
                State::Length(text) if first & 0x7f == 0x7f => {
                    State::LongLength { text, huffman: first & 0x80 != 0, length: 0x7f, shift: 0 }
                }
                State::Length(text) => begun(text, first & 0x80 != 0, usize::from(first & 0x7f)),
                State::LongLength { text, huffman, length, shift } => {
                    let more = usize::from(first & 0x7f).checked_shl(shift).unwrap_or(0);
                    let length = length.saturating_add(more);
                    if first & 0x80 != 0 {
                        State::LongLength { text, huffman, length, shift: shift.saturating_add(7) }
                    } else {
                        begun(text, huffman, length)
                    }
                }
                State::Text { text, left, at } => {
                    used = left.min(data.len());
                    read(text, &mut data[..used], left, at)
                }
            };
            data = &mut data[used..];
        }
    }
}

/// What comes behind the first byte of a field.
const fn field(first: u8) -> State {
    let (prefix, literal) = match first {
        0x80.. => (0x7f, false),
        0x40.. => (0x3f, true),
        0x20.. => (0x1f, false),
        _ => (0x0f, true),
    };
    let number = first & prefix;
    if number == prefix {
        State::Number { value: literal }
    } else if !literal {
        State::Field
    } else if number == 0 {
        State::Length(Text::Name(true))
    } else {
        State::Length(Text::Value(number == INDEX))
    }
}

/// A text begins.
const fn begun(text: Text, huffman: bool, length: usize) -> State {
    let text = match text {
        Text::Name(_) => Text::Name(!huffman && length == NAME.len()),
        Text::Value(authority) => Text::Value(authority && !huffman),
    };
    if length == 0 { after(text) } else { State::Text { text, left: length, at: 0 } }
}

/// A piece of a text, of which so many bytes are left.
fn read(text: Text, piece: &mut [u8], left: usize, at: usize) -> State {
    let text = match text {
        Text::Name(same) => Text::Name(same && NAME.get(at..at + piece.len()) == Some(&*piece)),
        Text::Value(authority) => {
            if authority {
                piece
                    .iter_mut()
                    .filter(|byte| !byte.is_ascii_alphanumeric() && **byte != b'.')
                    .for_each(|byte| *byte = INSTEAD);
            }
            text
        }
    };
    if piece.len() == left { after(text) } else { State::Text { text, left: left - piece.len(), at: at + piece.len() } }
}

const fn after(text: Text) -> State {
    match text {
        Text::Name(authority) => State::Length(Text::Value(authority)),
        Text::Value(_) => State::Field,
    }
}

/// Takes what is there of what is left.
fn take(left: &mut usize, there: usize) -> usize {
    let used = there.min(*left);
    *left -= used;
    used
}

#[cfg(test)]
mod tests {
    use super::{Authorities, HEADERS, PADDED, PREFACE, PRIORITY};

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    /// What comes of bytes behind a preface, in pieces of each size.
    fn passed(data: &[u8]) -> Vec<u8> {
        let whole = [&[b'%'; PREFACE][..], data].concat();
        let mut found = Vec::new();
        for size in 1..=whole.len() {
            let (mut made, mut authorities) = (whole.clone(), Authorities::default());
            made.chunks_mut(size).for_each(|piece| authorities.pass(piece));
            assert!(found.is_empty() || found == made, "in pieces of {size}");
            found = made;
        }
        found[PREFACE..].to_vec()
    }

    #[test]
    fn what_is_no_name_is_overwritten_in_authorities_alone() {
        let block = [&b"\x83\x41\x06a%2:b,\x00\x0a:authority\x03%41\x00\x01a\x02%%\x40\x02%%\x01%"[..], b"\x04\x03%%%"]
            .concat();
        let right = [&b"\x83\x41\x06a-2-b-\x00\x0a:authority\x03-41\x00\x01a\x02%%\x40\x02%%\x01%"[..], b"\x04\x03%%%"]
            .concat();
        let padded = |block: &[u8]| [&[3][..], b"%%%%%", block, b"%%%"].concat();

        assert_eq!(passed(&frame(HEADERS, 4, &block)), frame(HEADERS, 4, &right));
        let flags = 4 | PADDED | PRIORITY;
        assert_eq!(passed(&frame(HEADERS, flags, &padded(&block))), frame(HEADERS, flags, &padded(&right)));
    }

    #[test]
    fn blocks_go_on_in_further_frames_and_other_frames_are_left_alone() {
        let data = frame(0, 1, b"\x41\x02%%");
        let (first, rest) = (frame(HEADERS, 0, b"\x41\x04%"), frame(9, 4, b"%%%\x82"));
        let right = [frame(HEADERS, 0, b"\x41\x04-"), frame(9, 4, b"---\x82"), data.clone()].concat();

        assert_eq!(passed(&[first, rest, data].concat()), right);
    }

    #[test]
    fn huffman_codes_and_long_numbers_are_passed_over() {
        let block = b"\x41\x82%%\x7f\x80\x01\x02%%\xff\x05\x41\x7f\x01";
        let value = [b'%'; 128];
        let right = [&block[..], &[b'-'; 128], b"\x82"].concat();

        assert_eq!(passed(&frame(HEADERS, 4, &[&block[..], &value, b"\x82"].concat())), frame(HEADERS, 4, &right));
    }
}

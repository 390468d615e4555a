//! As much of protobuf's wire format as plain requests need (`protobuf.py`). What is not plain is read in Python.

/// A CheckCallRequest.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Call<'a> {
    pub caller: &'a [u8],
    pub extension: &'a [u8],
    pub outcall: &'a [u8],
    pub tenant: &'a [u8],
    pub at_least_revision: i64,
    /// Whose forward or transfer sends the call on.
    pub forwarded_by: &'a [u8],
}

impl<'a> Call<'a> {
    /// The user whose permissions decide.
    #[inline]
    pub const fn asker(&self) -> &'a [u8] {
        if self.forwarded_by.is_empty() { self.caller } else { self.forwarded_by }
    }
}

/// Reads a CheckCallRequest; `None`: it holds something else, or is none.
#[inline]
pub fn call(data: &[u8]) -> Option<Call<'_>> {
    let mut call = Call::default();
    let mut rest = data;
    while let [tag, after @ ..] = rest {
        if *tag == 0x28 {
            let (value, left) = varint(after)?;
            call.at_least_revision = value.cast_signed();
            rest = left;
            continue;
        }
        let (text, left) = delimited(after)?;
        // A field may come again; then it is the last that counts, but all must be text.
        if !text.is_ascii() && std::str::from_utf8(text).is_err() {
            return None;
        }
        match tag {
            0x0a => call.caller = text,
            0x12 => call.extension = text,
            0x1a => call.outcall = text,
            0x22 => call.tenant = text,
            0x32 => call.forwarded_by = text,
            _ => return None,
        }
        rest = left;
    }
    Some(call)
}

/// The next call of a CheckCallsRequest, and what is behind it.
pub fn next_call(data: &[u8]) -> Option<(Call<'_>, &[u8])> {
    let (&tag, after) = data.split_first()?;
    let (message, rest) = delimited(after)?;
    (tag == 0x0a).then(|| call(message)).flatten().map(|call| (call, rest))
}

/// Reads a StreamCheckCallsRequest: its id, and its call in protobuf's form; `None` as of `call`.
pub fn stream_request(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut id, mut call, mut rest) = (&[][..], None, data);
    while let [tag, after @ ..] = rest {
        let (content, left) = delimited(after)?;
        match tag {
            0x0a if std::str::from_utf8(content).is_ok() => id = content,
            // A message that comes again is one with the first.
            0x12 if call.is_none() => call = Some(content),
            _ => return None,
        }
        rest = left;
    }
    Some((id, call?))
}

fn delimited(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = varint(data)?;
    rest.split_at_checked(usize::try_from(length).ok()?)
}

#[inline]
fn varint(data: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (at, &byte) in data.iter().take(10).enumerate() {
        if at == 9 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Some((value, &data[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{call, next_call, stream_request};

    #[test]
    fn the_last_of_equal_fields_counts() {
        let read = call(b"\x0a\x01a\x0a\x01b\x12\x0210\x28\x07").unwrap();
        assert_eq!((read.caller, read.extension, read.at_least_revision), (&b"b"[..], &b"10"[..], 7));
    }

    #[test]
    fn what_is_not_plain_is_left_to_others() {
        for data in [&b"\x0a\x02a"[..], b"\x0a\x01\xff", b"\x3a\x01a", b"\x0a", b"\x28", b"\x08\x01"] {
            assert_eq!(call(data), None);
        }
    }

    #[test]
    fn requests_of_a_stream_have_an_id_and_a_call() {
        assert_eq!(stream_request(b"\x12\x03\x12\x011\x0a\x01a"), Some((&b"a"[..], &b"\x12\x011"[..])));
        for data in [&b"\x0a\x01a"[..], b"\x12\x00\x12\x00", b"\x0a\x01\xff\x12\x00", b"\x1a\x00"] {
            assert_eq!(stream_request(data), None);
        }
    }

    #[test]
    fn calls_come_one_by_one() {
        let (first, rest) = next_call(b"\x0a\x03\x12\x011\x0a\x00").unwrap();
        assert_eq!((first.extension, rest), (&b"1"[..], &b"\x0a\x00"[..]));
    }
}

//! Hashes of passwords, each in its owner's last place (`passwords.py`, and `_password` of `writer.py`).

use ring::hmac;

const SALT: usize = 16;
const RECORD: usize = 48;
/// The number where there is no password, or no key to hash it with.
const NO_SECRET: u32 = 0;

/// The section of a tenant's secrets.
#[derive(Debug)]
pub struct Secrets {
    key: Option<hmac::Key>,
    tenant: String,
    pub bytes: Vec<u8>,
    /// The numbers that are free to use again.
    free: Vec<u32>,
}

impl Secrets {
    /// `key`: the deployment's; `None`: there are no hashes.
    pub fn new(tenant: &str, key: Option<&[u8]>) -> Self {
        let key = key.map(|key| hmac::Key::new(hmac::HMAC_SHA256, key));
        Self { key, tenant: tenant.to_owned(), bytes: Vec::new(), free: Vec::new() }
    }

    /// The number of a password's hash, given its owner's kind and id and the number so far; without a password the
    /// place of that is wiped.
    pub fn set(&mut self, number: u32, kind: &str, id: &str, password: Option<&str>) -> u32 {
        let (Some(key), Some(password)) = (&self.key, password) else {
            if number != NO_SECRET {
                self.free.push(number);
                self.place(number).fill(0);
            }
            return NO_SECRET;
        };
        let owner = format!("salt\0{}/{kind}/{id}", self.tenant);
        let salt = &hmac::sign(key, owner.as_bytes()).as_ref()[..SALT].to_owned();
        let hash = hmac::sign(key, &[b"password\0", &salt[..], password.as_bytes()].concat());
        let number = if number == NO_SECRET { self.free.pop() } else { Some(number) };
        let number = number.unwrap_or_else(|| {
            self.bytes.resize(self.bytes.len() + RECORD, 0);
            (self.bytes.len() / RECORD) as u32
        });
        let place = self.place(number);
        place[..SALT].copy_from_slice(salt);
        place[SALT..].copy_from_slice(hash.as_ref());
        number
    }

    fn place(&mut self, number: u32) -> &mut [u8] {
        let end = number as usize * RECORD;
        &mut self.bytes[end - RECORD..end]
    }

    /// The key that signs.
    pub const fn key(&self) -> Option<&hmac::Key> {
        self.key.as_ref()
    }
}

//! A range of addresses.

use std::{fmt, net::IpAddr};

use crate::settings::read::Parsed;

/// A range of addresses: an address and the number of its leading bits that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// First address of the range.
    pub address: IpAddr,
    /// Leading bits that count: 0 to 32 or 128.
    pub prefix: u8,
}

pub(super) const NETWORK: Parsed<Network> = Parsed {
    expected: "a range of addresses such as \"10.1.0.0/16\", whose address has no bits behind the prefix",
    parse: Network::parse,
    show: ToString::to_string,
};

impl Network {
    /// Reads `10.1.0.0/16`, `fd00::/8` or a single address.
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address.parse().ok()?, Some(prefix.parse::<u8>().ok()?)),
            None => (text.parse().ok()?, None),
        };
        let (bits, width) = bits_of(address);
        let prefix = prefix.unwrap_or(width);
        // `10.1.2.3/16` is more likely a slip than a wish.
        (prefix <= width && bits & !mask(prefix, width) == 0).then_some(Self { address, prefix })
    }

    /// True when `address` lies in the range.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, width) = bits_of(self.address);
        let (other, other_width) = bits_of(address);
        width == other_width && (own ^ other) & mask(self.prefix, width) == 0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

fn bits_of(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

/// The leading `prefix` of `width` bits.
fn mask(prefix: u8, width: u8) -> u128 {
    let all = if width == 128 { u128::MAX } else { (1 << width) - 1 };
    let behind = u32::from(width.saturating_sub(prefix));
    all & all.checked_shl(behind).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_its_addresses_and_no_others() {
        let network = Network::parse("10.1.0.0/16").unwrap();
        assert!(network.contains("10.1.255.255".parse().unwrap()));
        assert!(!network.contains("10.2.0.0".parse().unwrap()));
        assert!(!network.contains("::ffff:10.1.0.1".parse().unwrap()));
        let network = Network::parse("fd00::/8").unwrap();
        assert!(network.contains("fdff::1".parse().unwrap()));
        assert!(!network.contains("fe80::1".parse().unwrap()));
        assert!(Network::parse("0.0.0.0/0").unwrap().contains("255.255.255.255".parse().unwrap()));
    }

    #[test]
    fn a_single_address_is_a_range_of_one() {
        let network = Network::parse("192.168.1.1").unwrap();
        assert_eq!(network.to_string(), "192.168.1.1/32");
        assert!(network.contains("192.168.1.1".parse().unwrap()));
        assert!(!network.contains("192.168.1.2".parse().unwrap()));
    }

    #[test]
    fn slips_are_refused() {
        for text in ["10.1.2.3/16", "10.0.0.0/33", "fd00::/129", "10.0.0/8", "10.0.0.0/", "example.com", ""] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}

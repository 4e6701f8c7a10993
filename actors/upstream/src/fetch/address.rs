//! Which addresses the outside world consists of.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 ranges that are not the public internet. Source: IANA special-purpose registry.
const CLOSED_V4: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, "an unspecified address"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "a private address"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "a carrier-grade NAT address"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "a loopback address"),
    // One platform serves its instance metadata from an address that looks public.
    (Ipv4Addr::new(168, 63, 129, 16), 32, "a cloud platform address"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "a link-local address"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "a private address"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "a protocol assignment"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "a documentation address"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a relay address"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "a private address"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "a benchmarking address"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "a documentation address"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "a documentation address"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "a multicast address"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "a reserved address"),
];

/// Closed parts of the global IPv6 space; everything outside `2000::/3` is closed anyway.
const CLOSED_V6: &[(Ipv6Addr, u32, &str)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "a protocol assignment"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "a documentation address"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "a documentation address"),
];

/// Why `address` is not for fetching, or `None` when it is public.
#[must_use]
pub fn closed_reason(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => closed_v4(address),
        IpAddr::V6(address) => closed_v6(address),
    }
}

fn closed_v4(address: Ipv4Addr) -> Option<&'static str> {
    let bits = u128::from(address.to_bits());
    CLOSED_V4.iter().find(|(base, length, _)| same_prefix(bits, u128::from(base.to_bits()), *length, 32)).map(|(.., reason)| *reason)
}

fn closed_v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(inner) = carried_v4(address) {
        return inner.into_iter().find_map(closed_v4);
    }
    let bits = address.to_bits();
    if bits >> 125 != 0b001 {
        return Some("an address outside the public IPv6 space");
    }
    CLOSED_V6.iter().find(|(base, length, _)| same_prefix(bits, base.to_bits(), *length, 128)).map(|(.., reason)| *reason)
}

/// IPv4 addresses that a transition form carries: packets to it may end there.
fn carried_v4(address: Ipv6Addr) -> Option<Vec<Ipv4Addr>> {
    let bits = address.to_bits();
    // Truncation keeps the 32 bits that are wanted.
    let v4 = |shift: u32| Ipv4Addr::from_bits((bits >> shift) as u32);
    match address.segments() {
        // Unspecified and loopback are themselves, not `0.0.0.0` and `0.0.0.1`; both end up closed.
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => Some(vec![v4(0)]),
        // NAT64, well-known prefix.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(vec![v4(0)]),
        // 6to4.
        [0x2002, ..] => Some(vec![v4(80)]),
        // Teredo: its server, and the client with all bits flipped.
        [0x2001, 0, ..] => Some(vec![v4(64), Ipv4Addr::from_bits(!v4(0).to_bits())]),
        // ISATAP, under any prefix.
        [first, _, _, _, 0 | 0x200, 0x5efe, ..] if first >> 13 == 0b001 => Some(vec![v4(0)]),
        _ => None,
    }
}

/// A range of addresses, e.g. `10.1.0.0/16`. IPv4 ranges also cover the IPv4-mapped form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    base: IpAddr,
    length: u32,
}

impl AddressRange {
    /// Reads `address/length` or a single address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (base, length) = match text.split_once('/') {
            Some((base, length)) => (base, Some(length.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().ok()?;
        let width = if base.is_ipv4() { 32 } else { 128 };
        let length = length.unwrap_or(width);
        (length <= width).then_some(Self { base, length })
    }

    /// True when `address` lies inside.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                same_prefix(u128::from(address.to_bits()), u128::from(base.to_bits()), self.length, 32)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => same_prefix(address.to_bits(), base.to_bits(), self.length, 128),
            _ => false,
        }
    }
}

fn same_prefix(left: u128, right: u128, length: u32, width: u32) -> bool {
    // A shift by the whole width leaves nothing to compare.
    (left ^ right).checked_shr(width - length).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(text: &str) -> bool {
        closed_reason(text.parse().unwrap()).is_some()
    }

    #[test]
    fn internal_ipv4_is_closed_from_its_first_to_its_last_address() {
        for address in [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.169.254",
            "169.254.0.0",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "192.168.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
        ] {
            assert!(closed(address), "{address}");
        }
    }

    #[test]
    fn neighbours_of_internal_ranges_are_open() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
        ] {
            assert!(!closed(address), "{address}");
        }
    }

    #[test]
    fn internal_ipv6_is_closed() {
        for address in [
            "::",
            "::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "100::1",
            "2001:db8::1",
            "3fff::1",
            "2001:2::1",
            "2001:10::1",
            "64:ff9b:1::1",
            "5f00::1",
            "4000::1",
        ] {
            assert!(closed(address), "{address}");
        }
        for address in ["2606:4700::1111", "2600:1f00::1", "2a00:1450:4001::1", "2001:4860:4860::8888"] {
            assert!(!closed(address), "{address}");
        }
    }

    #[test]
    fn an_internal_address_is_closed_in_every_wrapping() {
        for address in [
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "2001:0:a00:1::1",
            "2001:0:5ef5:79fd::5601:5601",
            "2600::5efe:10.0.0.1",
            "2600::200:5efe:127.0.0.1",
        ] {
            assert!(closed(address), "{address}");
        }
        for address in ["::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::", "2001:0:101:101::fefe:fefe"] {
            assert!(!closed(address), "{address}");
        }
    }

    #[test]
    fn ranges_hold_what_they_say() {
        let range = AddressRange::parse("10.1.0.0/16").unwrap();
        assert!(range.contains("10.1.255.255".parse().unwrap()));
        assert!(range.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!range.contains("10.2.0.0".parse().unwrap()));
        assert!(AddressRange::parse("0.0.0.0/0").unwrap().contains("255.1.2.3".parse().unwrap()));
        assert!(!AddressRange::parse("0.0.0.0/0").unwrap().contains("::1".parse().unwrap()));
        assert!(AddressRange::parse("::1").unwrap().contains("::1".parse().unwrap()));
        assert!(!AddressRange::parse("::1").unwrap().contains("::2".parse().unwrap()));
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "host/8", "10.0.0.0/-1"] {
            assert_eq!(AddressRange::parse(text), None, "{text}");
        }
    }
}

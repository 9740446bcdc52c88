//! Which addresses may be dialled.
//!
//! One table for every path that fetches: IANA's special-purpose registries
//! (RFC 6890), cloud metadata services, and IPv6 forms that carry an IPv4
//! address. Names are not judged here, since DNS can change its mind; what they
//! resolve to is, at the moment of dialling.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The table, and the networks that the operator excepts from it.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    allowed: Vec<IpNet>,
}

/// Why an address is not dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forbidden {
    pub address: IpAddr,
    /// `loopback`, `private`, `link-local`, ...
    pub class: &'static str,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, class } = self;
        write!(f, "{address} is a {class} address; the operator can allow its network with --allow-addresses")
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

const FORBIDDEN_V4: &[(Ipv4Net, &str)] = &[
    (v4(0, 0, 0, 0, 8), "\"this network\""),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "carrier-grade NAT"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    // Azure's wire server answers on a public address, to its guests only.
    (v4(168, 63, 129, 16, 32), "cloud metadata"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "protocol assignment"),
    (v4(192, 0, 2, 0, 24), "documentation"),
    (v4(192, 88, 99, 0, 24), "6to4 relay"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "benchmarking"),
    (v4(198, 51, 100, 0, 24), "documentation"),
    (v4(203, 0, 113, 0, 24), "documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(240, 0, 0, 0, 4), "reserved"),
];

/// Inside the one block of global unicast, `2000::/3`; all else is refused.
const FORBIDDEN_V6: &[(Ipv6Net, &str)] = &[
    // Teredo, benchmarking, ORCHID and whatever is assigned there next.
    (v6(0x2001, 0, 23), "protocol assignment"),
    (v6(0x2001, 0xdb8, 32), "documentation"),
    (v6(0x2002, 0, 16), "6to4"),
    (v6(0x3fff, 0, 20), "documentation"),
];

const GLOBAL_UNICAST: Ipv6Net = v6(0x2000, 0, 3);

impl AddressPolicy {
    /// The table with exceptions.
    pub fn allowing(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// Whether `address` may be dialled.
    pub fn judge(&self, address: IpAddr) -> Result<(), Forbidden> {
        // `::ffff:127.0.0.1` reaches 127.0.0.1.
        let address = address.to_canonical();
        if self.allowed.iter().any(|net| net.contains(&address)) {
            return Ok(());
        }
        match class(address) {
            Some(class) => Err(Forbidden { address, class }),
            None => Ok(()),
        }
    }
}

fn class(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => FORBIDDEN_V4.iter().find(|(net, _)| net.contains(&v4)).map(|(_, class)| *class),
        IpAddr::V6(v6) if v6.is_loopback() => Some("loopback"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("link-local"),
        IpAddr::V6(v6) if v6.is_unique_local() => Some("private"),
        IpAddr::V6(v6) if v6.is_multicast() => Some("multicast"),
        IpAddr::V6(v6) if !GLOBAL_UNICAST.contains(&v6) => Some("reserved"),
        IpAddr::V6(v6) => FORBIDDEN_V6.iter().find(|(net, _)| net.contains(&v6)).map(|(_, class)| *class),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, expected: &str) {
        let said = match AddressPolicy::default().judge(address.parse().unwrap()) {
            Ok(()) => "may be dialled",
            Err(forbidden) => forbidden.class,
        };
        assert_eq!(said, expected, "{address}");
    }

    #[test]
    fn only_public_addresses_are_dialled() {
        check("1.1.1.1", "may be dialled");
        check("100.63.255.255", "may be dialled");
        check("172.32.0.0", "may be dialled");
        check("2606:4700:4700::1111", "may be dialled");
        check("0.0.0.0", "\"this network\"");
        check("10.1.2.3", "private");
        check("100.100.100.200", "carrier-grade NAT");
        check("127.9.9.9", "loopback");
        check("168.63.129.16", "cloud metadata");
        check("169.254.169.254", "link-local");
        check("172.31.255.255", "private");
        check("192.168.0.1", "private");
        check("198.19.255.255", "benchmarking");
        check("224.0.0.1", "multicast");
        check("255.255.255.255", "reserved");
        check("::", "reserved");
        check("::1", "loopback");
        check("::127.0.0.1", "reserved");
        check("::ffff:169.254.169.254", "link-local");
        check("::ffff:1.1.1.1", "may be dialled");
        check("64:ff9b::a9fe:a9fe", "reserved");
        check("2001::1", "protocol assignment");
        check("2001:db8::1", "documentation");
        check("2002:7f00:1::", "6to4");
        check("3fff::1", "documentation");
        check("fd00:ec2::254", "private");
        check("fe80::1", "link-local");
        check("ff02::1", "multicast");
    }

    #[test]
    fn an_exception_covers_its_network_and_no_more() {
        let policy = AddressPolicy::allowing(vec!["127.0.0.0/8".parse().unwrap()]);
        let judge = |address: &str| policy.judge(address.parse().unwrap()).is_ok();
        assert!(judge("127.0.0.1"));
        assert!(judge("::ffff:127.0.0.1"));
        assert!(!judge("10.0.0.1"));
        assert!(!judge("::1"));
    }
}

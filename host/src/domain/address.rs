//! Which addresses may be dialled.
//!
//! One table for every path that fetches: IANA's special-purpose registries
//! (RFC 6890), cloud metadata services, and IPv6 forms that carry an IPv4
//! address. Names are not judged here, since DNS can change its mind; what they
//! resolve to is, at the moment of dialling.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The table, this machine's own addresses, and what the operator says of both:
/// what is denied is denied whatever else is said.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    allowed: Vec<IpNet>,
    denied: Vec<IpNet>,
    own: Vec<IpAddr>,
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
        write!(f, "{} is a {} address; {}", self.address, self.class, self.remedy())
    }
}

const DENIED: &str = "denied";

impl Forbidden {
    /// What can be done about it.
    pub fn remedy(&self) -> &'static str {
        match self.class {
            DENIED => "the operator has denied its network with --deny-addresses",
            _ => "the operator can allow its network with --allow-addresses",
        }
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
    (v4(192, 31, 196, 0, 24), "AS112 sink"),
    (v4(192, 52, 193, 0, 24), "multicast relay"),
    (v4(192, 88, 99, 0, 24), "6to4 relay"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(192, 175, 48, 0, 24), "AS112 sink"),
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
    (Ipv6Net::new_assert(Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48), "AS112 sink"),
    // The 6bone's, given back in 2006.
    (v6(0x3ffe, 0, 16), "reserved"),
    (v6(0x3fff, 0, 20), "documentation"),
];

const GLOBAL_UNICAST: Ipv6Net = v6(0x2000, 0, 3);

/// Where a translator reaches the IPv4 address in the last four bytes
/// (RFC 6052). An operator without IPv4 has to allow it.
const TRANSLATED: Ipv6Net = v6(0x64, 0xff9b, 96);

impl AddressPolicy {
    /// The table with exceptions.
    pub fn allowing(allowed: Vec<IpNet>) -> Self {
        Self { allowed, ..Self::default() }
    }

    /// The same without these, allowed or not.
    pub fn denying(self, denied: Vec<IpNet>) -> Self {
        Self { denied, ..self }
    }

    /// The same without this machine's own addresses, unless they are allowed.
    pub fn own(self, own: Vec<IpAddr>) -> Self {
        Self { own, ..self }
    }

    /// Whether the operator lets somebody reach what is not public.
    pub fn has_exceptions(&self) -> bool {
        !self.allowed.is_empty()
    }

    /// Whether `address` may be dialled.
    pub fn judge(&self, address: IpAddr) -> Result<(), Forbidden> {
        // `::ffff:127.0.0.1` reaches 127.0.0.1.
        let address = address.to_canonical();
        // Linux takes the unspecified address for its own loopback.
        if address.is_unspecified() {
            self.judge(match address {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            })?;
        }
        let among = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&address));
        if among(&self.denied) {
            return Err(Forbidden { address, class: DENIED });
        }
        if among(&self.allowed) {
            // To allow the translator is not to allow what is behind it.
            return translated(address).map_or(Ok(()), |inside| self.judge(inside));
        }
        if self.own.contains(&address) && class(address).is_none() {
            return Err(Forbidden { address, class: "machine's own" });
        }
        match class(address) {
            Some(class) => Err(Forbidden { address, class }),
            None => Ok(()),
        }
    }
}

fn translated(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V6(v6) if TRANSLATED.contains(&v6) => {
            let [.., a, b, c, d] = v6.octets();
            Some(Ipv4Addr::new(a, b, c, d).into())
        }
        _ => None,
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
        check("0.0.0.0", "loopback");
        check("0.0.0.1", "\"this network\"");
        check("10.1.2.3", "private");
        check("100.100.100.200", "carrier-grade NAT");
        check("127.9.9.9", "loopback");
        check("168.63.129.16", "cloud metadata");
        check("169.254.169.254", "link-local");
        check("172.31.255.255", "private");
        check("192.168.0.1", "private");
        check("192.0.0.192", "protocol assignment");
        check("192.31.196.1", "AS112 sink");
        check("192.52.193.1", "multicast relay");
        check("192.88.99.1", "6to4 relay");
        check("192.175.48.1", "AS112 sink");
        check("198.19.255.255", "benchmarking");
        check("224.0.0.1", "multicast");
        check("255.255.255.255", "reserved");
        check("::", "loopback");
        check("::1", "loopback");
        check("::127.0.0.1", "reserved");
        check("::ffff:169.254.169.254", "link-local");
        check("::ffff:1.1.1.1", "may be dialled");
        check("64:ff9b::a9fe:a9fe", "reserved");
        check("2001::1", "protocol assignment");
        check("2001:db8::1", "documentation");
        check("2002:7f00:1::", "6to4");
        check("2620:4f:8000::1", "AS112 sink");
        check("2620:4f:8001::1", "may be dialled");
        check("3ffe::1", "reserved");
        check("3fff::1", "documentation");
        check("3fff:1000::1", "may be dialled");
        check("4000::1", "reserved");
        check("5f00::1", "reserved");
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

    #[track_caller]
    fn check_with(policy: &AddressPolicy, address: &str, expected: &str) {
        let said = policy.judge(address.parse().unwrap()).map_or_else(|no| no.class, |()| "may be dialled");
        assert_eq!(said, expected, "{address}");
    }

    #[test]
    fn what_is_denied_is_denied_whatever_is_allowed() {
        let nets = |text: &str| text.split(' ').map(|net| net.parse().unwrap()).collect::<Vec<IpNet>>();
        let policy =
            AddressPolicy::allowing(nets("10.0.0.0/8 1.1.0.0/16")).denying(nets("10.9.0.0/16 1.1.1.0/24 2606::/16"));
        check_with(&policy, "10.1.1.1", "may be dialled");
        check_with(&policy, "10.9.1.1", "denied");
        check_with(&policy, "::ffff:10.9.1.1", "denied");
        check_with(&policy, "1.1.1.1", "denied");
        check_with(&policy, "1.1.2.1", "may be dialled");
        check_with(&policy, "2606:4700::1111", "denied");
        check_with(&policy, "192.168.0.1", "private");
    }

    #[test]
    fn the_unspecified_address_is_loopback_too() {
        let everything = || vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
        let policy = AddressPolicy::allowing(everything());
        check_with(&policy, "0.0.0.0", "may be dialled");
        check_with(&policy, "::", "may be dialled");
        let policy = policy.denying(vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
        check_with(&policy, "0.0.0.0", "denied");
        check_with(&policy, "::", "denied");
        check_with(&policy, "::ffff:0.0.0.0", "denied");
    }

    #[test]
    fn a_machine_does_not_dial_itself() {
        let own = |allowed: &[IpNet]| AddressPolicy::allowing(allowed.to_vec()).own(vec!["1.2.3.4".parse().unwrap()]);
        check_with(&own(&[]), "1.2.3.4", "machine's own");
        check_with(&own(&[]), "1.2.3.5", "may be dialled");
        check_with(&own(&["1.2.3.4/32".parse().unwrap()]), "1.2.3.4", "may be dialled");
    }

    #[test]
    fn a_translator_reaches_public_addresses_only() {
        let policy = AddressPolicy::allowing(vec!["64:ff9b::/96".parse().unwrap()]);
        check_with(&policy, "64:ff9b::101:101", "may be dialled");
        check_with(&policy, "64:ff9b::a9fe:a9fe", "link-local");
        check_with(&policy, "64:ff9b::7f00:1", "loopback");
    }
}

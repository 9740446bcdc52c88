//! Whom the server may dial, and through which proxy.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv6Addr};

use super::settle::networks;
use super::{ConfigError, Given, Hidden};
use crate::domain::address::AddressPolicy;
use crate::domain::egress::EgressProxy;
use crate::domain::url::UrlPolicy;

impl Given {
    /// What it may dial, and through which proxy.
    pub fn way_out(&self) -> Result<(UrlPolicy, Option<EgressProxy>), ConfigError> {
        let addresses = AddressPolicy::allowing(networks("allow-addresses", self.allow_addresses.as_deref())?)
            .denying(networks("deny-addresses", self.deny_addresses.as_deref())?)
            .own(own_addresses());
        let urls = UrlPolicy { allow_http: self.allow_http.unwrap_or(false), addresses, own_receiver: None };
        Ok((urls, self.egress_proxy.clone().map(egress).transpose()?))
    }
}

fn egress(Hidden(text): Hidden) -> Result<EgressProxy, ConfigError> {
    EgressProxy::parse(&text).map_err(|problem| ConfigError::invalid_url("egress-proxy", &text, problem.to_string()))
}

/// The addresses of this machine's interfaces, as Linux shows them. What listens
/// on them may be shut to strangers by a firewall, which we would be behind.
fn own_addresses() -> Vec<IpAddr> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    own_v4(&read("/proc/net/fib_trie")).into_iter().chain(own_v6(&read("/proc/net/if_inet6"))).collect()
}

/// An address stands in the line before each `/32 host LOCAL`.
fn own_v4(trie: &str) -> BTreeSet<IpAddr> {
    let lines = trie.lines().map(str::trim).collect::<Vec<_>>();
    let local = lines.windows(2).filter(|pair| pair[1].starts_with("/32 host LOCAL"));
    local.filter_map(|pair| pair[0].trim_start_matches("|-- ").parse::<IpAddr>().ok()).collect()
}

/// 32 hexadecimal digits at the beginning of each line.
fn own_v6(table: &str) -> BTreeSet<IpAddr> {
    let bits = table.lines().filter_map(|line| u128::from_str_radix(line.split(' ').next()?, 16).ok());
    bits.map(|bits| Ipv6Addr::from_bits(bits).into()).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn the_machines_own_addresses_are_found() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\nLocal:\n     \
            |-- 93.184.216.34\n        /32 host LOCAL\n     |-- 93.184.216.255\n        /32 link BROADCAST\n";
        assert_eq!(own_v4(trie).into_iter().collect::<Vec<_>>(), ["93.184.216.34".parse::<IpAddr>().unwrap()]);
        let table = "fe80000000000000504300fffe000001 02 40 20 80     eth0\nnonsense\n";
        assert_eq!(own_v6(table).into_iter().collect::<Vec<_>>(), ["fe80::5043:ff:fe00:1".parse::<IpAddr>().unwrap()]);
        assert!(own_addresses().contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)), "every Linux has loopback");
    }
}

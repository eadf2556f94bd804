//! The names under which addresses are looked up: `in-addr.arpa` and `ip6.arpa`.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// The address that a name in lower case stands for (RFC 1035, 3.5; RFC 3596, 2.5); `None` for other names
/// and for those of whole ranges.
pub fn address(name: &str) -> Option<IpAddr> {
    if let Some(labels) = name.strip_suffix(".in-addr.arpa") {
        return four(labels).map(IpAddr::V4);
    }
    six(name.strip_suffix(".ip6.arpa")?).map(IpAddr::V6)
}

/// The name that an address is looked up under.
pub fn name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let mut name = String::new();
            for byte in address.octets().into_iter().rev() {
                // Writing to a String can't fail.
                let _ = write!(name, "{:x}.{:x}.", byte & 0xf, byte >> 4);
            }
            name + "ip6.arpa"
        }
    }
}

fn four(labels: &str) -> Option<Ipv4Addr> {
    // The standard reader takes four plain numbers without leading zeros, and nothing else.
    let [d, c, b, a] = labels.parse::<Ipv4Addr>().ok()?.octets();
    Some(Ipv4Addr::new(a, b, c, d))
}

fn six(labels: &str) -> Option<Ipv6Addr> {
    let mut bits = 0_u128;
    let mut count = 0_u32;
    for label in labels.split('.') {
        let mut letters = label.chars();
        let (Some(letter), None) = (letters.next(), letters.next()) else { return None };
        let nibble = u128::from(letter.to_digit(16)?);
        if count == 32 {
            return None;
        }
        bits |= nibble << (4 * count);
        count += 1;
    }
    (count == 32).then(|| Ipv6Addr::from_bits(bits))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_ranges_and_other_names_are_no_address() {
        assert_eq!(address("1.2.0.10.in-addr.arpa"), Some("10.0.2.1".parse().unwrap()));
        for other in [
            "2.0.10.in-addr.arpa",
            "in-addr.arpa",
            "1.1.2.0.10.in-addr.arpa",
            "01.2.0.10.in-addr.arpa",
            "256.2.0.10.in-addr.arpa",
            "0.ip6.arpa",
            "web",
            "",
        ] {
            assert_eq!(address(other), None, "{other}");
        }
        let six = name("2001:db8::1".parse().unwrap());
        assert_eq!(address(&six), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(address(&format!("0.{six}")), None);
        assert_eq!(address(&six.replacen('1', "10", 1)), None);
    }

    proptest! {
        #[test]
        fn each_address_is_found_under_its_name(four: u32, six: u128) {
            for expected in [IpAddr::V4(four.into()), IpAddr::V6(six.into())] {
                prop_assert_eq!(address(&name(expected)), Some(expected));
            }
        }
    }
}

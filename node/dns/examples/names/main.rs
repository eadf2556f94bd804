//! Serves `service-N.blue.example` for the numbers up to COUNT on an address: `names 127.0.0.1:5300 10000`.
//!
//! It is what `cargo xtask bench dns` measures, and shows all that a program needs: names, a forwarder, sockets.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    io::{Write, stdout},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    sync::Arc,
};

use netnode_dns::{Client, Family, Forwarder, Names, Settings, Verdict};

/// The first address; each name has the next one.
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 0);

struct Services(BTreeMap<String, Ipv4Addr>);

impl Names for Services {
    fn addresses(&self, name: &str, family: Family, out: &mut Vec<IpAddr>) -> Verdict {
        match (self.0.get(name), family) {
            (Some(address), Family::V4) => out.push((*address).into()),
            (Some(_), Family::V6) => return Verdict::NoData,
            (None, _) => return Verdict::NoName,
        }
        Verdict::Found
    }

    fn pointers(&self, _: IpAddr, _: &mut Vec<String>) -> Verdict {
        Verdict::NotOurs
    }

    fn ttl(&self) -> u32 {
        5
    }

    fn may_forward(&self) -> bool {
        false
    }
}

// One thread: of several, one would wait for the socket while another answers, and be woken by each query.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = env::args().skip(1);
    let (Some(address), Some(count)) = (words.next(), words.next()) else {
        return Err("usage: names ADDRESS:PORT COUNT".into());
    };
    let (address, count): (SocketAddr, u32) = (address.parse()?, count.parse()?);
    let service =
        |n| (format!("service-{n}.blue.example"), Ipv4Addr::from_bits(FIRST.to_bits() + n));
    let names = Arc::new(Services((0..count).map(service).collect()));
    let client = Client::new(names, Forwarder::new(Settings::default()));
    let (udp, tcp) = (UdpSocket::bind(address)?, TcpListener::bind(address)?);
    writeln!(stdout(), "serving {count} names on {address}")?;
    client.serve(udp, tcp).await?;
    Ok(())
}

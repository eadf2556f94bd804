//! Numbers of Linux's `nfnetlink.h` and `nf_tables.h`, by the names that they have there.

/// The subsystem, in the upper half of a message's type.
pub(super) const NFTABLES: u16 = 10;
pub(super) const BATCH_BEGIN: u16 = 0x10;
pub(super) const BATCH_END: u16 = 0x11;
pub(super) const BATCH_GENID: u16 = 1;

pub(super) const UNSPEC: u8 = 0;
pub(super) const INET: u8 = 1;
pub(super) const IP: u8 = 2;
pub(super) const NETDEV: u8 = 5;
pub(super) const IP6: u8 = 10;

pub(super) const NEWTABLE: u16 = 0;
pub(super) const GETTABLE: u16 = 1;
pub(super) const DELTABLE: u16 = 2;
pub(super) const NEWCHAIN: u16 = 3;
pub(super) const GETCHAIN: u16 = 4;
pub(super) const DELCHAIN: u16 = 5;
pub(super) const NEWRULE: u16 = 6;
pub(super) const GETRULE: u16 = 7;
pub(super) const DELRULE: u16 = 8;
pub(super) const NEWSET: u16 = 9;
pub(super) const GETSET: u16 = 10;
pub(super) const DELSET: u16 = 11;
pub(super) const NEWSETELEM: u16 = 12;
pub(super) const GETSETELEM: u16 = 13;
pub(super) const DELSETELEM: u16 = 14;
pub(super) const NEWGEN: u16 = 15;
pub(super) const GETGEN: u16 = 16;

pub(super) const GEN_ID: u16 = 1;
/// In every list of things.
pub(super) const LIST_ELEM: u16 = 1;

pub(super) mod table {
    pub(in super::super) const NAME: u16 = 1;
    pub(in super::super) const FLAGS: u16 = 2;
    /// The table is switched off.
    pub(in super::super) const DORMANT: u32 = 1;
}

pub(super) mod chain {
    pub(in super::super) const TABLE: u16 = 1;
    pub(in super::super) const NAME: u16 = 3;
    pub(in super::super) const HOOK: u16 = 4;
    pub(in super::super) const POLICY: u16 = 5;
    pub(in super::super) const TYPE: u16 = 7;
    pub(in super::super) const HOOKNUM: u16 = 1;
    pub(in super::super) const PRIORITY: u16 = 2;
    pub(in super::super) const DEVICE: u16 = 3;
    /// `NF_NETDEV_EGRESS`.
    pub(in super::super) const EGRESS: u32 = 1;
}

pub(super) mod rule {
    pub(in super::super) const TABLE: u16 = 1;
    pub(in super::super) const CHAIN: u16 = 2;
    pub(in super::super) const EXPRESSIONS: u16 = 4;
}

pub(super) mod set {
    pub(in super::super) const TABLE: u16 = 1;
    pub(in super::super) const NAME: u16 = 2;
    pub(in super::super) const FLAGS: u16 = 3;
    pub(in super::super) const KEY_TYPE: u16 = 4;
    pub(in super::super) const KEY_LEN: u16 = 5;
    pub(in super::super) const DATA_TYPE: u16 = 6;
    pub(in super::super) const DATA_LEN: u16 = 7;
    pub(in super::super) const ID: u16 = 10;
    pub(in super::super) const USERDATA: u16 = 13;
    /// `NFT_SET_ANONYMOUS | NFT_SET_CONSTANT`.
    pub(in super::super) const FIXED: u32 = 3;
    /// `NFT_SET_MAP`.
    pub(in super::super) const MAP: u32 = 8;
    pub(in super::super) const LIST_TABLE: u16 = 1;
    pub(in super::super) const LIST_SET: u16 = 2;
    pub(in super::super) const LIST_ELEMENTS: u16 = 3;
    pub(in super::super) const ELEM_KEY: u16 = 1;
    pub(in super::super) const ELEM_DATA: u16 = 2;
    pub(in super::super) const ELEM_FLAGS: u16 = 3;
}

pub(super) mod data {
    pub(in super::super) const VALUE: u16 = 1;
    pub(in super::super) const VERDICT: u16 = 2;
    pub(in super::super) const CODE: u16 = 1;
    pub(in super::super) const CHAIN: u16 = 2;
}

pub(super) mod verdict {
    pub(in super::super) const DROP: i32 = 0;
    pub(in super::super) const ACCEPT: i32 = 1;
    pub(in super::super) const CONTINUE: i32 = -1;
    pub(in super::super) const JUMP: i32 = -3;
    pub(in super::super) const GOTO: i32 = -4;
    pub(in super::super) const RETURN: i32 = -5;
}

/// Attributes of expressions, each with the name of its own in front.
pub(super) mod expr {
    pub(in super::super) const NAME: u16 = 1;
    pub(in super::super) const DATA: u16 = 2;
    pub(in super::super) const META_DREG: u16 = 1;
    pub(in super::super) const META_KEY: u16 = 2;
    pub(in super::super) const IIFNAME: u32 = 6;
    pub(in super::super) const OIFNAME: u32 = 7;
    pub(in super::super) const META_SREG: u16 = 3;
    pub(in super::super) const MARK: u32 = 3;
    pub(in super::super) const IIFTYPE: u32 = 8;
    pub(in super::super) const NFPROTO: u32 = 15;
    pub(in super::super) const L4PROTO: u32 = 16;
    pub(in super::super) const CT_DREG: u16 = 1;
    pub(in super::super) const CT_KEY: u16 = 2;
    pub(in super::super) const CT_DIRECTION: u16 = 3;
    pub(in super::super) const CT_SREG: u16 = 4;
    pub(in super::super) const CT_STATE: u32 = 0;
    pub(in super::super) const CT_WAY: u32 = 1;
    pub(in super::super) const CT_STATUS: u32 = 2;
    pub(in super::super) const CT_MARK: u32 = 3;
    pub(in super::super) const CT_ZONE: u32 = 17;
    /// `IP_CT_DIR_ORIGINAL`.
    pub(in super::super) const ORIGINAL: u8 = 0;
    pub(in super::super) const FIB_DREG: u16 = 1;
    pub(in super::super) const FIB_RESULT: u16 = 2;
    pub(in super::super) const FIB_FLAGS: u16 = 3;
    pub(in super::super) const ADDRTYPE: u32 = 3;
    pub(in super::super) const DADDR: u32 = 2;
    pub(in super::super) const PAYLOAD_DREG: u16 = 1;
    pub(in super::super) const PAYLOAD_BASE: u16 = 2;
    pub(in super::super) const PAYLOAD_OFFSET: u16 = 3;
    pub(in super::super) const PAYLOAD_LEN: u16 = 4;
    pub(in super::super) const PAYLOAD_SREG: u16 = 5;
    pub(in super::super) const PAYLOAD_CSUM_TYPE: u16 = 6;
    pub(in super::super) const LINK_HEADER: u32 = 0;
    pub(in super::super) const NETWORK_HEADER: u32 = 1;
    pub(in super::super) const TRANSPORT_HEADER: u32 = 2;
    pub(in super::super) const BITWISE_SREG: u16 = 1;
    pub(in super::super) const BITWISE_DREG: u16 = 2;
    pub(in super::super) const BITWISE_LEN: u16 = 3;
    pub(in super::super) const BITWISE_MASK: u16 = 4;
    pub(in super::super) const BITWISE_XOR: u16 = 5;
    pub(in super::super) const CMP_SREG: u16 = 1;
    pub(in super::super) const CMP_OP: u16 = 2;
    pub(in super::super) const CMP_DATA: u16 = 3;
    pub(in super::super) const EQ: u32 = 0;
    pub(in super::super) const NEQ: u32 = 1;
    pub(in super::super) const LOOKUP_SET: u16 = 1;
    pub(in super::super) const LOOKUP_SREG: u16 = 2;
    pub(in super::super) const LOOKUP_DREG: u16 = 3;
    pub(in super::super) const LOOKUP_FLAGS: u16 = 5;
    pub(in super::super) const NAT_TYPE: u16 = 1;
    pub(in super::super) const NAT_FAMILY: u16 = 2;
    pub(in super::super) const NAT_REG_ADDR_MIN: u16 = 3;
    pub(in super::super) const NAT_REG_ADDR_MAX: u16 = 4;
    pub(in super::super) const NAT_REG_PROTO_MIN: u16 = 5;
    pub(in super::super) const NAT_REG_PROTO_MAX: u16 = 6;
    pub(in super::super) const NAT_FLAGS: u16 = 7;
    pub(in super::super) const DNAT: u32 = 1;
    /// `NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED`: both the address and the port.
    pub(in super::super) const ADDRESS_AND_PORT: u32 = 3;
    /// `NF_NAT_RANGE_MAP_IPS`: the address alone.
    pub(in super::super) const ADDRESS: u32 = 1;
    pub(in super::super) const NUMGEN_DREG: u16 = 1;
    pub(in super::super) const NUMGEN_MODULUS: u16 = 2;
    pub(in super::super) const NUMGEN_TYPE: u16 = 3;
    pub(in super::super) const NUMGEN_OFFSET: u16 = 4;
    pub(in super::super) const RANDOM: u32 = 1;
    pub(in super::super) const REJECT_TYPE: u16 = 1;
    pub(in super::super) const REJECT_CODE: u16 = 2;
    pub(in super::super) const TCP_RST: u32 = 1;
    /// An error of either ICMP, as the packet is.
    pub(in super::super) const ICMPX_UNREACH: u32 = 2;
    pub(in super::super) const ICMPX_PORT_UNREACH: u8 = 1;
    pub(in super::super) const IMMEDIATE_DREG: u16 = 1;
    pub(in super::super) const IMMEDIATE_DATA: u16 = 2;
    pub(in super::super) const RT_DREG: u16 = 1;
    pub(in super::super) const RT_KEY: u16 = 2;
    pub(in super::super) const TCPMSS: u32 = 3;
    pub(in super::super) const ORDER_SREG: u16 = 1;
    pub(in super::super) const ORDER_DREG: u16 = 2;
    pub(in super::super) const ORDER_OP: u16 = 3;
    pub(in super::super) const ORDER_LEN: u16 = 4;
    pub(in super::super) const ORDER_SIZE: u16 = 5;
    pub(in super::super) const HTON: u32 = 1;
    pub(in super::super) const EXTHDR_TYPE: u16 = 2;
    pub(in super::super) const EXTHDR_OFFSET: u16 = 3;
    pub(in super::super) const EXTHDR_LEN: u16 = 4;
    pub(in super::super) const EXTHDR_FLAGS: u16 = 5;
    pub(in super::super) const EXTHDR_OP: u16 = 6;
    pub(in super::super) const EXTHDR_SREG: u16 = 7;
    pub(in super::super) const TCP_OPTION: u32 = 1;
    /// `TCPOPT_MAXSEG`, and where its value lies.
    pub(in super::super) const MAXSEG: u8 = 2;
    pub(in super::super) const MAXSEG_OFFSET: u32 = 2;
    pub(in super::super) const MATCH_NAME: u16 = 1;
    pub(in super::super) const MATCH_INFO: u16 = 3;
    pub(in super::super) const TARGET_NAME: u16 = 1;
    pub(in super::super) const MASQ_FLAGS: u16 = 1;
    pub(in super::super) const MASQ_REG_PROTO_MIN: u16 = 2;
}

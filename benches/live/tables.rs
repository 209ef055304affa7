//! The tables of TPC-H, as three services own them, and their rows.

use std::fmt::{self, Write as _};

use bytes::Bytes;
use tokio::sync::mpsc;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};

/// The services, each with its tables. Keys are TPC-H's; foreign keys have their indexes, and are not declared: half of
/// them lead to another service.
pub(super) const SERVICES: [(&str, &[Table]); 3] = [
    ("customers", &[Table::Region, Table::Nation, Table::Customer]),
    ("orders", &[Table::Orders, Table::LineItem]),
    ("parts", &[Table::Supplier, Table::Part, Table::PartSupp]),
];

/// Bytes of rows that are handed over together.
const CHUNK: usize = 256 << 10;

/// One table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Region,
    Nation,
    Customer,
    Orders,
    LineItem,
    Supplier,
    Part,
    PartSupp,
}

impl Table {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Region => "region",
            Self::Nation => "nation",
            Self::Customer => "customer",
            Self::Orders => "orders",
            Self::LineItem => "lineitem",
            Self::Supplier => "supplier",
            Self::Part => "part",
            Self::PartSupp => "partsupp",
        }
    }

    /// Its columns and its primary key; text has the collation that MariaDB gives it.
    pub(super) fn ddl(self) -> String {
        let columns = match self {
            Self::Region => {
                "r_regionkey INT NOT NULL PRIMARY KEY, r_name CHAR(25) NOT NULL, r_comment VARCHAR(152) NOT NULL"
            }
            Self::Nation => {
                "n_nationkey INT NOT NULL PRIMARY KEY, n_name CHAR(25) NOT NULL, n_regionkey INT NOT NULL,
                 n_comment VARCHAR(152) NOT NULL"
            }
            Self::Customer => {
                "c_custkey INT NOT NULL PRIMARY KEY, c_name VARCHAR(25) NOT NULL, c_address VARCHAR(40) NOT NULL,
                 c_nationkey INT NOT NULL, c_phone CHAR(15) NOT NULL, c_acctbal DECIMAL(15,2) NOT NULL,
                 c_mktsegment CHAR(10) NOT NULL, c_comment VARCHAR(117) NOT NULL"
            }
            Self::Orders => {
                "o_orderkey BIGINT NOT NULL PRIMARY KEY, o_custkey INT NOT NULL, o_orderstatus CHAR(1) NOT NULL,
                 o_totalprice DECIMAL(15,2) NOT NULL, o_orderdate DATE NOT NULL, o_orderpriority CHAR(15) NOT NULL,
                 o_clerk CHAR(15) NOT NULL, o_shippriority INT NOT NULL, o_comment VARCHAR(79) NOT NULL"
            }
            Self::LineItem => {
                "l_orderkey BIGINT NOT NULL, l_partkey INT NOT NULL, l_suppkey INT NOT NULL,
                 l_linenumber INT NOT NULL, l_quantity DECIMAL(15,2) NOT NULL,
                 l_extendedprice DECIMAL(15,2) NOT NULL, l_discount DECIMAL(15,2) NOT NULL,
                 l_tax DECIMAL(15,2) NOT NULL, l_returnflag CHAR(1) NOT NULL, l_linestatus CHAR(1) NOT NULL,
                 l_shipdate DATE NOT NULL, l_commitdate DATE NOT NULL, l_receiptdate DATE NOT NULL,
                 l_shipinstruct CHAR(25) NOT NULL, l_shipmode CHAR(10) NOT NULL, l_comment VARCHAR(44) NOT NULL,
                 PRIMARY KEY (l_orderkey, l_linenumber)"
            }
            Self::Supplier => {
                "s_suppkey INT NOT NULL PRIMARY KEY, s_name CHAR(25) NOT NULL, s_address VARCHAR(40) NOT NULL,
                 s_nationkey INT NOT NULL, s_phone CHAR(15) NOT NULL, s_acctbal DECIMAL(15,2) NOT NULL,
                 s_comment VARCHAR(101) NOT NULL"
            }
            Self::Part => {
                "p_partkey INT NOT NULL PRIMARY KEY, p_name VARCHAR(55) NOT NULL, p_mfgr CHAR(25) NOT NULL,
                 p_brand CHAR(10) NOT NULL, p_type VARCHAR(25) NOT NULL, p_size INT NOT NULL,
                 p_container CHAR(10) NOT NULL, p_retailprice DECIMAL(15,2) NOT NULL,
                 p_comment VARCHAR(23) NOT NULL"
            }
            Self::PartSupp => {
                "ps_partkey INT NOT NULL, ps_suppkey INT NOT NULL, ps_availqty INT NOT NULL,
                 ps_supplycost DECIMAL(15,2) NOT NULL, ps_comment VARCHAR(199) NOT NULL,
                 PRIMARY KEY (ps_partkey, ps_suppkey)"
            }
        };
        format!("CREATE TABLE {} ({columns})", self.name())
    }

    /// The indexes of its foreign keys, beside the primary key. Made of rows that are there, they cost half of what they
    /// cost while rows come.
    pub(super) fn indexes(self) -> Option<&'static str> {
        match self {
            Self::Nation => Some("ADD KEY (n_regionkey)"),
            Self::Customer => Some("ADD KEY (c_nationkey)"),
            Self::Orders => Some("ADD KEY (o_custkey)"),
            Self::LineItem => Some("ADD KEY (l_partkey, l_suppkey), ADD KEY (l_suppkey)"),
            Self::Supplier => Some("ADD KEY (s_nationkey)"),
            Self::PartSupp => Some("ADD KEY (ps_suppkey)"),
            Self::Region | Self::Part => None,
        }
    }

    /// Hands the rows to `out`, as lines of fields that each end in `|`. Blocks while `out` is full, and ends early when
    /// nobody takes them any more.
    pub(super) fn rows(self, scale: f64, out: &mpsc::Sender<Bytes>) {
        match self {
            Self::Region => send(RegionGenerator::new(scale, 1, 1).iter(), out),
            Self::Nation => send(NationGenerator::new(scale, 1, 1).iter(), out),
            Self::Customer => send(CustomerGenerator::new(scale, 1, 1).iter(), out),
            Self::Orders => send(OrderGenerator::new(scale, 1, 1).iter(), out),
            Self::LineItem => send(LineItemGenerator::new(scale, 1, 1).iter(), out),
            Self::Supplier => send(SupplierGenerator::new(scale, 1, 1).iter(), out),
            Self::Part => send(PartGenerator::new(scale, 1, 1).iter(), out),
            Self::PartSupp => send(PartSuppGenerator::new(scale, 1, 1).iter(), out),
        }
    }
}

fn send<R: fmt::Display>(rows: impl Iterator<Item = R>, out: &mpsc::Sender<Bytes>) {
    let mut chunk = String::with_capacity(CHUNK + 1024);
    for row in rows {
        let _ = writeln!(chunk, "{row}");
        if chunk.len() >= CHUNK {
            let full = std::mem::replace(&mut chunk, String::with_capacity(CHUNK + 1024));
            if out.blocking_send(full.into()).is_err() {
                return;
            }
        }
    }
    let _ = out.blocking_send(chunk.into());
}

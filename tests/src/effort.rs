//! How much of a thing a test does: a little in every run, a lot in a long one.

/// `few`, or `many` if the run is a long one (`cargo xtask test --long` sets `$NETDB_LONG`).
pub fn few_or_many(few: usize, many: usize) -> usize {
    if std::env::var_os("NETDB_LONG").is_some() { many } else { few }
}
